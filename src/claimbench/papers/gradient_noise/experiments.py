"""The experiments of the gradient-noise paper: what each cell trains (fit) and how it is evaluated (score)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from claimbench.training import in_stacks

if TYPE_CHECKING:
    from claimbench.data import Data
    from claimbench.run import Run

Artifact = dict[str, Any]


# ---- Table 1: very deep ReLU networks --------------------------------------------------------------------------------


def features(run: Run, data: Data) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """All samples that fit may see, flat, with what was subtracted and divided by.

    ``inputs: unit`` scales pixels to [0, 1]; ``standardised`` gives every feature mean 0 and standard deviation 1.
    """
    x = data.arrays["x"].reshape(len(data.arrays["x"]), -1).astype(np.float32)
    if run.h.inputs == "unit":
        shift, scale = np.zeros(x.shape[1], np.float32), np.full(x.shape[1], x.max(), np.float32)
    else:
        shift, scale = x.mean(0), x.std(0)
        scale[scale == 0] = 1.0
    return (x - shift) / scale, shift, scale


def fit_many_deep_mlp(runs: list[Run], datas: list[Data]) -> list[Artifact]:
    """Networks of one shape and number of steps are trained as one stack."""
    import torch

    from claimbench.papers.gradient_noise import deep_mlp

    def shape(run: Run) -> Any:
        same = {name: value for name, value in run.hyper.items() if name not in ("eta", "sabotage")}
        return run.setting["depth"], sorted(same.items())

    def fit(members: list[int]) -> list[Artifact]:
        prepared = [features(runs[i], datas[i]) for i in members]
        labels = [_labels(runs[i], datas[i].arrays["y"]) for i in members]
        trained = deep_mlp.train(
            [runs[i] for i in members],
            [torch.from_numpy(x) for x, _, _ in prepared],
            [torch.from_numpy(y) for y in labels],
        )
        return [
            {**artifact, "shift": shift, "scale": scale}
            for artifact, (_, shift, scale) in zip(trained, prepared, strict=True)
        ]

    return in_stacks(runs, shape, fit)


def _labels(run: Run, y: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The sabotage gives the networks with noise labels out of order."""
    if run.h.sabotage == "shuffled-labels" and run.h.eta > 0:
        return run.rng("sabotage").permutation(y)
    return y


def score_deep_mlp(run: Run, artifact: Artifact, data: Data) -> dict[str, float]:
    """Test accuracy, averaged over the learning rates and for each; whether all predictions are one class."""
    import torch

    from claimbench.papers.gradient_noise import deep_mlp

    test = data.arrays["test_x"]
    x = (test.reshape(len(test), -1).astype(np.float32) - artifact["shift"]) / artifact["scale"]
    sizes = deep_mlp.layer_sizes(x.shape[1], run.h.width, int(run.setting["depth"]), run.h.n_classes)
    stack = deep_mlp.Stack(torch.from_numpy(np.array(artifact["parameters"])), sizes)
    predicted = stack.logits(torch.from_numpy(x)[None]).argmax(2).numpy()
    right = (predicted == data.arrays["test_y"]).mean(axis=1)
    found = {
        "test/accuracy": float(right.mean()),
        "test/one_class": float(all(len(np.unique(row)) == 1 for row in predicted)),
    }
    found |= {f"test/accuracy_lr_{rate}": float(value) for rate, value in zip(run.h.rates, right, strict=True)}
    return found


# ---- Table 2: end-to-end memory networks -----------------------------------------------------------------------------


def _task(data: Data) -> tuple[Any, int]:
    """Training samples first, then validation samples; the number of the former."""
    import torch

    from claimbench.papers.gradient_noise.memory_network import Task

    order = np.concatenate([data.arrays["train_idx"], data.arrays["val_idx"]])
    tokens = torch.from_numpy(data.arrays["x"][order].astype(np.int64))
    answers = torch.from_numpy(data.arrays["y"][order])
    # the answers have the highest numbers, so the dictionary is no larger
    n_words = int(data.info["n_classes"])
    return Task(tokens, answers, n_words), len(data.arrays["train_idx"])


def fit_many_memory_network(runs: list[Run], datas: list[Data]) -> list[Artifact]:
    """All restarts with one start are trained at once; the split of bAbI is the same for all seeds."""
    from claimbench.papers.gradient_noise import memory_network

    task, n_train = _task(datas[0])
    return in_stacks(
        runs,
        lambda run: run.setting["start"],
        lambda members: memory_network.train([runs[i] for i in members], task, n_train),
    )


