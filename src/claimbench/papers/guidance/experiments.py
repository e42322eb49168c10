"""The experiments of the guidance paper: what each cell trains (fit) and how it is evaluated (score)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from claimbench.training import in_stacks

if TYPE_CHECKING:
    import torch

    from claimbench.data import Data
    from claimbench.papers.guidance.image_training import Images, Target, Teaching
    from claimbench.run import Run

Artifact = dict[str, Any]

# ---- images ----------------------------------------------------------------------------------------------------------


def fit_guides(run: Run, data: Data) -> Artifact:
    """The network named by the method, trained, or as it is drawn (``weights: untrained``)."""
    from claimbench.papers.guidance import image_training as it

    images = it.images_of(run, data)
    if run.setting["weights"] == "untrained":
        arrays = it.build([run], run.method, images.shape).one(0)
    else:
        arrays = it.train([run], [images], run.method, [it.Teaching()])[0]
    return _packed(images, arrays)


def fit_many_images(runs: list[Run], datas: list[Data]) -> list[Artifact]:
    """Fully connected networks are trained as stacks of at most ``stack``; runs of one stack differ in the seed."""
    return in_stacks(
        runs,
        lambda run: (run.setting["target"], sorted(run.hyper.items())),
        lambda part: _train([runs[i] for i in part], [datas[i] for i in part]),
        lambda run: run.h.stack if run.setting["target"] in ("deep-fcn", "wide-fcn") else 1,
    )


def _train(runs: list[Run], datas: list[Data]) -> list[Artifact]:
    from claimbench.papers.guidance import image_training as it

    images = [it.images_of(run, data) for run, data in zip(runs, datas, strict=True)]
    teaching = [_teaching(run, part) for run, part in zip(runs, images, strict=True)]
    arrays = it.train(runs, images, runs[0].setting["target"], teaching)
    return [_packed(part, found) for part, found in zip(images, arrays, strict=True)]


def _teaching(run: Run, images: Images) -> Teaching:
    """What the method adds to the labels. The sabotage aligns every batch with the guide's kernels of other images."""
    from claimbench.papers.guidance import image_training as it

    if run.method == "base":
        return it.Teaching()
    if run.method == "twin":
        return it.Teaching(
            it.guide_of(it.build([run], run.setting["target"], images.shape, "twin"), images, run.device)
        )
    guide = it.load(run, run.h.guide, images.shape, _network(run.inputs["guide"]))
    if run.method == "distilled":
        return it.Teaching(teacher=it.teacher_of(guide, images, run.device))
    rows = None
    if run.h.sabotage == "shuffled-guide":
        import torch

        assert isinstance(images, it.ArrayImages)
        rows = images.x[torch.from_numpy(run.rng("sabotage").permutation(images.n))]
    return it.Teaching(it.guide_of(guide, images, run.device, rows))


def _packed(images: Images, arrays: dict[str, np.ndarray[Any, Any]]) -> Artifact:
    network = {f"network/{name}": value for name, value in arrays.items()}
    return {**network, "shift": images.shift, "scale": images.scale, "shape": list(images.shape)}


def _network(artifact: Artifact) -> dict[str, np.ndarray[Any, Any]]:
    return {name.removeprefix("network/"): value for name, value in artifact.items() if name.startswith("network/")}


def _test(run: Run, artifact: Artifact, kind: str, data: Data) -> torch.Tensor:
    """Logits (n, classes) of the test images."""
    from claimbench.papers.guidance import image_training as it

    target: Target = it.load(run, kind, tuple(artifact["shape"]), _network(artifact))
    if data.info["kind"] == "folder":
        import torch

        from claimbench.papers.guidance.image_folder import FolderImages

        return torch.cat([target.predict(rows)[0] for rows in FolderImages(run, data).test()])
    x = it.standardised(it.channels_first(data.arrays["test_x"]), artifact["shift"], artifact["scale"])
    return target.predict(x)[0]


def _classified(logits: torch.Tensor, labels: np.ndarray[Any, Any]) -> dict[str, float]:
    import torch

    y = torch.from_numpy(labels)
    best = logits.topk(min(5, logits.shape[1]), dim=1).indices == y[:, None]
    return {
        "test/accuracy": float(best[:, 0].float().mean()),
        "test/top5": float(best.any(1).float().mean()),
        "test/loss": float(torch.nn.functional.cross_entropy(logits, y)),
    }


def score_guides(run: Run, artifact: Artifact, data: Data) -> dict[str, float]:
    """Test accuracy (first and best five) and loss."""
    return _classified(_test(run, artifact, run.method, data), data.arrays["test_y"])


def score_images(run: Run, artifact: Artifact, data: Data) -> dict[str, float]:
    """Test accuracy (first and best five) and loss."""
    return _classified(_test(run, artifact, run.setting["target"], data), data.arrays["test_y"])


