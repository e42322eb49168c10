"""The prior over tables: random structural causal models and Bayesian neural networks (Section 4, Appendix C, Table 5).

Tables are computed in groups of one kind, one activation and similar width: every table has hyper-parameters, weights
and causes of its own, padded to the largest of its group.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch

#: one for each table
ACTIVATIONS: tuple[Callable[[torch.Tensor], torch.Tensor], ...] = (
    torch.tanh,
    torch.nn.functional.leaky_relu,
    torch.nn.functional.elu,
    lambda x: x,
)
#: standard deviations beyond which a value is squashed
OUTLIER = 4.0


@dataclass(frozen=True)
class Configuration:
    """What the tables look like.

    Args:
        rows: of each table, labelled and queries together.
        max_features: features are uniform in 1..max_features; columns beyond are zero.
        max_classes: classes are 2 with probability 1/2, else uniform in 2..max_classes.
        scm: probability of a structural causal model; the others are Bayesian neural networks.
        categorical: probability that a table has columns made of ranks.
        largest_width: the heavy tails of widths and depths end here.
        largest_layers: see ``largest_width``.
        group: tables at most that are computed together.
    """

    rows: int
    max_features: int
    max_classes: int
    scm: float = 0.5
    categorical: float = 0.2
    largest_width: int = 256
    largest_layers: int = 12
    group: int = 16

    @classmethod
    def of(cls, hyper: Mapping[str, Any]) -> Configuration:
        """From hyper-parameters of the same names; others are left out."""
        return cls(**{field.name: hyper[field.name] for field in fields(cls) if field.name in hyper})


class Draws:
    """Random numbers of one generator, on its device."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator, self.device = generator, generator.device

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
        """Uniform in low..high, float32 of the given shape."""
        drawn = torch.rand(shape, generator=self.generator, device=self.device)
        return drawn if (low, high) == (0.0, 1.0) else drawn.mul_(high - low).add_(low)

    def normal(self, *shape: int) -> torch.Tensor:
        """Standard normal, float32 of the given shape."""
        return torch.randn(shape, generator=self.generator, device=self.device)

    def coin(self, *shape: int, p: float | torch.Tensor = 0.5) -> torch.Tensor:
        """True with probability ``p``, bool of the given shape."""
        return self.uniform(*shape) < p

    def integer(self, low: torch.Tensor | int, high: torch.Tensor | int, *shape: int) -> torch.Tensor:
        """Uniform in low..high, both included."""
        return (low + (self.uniform(*shape) * (high - low + 1)).floor()).long().clamp(max=high)

    def order(self, valid: torch.Tensor) -> torch.Tensor:
        """A random order of the valid places of each row, before all others: (B, n) of ``valid`` (B, n)."""
        return self.uniform(*valid.shape).masked_fill(~valid, 2.0).argsort(1)

    def truncated(self, most: float, least: float, size: int) -> torch.Tensor:
        """Positive normal values (size,); mean and deviation are log-uniform in [least, most] (TNLU of Table 5)."""
        low, high = math.log(least), math.log(most)
        mean, deviation = self.uniform(size, low=low, high=high).exp(), self.uniform(size, low=low, high=high).exp()
        below = torch.special.ndtr((-mean / deviation).double())
        share = below + self.uniform(size).double() * (1 - below)
        return (mean + deviation * torch.special.ndtri(share.clamp(1e-12, 1 - 1e-12)).float()).clamp_min(0.0)

    def beta(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """Beta(a, b) from two gamma variates; torch's own takes no generator, so they come from Marsaglia and Tsang's
        method in :meth:`gamma`."""
        one, other = self.gamma(a), self.gamma(b)
        return one / (one + other).clamp_min(1e-30)

    def gamma(self, shape: torch.Tensor) -> torch.Tensor:
        """Gamma(shape, 1), elementwise (Marsaglia and Tsang 2000); 16 proposals are tried at once, each accepted with
        probability above 0.95."""
        d = shape + 1 - 1 / 3  # the boosted shape, for shapes below 1 as well
        x = self.normal(16, *shape.shape)
        v = (1 + x / (9 * d).sqrt()).pow(3)
        accepted = (v > 0) & (
            self.uniform(16, *shape.shape).log() < 0.5 * x.square() + d * (1 - v + v.clamp_min(1e-30).log())
        )
        first = accepted.float().argmax(0, keepdim=True)
        found = d * v.gather(0, first)[0].clamp_min(1e-30)
        return found * self.uniform(*shape.shape).clamp_min(1e-30).pow(1 / shape)


def hyperparameters(tables: int, configuration: Configuration, draws: Draws) -> dict[str, torch.Tensor]:
    """Hyper-parameters of each table, (tables,) each (Table 5)."""
    c = configuration
    scm = draws.coin(tables, p=c.scm)
    features = draws.integer(1, c.max_features, tables)
    width = (draws.truncated(130, 5, tables).round() + 4).clamp(max=c.largest_width).long()
    causes = (draws.truncated(12, 1, tables).round() + 1).clamp(max=c.largest_width).long()
    a, b = draws.uniform(tables, low=0.1, high=5.0), draws.uniform(tables, low=0.1, high=5.0)
    return {
        "scm": scm,
        "features": features,
        # the graph must have nodes enough for all features and the target
        "width": torch.where(scm, torch.maximum(width, 1 + 2 * features), width),
        "causes": torch.where(scm, causes, features),
        "layers": (draws.truncated(6, 1, tables).round() + 2).clamp(max=c.largest_layers).long(),
        "noise": draws.truncated(0.3, 1e-4, tables),
        "weight": draws.truncated(10.0, 0.01, tables),
        "dropout": 0.9 * draws.beta(a, b),
        "activation": draws.integer(0, len(ACTIVATIONS) - 1, tables),
        **{name: draws.coin(tables) for name in ("blockwise", "sorted", "clique", "last", "shared", "mixed", "noises")},
    }


def sample(
    tables: int, labelled: int, configuration: Configuration, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Tables of the prior.

    Args:
        tables: their number.
        labelled: rows of each that will be given with labels; the classes of the others must be the same.
        configuration: of the tables.
        generator: of all random numbers; tables lie on its device.

    Returns:
        Features (tables, rows, max_features) float32, and classes (tables, rows) int64; -100 everywhere in a table
        whose labelled rows and queries could not be given the same classes.
    """
    draws = Draws(generator)
    h = hyperparameters(tables, configuration, draws)
    x = torch.zeros(tables, configuration.rows, configuration.max_features, device=draws.device)
    y = torch.zeros(tables, configuration.rows, device=draws.device)
    for members in _groups(h, configuration.group):
        part = {name: value[members] for name, value in h.items()}
        networks = _causal if bool(part["scm"][0]) else _bayesian
        values, target = networks(part, configuration.rows, draws)
        x[members, :, : values.shape[2]] = values
        y[members] = target
    return _finish(x, y, h["features"], labelled, configuration, draws)


def _groups(h: dict[str, torch.Tensor], most: int) -> Iterator[torch.Tensor]:
    """Numbers of tables that are computed together: one kind, one activation, similar width; the deepest first."""
    kind = 2 * h["activation"] + h["scm"]
    for number in range(2 * len(ACTIVATIONS)):
        members = (kind == number).nonzero()[:, 0]
        if len(members):
            by_width = members[h["width"][members].argsort()]
            for part in by_width.tensor_split(-(-len(members) // most)):
                yield part[h["layers"][part].argsort(descending=True)]


def _causal(h: dict[str, torch.Tensor], rows: int, draws: Draws) -> tuple[torch.Tensor, torch.Tensor]:
    """Features (B, rows, most features) and target (B, rows) of structural causal models: some nodes of the graph.

    Without ``clique`` the nodes are any, with it neighbours; ``sorted`` keeps their order; ``last`` makes the last node
    the target.
    """
    tables, width, features = len(h["width"]), h["width"], h["features"]
    total = (h["layers"] - 1) * width
    picked = int(features.max()) + 1
    anywhere = draws.order(torch.arange(int(total.max()), device=draws.device) < (total - 1)[:, None])[:, :picked]
    start = draws.integer(torch.zeros_like(total), total - 1 - features, tables)
    slot = torch.arange(picked, device=draws.device).expand(tables, -1)
    own = slot <= features[:, None]
    chosen = torch.where(h["clique"][:, None], start[:, None] + draws.order(own), anywhere)
    target = torch.where(h["last"], total - 1, chosen[:, 0])
    columns = chosen[:, 1:].masked_fill(~own[:, 1:], int(total.max()))
    columns = torch.where(h["sorted"][:, None], columns.sort(1).values, columns)
    wanted = torch.cat([target[:, None], columns], 1)
    layer, unit = wanted // width[:, None], wanted % width[:, None]
    values = torch.zeros(tables, picked, rows, device=draws.device)
    for number, nodes in enumerate(_states(h, _causes(h, rows, draws), draws)):
        table, place = ((layer == number) & own).nonzero(as_tuple=True)
        values[table, place] = nodes[table, :, unit[table, place]]
    return values[:, 1:].transpose(1, 2), values[:, 0]


def _bayesian(h: dict[str, torch.Tensor], rows: int, draws: Draws) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs (B, rows, most features) and output (B, rows) of random networks."""
    causes = _causes(h, rows, draws)
    last, depth = [], h["layers"] - 1
    for number, nodes in enumerate(_states(h, causes, draws)):
        last.append(nodes[int((depth > number + 1).sum()) :])  # these end here
    output = _layer(torch.cat(last[::-1]), h, torch.ones_like(depth), 1, draws)
    return causes, output[..., 0]


def _states(h: dict[str, torch.Tensor], causes: torch.Tensor, draws: Draws) -> Iterator[torch.Tensor]:
    """The nodes (tables as deep, rows, most units) of each layer after the first, in a group ordered by depth."""
    width, most = h["width"], int(h["width"].max())
    first = _weights(h, h["causes"], width, (causes.shape[2], most), draws, first=True)
    state = torch.baddbmm(_bias(h["causes"], width, most, draws), causes, first)
    for layer in range(int(h["layers"].max()) - 1):
        deep = int((h["layers"] - 1 > layer).sum())
        part = {name: value[:deep] for name, value in h.items()}
        state = _layer(state[:deep], part, part["width"], most, draws)
        yield state


def _layer(x: torch.Tensor, h: dict[str, torch.Tensor], outputs: torch.Tensor, most: int, draws: Draws) -> torch.Tensor:
    """Activation, linear map and noise: (B, rows, most) of (B, rows, padded width), zero beyond a table's outputs."""
    noise = draws.normal(len(x), x.shape[1], most)
    deviation = h["noise"][:, None].expand(-1, most)
    deviation = torch.where(h["noises"][:, None], (draws.normal(*deviation.shape) * deviation).abs(), deviation)
    deviation = deviation * (torch.arange(most, device=draws.device) < outputs[:, None])
    weights = _weights(h, h["width"], outputs, (x.shape[2], most), draws)
    activate = ACTIVATIONS[int(h["activation"][0])]
    return torch.baddbmm(_bias(h["width"], outputs, most, draws), activate(x), weights).addcmul_(
        deviation[:, None], noise
    )


def _causes(h: dict[str, torch.Tensor], rows: int, draws: Draws) -> torch.Tensor:
    """Values (B, rows, most causes) of the root nodes; zero beyond a table's own.

    All normal, or each cause either normal, of 2 to 10 unordered values, or of a Zipf distribution.
    """
    tables, most = len(h["causes"]), int(h["causes"].max())
    mean = draws.normal(tables, most)
    deviation = (draws.normal(tables, most) * mean).abs()
    shared = h["shared"][:, None]
    mean = torch.where(shared, mean, torch.zeros_like(mean))
    deviation = torch.where(shared, deviation, torch.ones_like(deviation))
    normal = mean[:, None] + deviation[:, None] * draws.normal(tables, rows, most)
    thresholds = draws.uniform(2, tables, 1, high=0.66)
    other = h["mixed"][:, None] & ~(draws.uniform(tables, most) > thresholds[0])
    unordered = other & (draws.uniform(tables, most) > thresholds[1])
    values = normal
    table, cause = unordered.nonzero(as_tuple=True)
    if len(table):
        count = draws.integer(2, 10, len(table))
        weights = draws.uniform(len(table), 10) * (torch.arange(10, device=draws.device) < count[:, None])
        drawn = _categories(weights, rows, draws)
        drawn = (drawn - drawn.mean(1, keepdim=True)) / drawn.std(1, keepdim=True).clamp_min(1e-6)
        values[table, :, cause] = drawn
    table, cause = (other & ~unordered).nonzero(as_tuple=True)
    if len(table):
        exponent = draws.uniform(len(table), 1, low=2.0, high=4.0)
        k = torch.arange(1, 10, device=draws.device)
        weights = k**-exponent
        rest = torch.special.zeta(exponent.double(), torch.tensor(10.0, dtype=torch.float64, device=draws.device))
        drawn = 1 + _categories(torch.cat([weights, rest.float()], 1), rows, draws)  # 10 stands for all larger ones
        values[table, :, cause] = drawn - drawn.mean(1, keepdim=True)
    return values * (torch.arange(most, device=draws.device) < h["causes"][:, None])[:, None]


def _categories(weights: torch.Tensor, rows: int, draws: Draws) -> torch.Tensor:
    """Numbers (M, rows) from 0, drawn with probabilities proportional to ``weights`` (M, k); float32."""
    borders = (weights.cumsum(1) / weights.sum(1, keepdim=True))[:, :-1].contiguous()
    return torch.searchsorted(borders, draws.uniform(len(weights), rows)).float()


def _weights(
    h: dict[str, torch.Tensor],
    inputs: torch.Tensor,
    outputs: torch.Tensor,
    shape: tuple[int, int],
    draws: Draws,
    first: bool = False,
) -> torch.Tensor:
    """(B, *shape), zero beyond a table's own inputs and outputs.

    Dense with dropout from the second layer on, or in blocks along the diagonal, zero elsewhere. The scale of dropout
    is that of the released code, 1 - sqrt(p).
    """
    tables, (rows, columns) = len(inputs), shape
    row = torch.arange(rows, device=draws.device)[:, None]
    column = torch.arange(columns, device=draws.device)[None]
    inputs, outputs = inputs[:, None, None], outputs[:, None, None]
    dropout = torch.zeros_like(h["dropout"]) if first else h["dropout"].clamp(max=0.99)
    blocks = draws.integer(
        torch.ones_like(inputs), torch.minimum(inputs, outputs).float().sqrt().ceil().long(), tables, 1, 1
    )
    high, wide = inputs // blocks, outputs // blocks
    kept = blocks * high * wide / (inputs * outputs)
    blockwise = h["blockwise"][:, None, None]
    scale = h["weight"][:, None, None] / torch.where(blockwise, kept.sqrt(), 1 - dropout.sqrt()[:, None, None])
    weights = draws.normal(tables, rows, columns).mul_(scale).mul_((row < inputs) & (column < outputs))
    members = blockwise[:, 0, 0].nonzero()[:, 0]
    weights[members] *= _inside(row, column, blocks[members], high[members], wide[members])
    if not first:
        members = (~blockwise[:, 0, 0]).nonzero()[:, 0]
        weights[members] *= draws.coin(len(members), rows, columns, p=1 - dropout[members, None, None])
    return weights


def _inside(
    row: torch.Tensor, column: torch.Tensor, blocks: torch.Tensor, high: torch.Tensor, wide: torch.Tensor
) -> torch.Tensor:
    """Whether a weight lies in one of the blocks along the diagonal."""
    return (row < blocks * high) & (column < blocks * wide) & (row // high == column // wide)


def _bias(inputs: torch.Tensor, outputs: torch.Tensor, most: int, draws: Draws) -> torch.Tensor:
    """(B, 1, most), as torch initialises biases: uniform within 1 / sqrt(inputs)."""
    drawn = draws.uniform(len(inputs), 1, most, low=-1.0) * inputs[:, None, None].rsqrt()
    return drawn * (torch.arange(most, device=draws.device) < outputs[:, None, None])


# ---- from values to a table ------------------------------------------------------------------------------------------


def _finish(
    x: torch.Tensor,
    y: torch.Tensor,
    features: torch.Tensor,
    labelled: int,
    configuration: Configuration,
    draws: Draws,
) -> tuple[torch.Tensor, torch.Tensor]:
    tables, _, most = x.shape
    x, y = x.nan_to_num(0.0).clamp(-1e15, 1e15), y.nan_to_num(0.0).clamp(-1e15, 1e15)
    own = torch.arange(most, device=draws.device) < features[:, None]
    x = _rotate(x, features, draws)
    x = _categorical(x, own, configuration, draws)
    x = standardise(squash_outliers(x))
    x = x * own[:, None]
    count = torch.where(
        draws.coin(tables), torch.full_like(features, 2), draws.integer(2, configuration.max_classes, tables)
    )
    classes = _classes(standardise(y[..., None])[..., 0], count, 0.0, configuration.max_classes, draws)
    x, classes = _same_classes(x, classes, labelled, configuration.max_classes, draws)
    return x * (most / features)[:, None, None], classes


def _rotate(x: torch.Tensor, features: torch.Tensor, draws: Draws) -> torch.Tensor:
    """The features of each table, moved on by a random number of places."""
    tables, rows, most = x.shape
    place = torch.arange(most, device=draws.device)
    offset = draws.integer(torch.zeros_like(features), features - 1, tables)
    source = torch.where(place < features[:, None], (place + offset[:, None]) % features[:, None], place)
    return x.gather(2, source[:, None].expand(tables, rows, most))


def squash_outliers(x: torch.Tensor) -> torch.Tensor:
    """Values beyond four standard deviations grow only logarithmically; (..., rows, features)."""
    mean, deviation = _moments(x)
    near = ((x - mean).abs() <= OUTLIER * deviation).to(x.dtype)
    count = near.sum(-2, keepdim=True).clamp_min(2)
    mean = (x * near).sum(-2, keepdim=True) / count
    deviation = (((x - mean).square() * near).sum(-2, keepdim=True) / (count - 1)).sqrt()
    low, high = mean - OUTLIER * deviation, mean + OUTLIER * deviation
    place = ((x < low) | (x > high)).nonzero(as_tuple=True)  # few, and logarithms are slow
    value, low, high = x[place], low.expand_as(x)[place], high.expand_as(x)[place]
    value = torch.maximum(low - torch.log1p(value.abs()), value)
    result = x.clone()
    result[place] = torch.minimum(torch.log1p(value.abs()) + high, value)
    return result


def standardise(x: torch.Tensor) -> torch.Tensor:
    """Mean 0 and deviation 1 over the rows, (..., rows, features), clipped to 100."""
    mean, deviation = _moments(x)
    return ((x - mean) / (deviation + 1e-6)).clamp_(-100, 100)


def _moments(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation over the rows; two passes, several times faster here than ``std``."""
    mean = x.mean(-2, keepdim=True)
    return mean, ((x - mean).square().sum(-2, keepdim=True) / (x.shape[-2] - 1)).sqrt()


def _categorical(x: torch.Tensor, own: torch.Tensor, configuration: Configuration, draws: Draws) -> torch.Tensor:
    """Some columns of some tables become ranks: of max(round(Gamma(1, 10)), 2) classes at most."""
    tables, _, most = x.shape
    share = torch.where(
        draws.coin(tables, p=configuration.categorical), draws.uniform(tables), torch.zeros(tables, device=x.device)
    )
    table, column = (draws.coin(tables, most, p=share[:, None]) & own).nonzero(as_tuple=True)
    if len(table) == 0:
        return x
    most_classes = (-10 * draws.uniform(len(table)).clamp_min(1e-30).log()).round().clamp(2, 100).long()
    count = torch.where(
        draws.coin(len(table)),
        torch.full_like(most_classes, 2),
        draws.integer(torch.full_like(most_classes, 2), most_classes, len(table)),
    )
    x[table, :, column] = _classes(x[table, :, column], count, 0.3, 100, draws).float()
    return x


def _classes(values: torch.Tensor, count: torch.Tensor, ordered: float, most: int, draws: Draws) -> torch.Tensor:
    """Values (B, rows) as class numbers: how many of count - 1 of the values, drawn at random, lie below.

    Class numbers are permuted, but for a share of ``ordered``, and reversed half of the time.
    """
    tables, rows = values.shape
    picked = draws.integer(0, rows - 1, tables, most - 1)
    valid = torch.arange(most - 1, device=draws.device) < (count - 1)[:, None]
    borders = values.gather(1, picked).masked_fill(~valid, math.inf).sort(1).values
    found = torch.searchsorted(borders, values.contiguous())  # borders strictly below
    number = torch.arange(most, device=draws.device).expand(tables, -1)
    shuffled = draws.order(number < count[:, None])
    names = torch.where(draws.coin(tables, 1, p=ordered), number, shuffled)
    found = names.gather(1, found)
    return torch.where(draws.coin(tables, 1), (count[:, None] - 1 - found), found)


def _same_classes(
    x: torch.Tensor, y: torch.Tensor, labelled: int, most: int, draws: Draws
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows in another order where labelled rows and queries differ in their classes (ten tries), classes numbered from
    0 without gaps and moved on by a random number; tables for which no order helped have the class -100."""
    tables, rows, features = x.shape
    bad = ~_compatible(y, labelled, most)
    for _ in range(10):
        members = bad.nonzero()[:, 0]
        if len(members) == 0:
            break
        order = draws.order(torch.ones(len(members), rows, dtype=torch.bool, device=y.device))
        y[members] = y[members].gather(1, order)
        x[members] = x[members].gather(1, order[..., None].expand(-1, -1, features))
        bad[members] = ~_compatible(y[members], labelled, most)
    present = torch.nn.functional.one_hot(y, most).any(1)
    rank = present.long().cumsum(1) - 1
    count = present.sum(1)
    shift = draws.integer(torch.zeros_like(count), count - 1, tables)
    y = (rank.gather(1, y) + shift[:, None]) % count[:, None]
    return x, y.masked_fill(bad[:, None], -100)


def _compatible(y: torch.Tensor, labelled: int, most: int) -> torch.Tensor:
    """(B,) whether the first rows and the others hold the same classes, at least two."""
    one_hot = torch.nn.functional.one_hot(y, most)
    known, asked = one_hot[:, :labelled].any(1), one_hot[:, labelled:].any(1)
    return (known == asked).all(1) & (known.sum(1) > 1)