def score_memory_network(run: Run, artifact: Artifact, data: Data) -> dict[str, float]:
    """Errors on the training, validation and test questions."""
    import torch

    from claimbench.papers.gradient_noise import memory_network

    tokens = torch.from_numpy(data.arrays["test_x"].astype(np.int64))
    answers = torch.from_numpy(data.arrays["test_y"])
    task = memory_network.Task(tokens, answers, int(data.info["n_classes"]))
    nets = memory_network.Networks(task, run.h.dimension, [run.torch_generator("unused", device="cpu")])
    wrong = memory_network.errors(nets, torch.from_numpy(np.array(artifact["tables"]))[None])
    return {
        "train/error": artifact["train_error"],
        "val/error": artifact["val_error"],
        "test/error": float(wrong.mean()),
    }


def fit_memory_gain(run: Run, data: Data) -> Artifact:
    """What noise takes off the validation error of one restart."""
    return {"gain": run.inputs["without"]["val_error"] - run.inputs["with"]["val_error"]}


def score_memory_gain(run: Run, artifact: Artifact, data: Data) -> dict[str, float]:
    """The gain that fit found."""
    return {"val/gain": artifact["gain"]}


# ---- Tables 3 to 6: programs -----------------------------------------------------------------------------------------


def fit_programmer(run: Run, data: None) -> Artifact:
    """The Neural Programmer on one column (Section 4.3)."""
    from claimbench.papers.gradient_noise import neural_programmer

    return neural_programmer.train(run)


def score_programmer(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """Accuracy on fresh questions with hard choices; solved when all are right."""
    from claimbench.papers.gradient_noise import neural_programmer

    net = neural_programmer.load(run, artifact)
    batch = neural_programmer.questions(run.h.tested, run.h.most_rows, run.torch_generator("test", device="cpu"))
    accuracy = neural_programmer.accuracy(net, batch)
    return {"test/accuracy": accuracy, "test/solved": float(accuracy == 1.0)}


def fit_ram(run: Run, data: None) -> Artifact:
    """The neural random-access machine on linked lists (Section 4.4)."""
    from claimbench.papers.gradient_noise import neural_ram

    return neural_ram.train(run)


def score_ram(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """Share of fresh lists of the full length that are answered; solved when all are."""
    from claimbench.papers.gradient_noise import neural_ram

    net = neural_ram.load(run, artifact)
    accuracy = neural_ram.accuracy(net, run.h.elements, run.h.tested, run.torch_generator("test", device="cpu"))
    return {"test/accuracy": accuracy, "test/solved": float(accuracy == 1.0)}


def fit_neural_gpu(run: Run, data: None) -> Artifact:
    """The Neural GPU on binary multiplication (Section 4.5)."""
    from claimbench.papers.gradient_noise import neural_gpu

    return neural_gpu.train(run)


def score_neural_gpu(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """Share of wrong products of numbers of ``test_bits`` bits, and whether it is below the limits of Table 6."""
    from claimbench.papers.gradient_noise import neural_gpu

    net = neural_gpu.load(run, artifact)
    generator = run.torch_generator("test", device="cpu")
    error = neural_gpu.sequence_errors(net, run.h.test_bits, run.h.batch, run.h.test_batches, generator)
    found = {"test/error": error, "test/bits": float(artifact["bits"])}
    return found | {f"test/error_below_{limit}": float(error < limit / 100) for limit in (1, 2, 3, 5)}


# ---- the closed form of the noise ------------------------------------------------------------------------------------


def fit_noise_walk(run: Run, data: None) -> Artifact:
    """Weights that plain SGD moves by noise alone, through the wrapped optimiser: deviations at the listed steps."""
    import torch

    from claimbench.papers.gradient_noise.noise import GradientNoise

    weights = torch.nn.Parameter(torch.zeros(run.h.weights))
    optimizer = GradientNoise(
        torch.optim.SGD([weights], lr=run.h.learning_rate),
        run.h.eta,
        run.h.gamma,
        run.torch_generator("noise", device="cpu"),
    )
    found = []
    for step in range(1, max(run.h.times) + 1):
        weights.grad = torch.zeros_like(weights)
        optimizer.step()
        if step in run.h.times:
            found.append(float(weights.detach().double().square().mean().sqrt()))
    return {"deviations": np.array(found)}


def score_noise_walk(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """Distance of the measured deviations from the closed form in standard errors, std / sqrt(2 weights)."""
    from claimbench.papers.gradient_noise.schedule import walk_deviation

    eta = run.h.eta**2 if run.h.sabotage == "eta-is-a-deviation" else run.h.eta
    theory = np.array([walk_deviation(t, run.h.learning_rate, eta, run.h.gamma) for t in run.h.times])
    z = np.abs(artifact["deviations"] - theory) / (theory / np.sqrt(2 * run.h.weights))
    return {"test/z": float(z.max())} | {
        f"test/deviation_{t}": float(value) for t, value in zip(run.h.times, artifact["deviations"], strict=True)
    }