# ---- error consistency -----------------------------------------------------------------------------------------------


def fit_error_consistency(run: Run, data: Data) -> Artifact:
    """Nothing to train: the two networks are those of other cells."""
    return {}


def score_error_consistency(run: Run, artifact: Artifact, data: Data) -> dict[str, float]:
    """Cohen's kappa between the errors of the two networks ``first`` and ``second`` on the test images."""
    right = []
    for name, kind in zip(("first", "second"), run.h.kinds, strict=True):
        logits = _test(run, run.inputs[name], kind, data)
        right.append(logits.argmax(1).numpy() == data.arrays["test_y"])
    return {"test/kappa": error_consistency(*right)}


def error_consistency(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
    """Kappa of two classifiers from which answers (n,) are right: agreement in being right or wrong beyond that of
    independent classifiers of these accuracies (Geirhos et al. 2020)."""
    observed = float(np.mean(a == b))
    p, q = float(a.mean()), float(b.mean())
    expected = p * q + (1 - p) * (1 - q)
    return 1.0 if expected == 1 else (observed - expected) / (1 - expected)


# ---- sequences -------------------------------------------------------------------------------------------------------

#: method -> the network that is trained or kept as drawn, whether it is trained, whether it has a guide
METHODS = {
    "rnn": ("rnn", True, False),
    "untrained-rnn": ("rnn", False, False),
    "transformer": ("transformer", True, False),
    "untrained-transformer": ("transformer", False, False),
    "transformer-to-rnn": ("rnn", True, True),
    "untrained-transformer-to-rnn": ("rnn", True, True),
    "rnn-to-transformer": ("transformer", True, True),
    "untrained-rnn-to-transformer": ("transformer", True, True),
}


def _fit_sequence(run: Run, task: str, tokens: int, blocks: torch.Tensor | None = None) -> Artifact:
    from claimbench.nn.state import pack
    from claimbench.papers.guidance import sequence_training as st

    kind, trained, guided = METHODS[run.method]
    if not trained:
        return pack(st.build(run, kind, task, tokens))
    other = "transformer" if kind == "rnn" else "rnn"
    guide = st.build(run, other, task, tokens, run.inputs["guide"]) if guided else None
    return dict(st.train(run, task, kind, tokens, guide, blocks))


def fit_copy_paste(run: Run, data: None) -> Artifact:
    """The method's network on fresh sequences that are to be copied."""
    from claimbench.papers.guidance import sequence_tasks

    return _fit_sequence(run, "copy-paste", sequence_tasks.COPY_TOKENS)


def score_copy_paste(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """Accuracy and loss on fresh sequences, and their distances from the closed form."""
    from claimbench.papers.guidance import sequence_tasks
    from claimbench.papers.guidance import sequence_training as st

    net = st.build(run, METHODS[run.method][0], "copy-paste", sequence_tasks.COPY_TOKENS, artifact)
    return st.evaluate_copy_paste(run, net)


def fit_parity(run: Run, data: None) -> Artifact:
    """The method's network on fresh strings of bits."""
    from claimbench.papers.guidance import sequence_tasks

    return _fit_sequence(run, "parity", sequence_tasks.PARITY_TOKENS)


def score_parity(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """Accuracy on fresh strings."""
    from claimbench.papers.guidance import sequence_tasks
    from claimbench.papers.guidance import sequence_training as st

    net = st.build(run, METHODS[run.method][0], "parity", sequence_tasks.PARITY_TOKENS, artifact)
    return st.evaluate_parity(run, net)


def fit_language_model(run: Run, data: Data) -> Artifact:
    """The method's network on shuffled blocks of text."""
    import torch

    blocks = torch.from_numpy(data.arrays["x"][data.arrays["train_idx"]].astype(np.int64))
    return _fit_sequence(run, "language-model", int(data.info["n_classes"]), blocks)


def score_language_model(run: Run, artifact: Artifact, data: Data) -> dict[str, float]:
    """Perplexity on the first ``tested`` blocks of the test text."""
    import torch

    from claimbench.papers.guidance import sequence_training as st

    net = st.build(run, METHODS[run.method][0], "language-model", int(data.info["n_classes"]), artifact)
    return st.evaluate_language(net, torch.from_numpy(data.arrays["test_x"][: run.h.tested].astype(np.int64)))


def fit_causality(run: Run, data: None) -> Artifact:
    """Nothing to train: a network as it is drawn."""
    return {}


def score_causality(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """Largest change of earlier outputs when a later token is another, and whether there is any."""
    import torch

    from claimbench.papers.guidance import sequence_training as st

    h = run.h
    net = st.build(run, run.method, "language-model", h.tokens, None)
    x = torch.randint(h.tokens, (h.batch, h.block), generator=run.torch_generator("test", device="cpu"))
    change = st.largest_change(net, x, h.block // 2)
    return {"test/change": change, "test/leaks": float(change > 0)}
