"""Graph operators GCN, GraphSAGE and GAT as ``propagate(project(x))``, with the aggregation of a fixed input cached.

A layer of ForwardGNN trains while its input stays the same, so for GCN and GraphSAGE the neighbourhood aggregation of
the input can be computed once and an epoch is a dense product (ForwardGNN, Appendix on training time, Table 15).
Sparse bag-of-words features are never made dense: with class nodes the product is taken in two blocks,
``A [X; V] W = A_r (X W) + A_v (V W)``, X sparse and V one row a class.

Sources: GCN (arXiv 1609.02907, Eq. 2), GraphSAGE with mean aggregation (arXiv 1706.02216, Alg. 1), GAT (arXiv
1710.10903, Eq. 3-6). Initial values are those of torch-geometric's GCNConv, SAGEConv and GATConv.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from claimbench.run import Run

#: columns of a dense factor that are multiplied at once, where its rows are read at least so often
_BLOCK, _READ_OFTEN = 64, 16


class SparseMatrix:
    """A constant sparse matrix with its transpose, ready for products with dense matrices on ``device``.

    Args:
        matrix: (rows, columns); stored as float32.
        device: where the dense factors live.
    """

    def __init__(self, matrix: scipy.sparse.spmatrix, device: torch.device | str = "cpu") -> None:
        self.shape: tuple[int, int] = matrix.shape
        self.host = matrix.tocsr().astype(np.float32)
        self.device = torch.device(device)
        self.forward = _product(self.host, self.device)
        self.backward = _product(self.host.T.tocsr(), self.device)

    def rows(self, rows: Int[Tensor, " kept"]) -> SparseMatrix:
        """The rows ``rows`` as a matrix."""
        return SparseMatrix(self.host[rows.cpu().numpy()], self.device)

    def __matmul__(self, dense: Float[Tensor, "columns width"]) -> Float[Tensor, "rows width"]:
        """The product; differentiable in ``dense``."""
        product: Tensor = _SparseProduct.apply(self, dense)
        return product


def _product(matrix: scipy.sparse.csr_matrix, device: torch.device) -> Callable[[Tensor], Tensor]:
    """``dense -> matrix @ dense``, without gradients.

    On a CPU the rows of ``dense`` are summed as an embedding bag sums them: 2 to 4 times as fast as torch's own CSR.
    Where a row is read often, blocks of columns that stay in the cache take three quarters of the time.
    """
    matrix.sort_indices()
    starts, columns, values = (
        torch.from_numpy(array).to(device)
        for array in (matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64), matrix.data)
    )
    if device.type == "cpu":

        def bag(dense: Tensor) -> Tensor:
            return functional.embedding_bag(
                columns, dense.contiguous(), starts, mode="sum", per_sample_weights=values, include_last_offset=True
            )

        if len(values) < _READ_OFTEN * matrix.shape[1]:
            return bag
        return lambda dense: torch.cat([bag(block) for block in dense.split(_BLOCK, dim=1)], dim=1)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        csr = torch.sparse_csr_tensor(starts, columns, values, matrix.shape, check_invariants=True)
    return lambda dense: csr @ dense


class _SparseProduct(torch.autograd.Function):
    """``S @ x`` for a constant S: saves nothing for backward, whose product uses the stored transpose."""

    @staticmethod
    def forward(ctx: Any, matrix: SparseMatrix, dense: Tensor) -> Tensor:
        ctx.matrix = matrix
        return matrix.forward(dense)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        (gradient,) = gradients
        return None, ctx.matrix.backward(gradient)


class SparseFeatures:
    """Node features, sparse for the real nodes and dense for the class nodes stacked below them.

    Args:
        sparse: (nodes, features).
        dense: (classes, features), or None when there are no class nodes.
    """

    def __init__(self, sparse: SparseMatrix, dense: Float[Tensor, "classes features"] | None = None) -> None:
        self.sparse, self.dense = sparse, dense
        self.shape = (sparse.shape[0] + (0 if dense is None else dense.shape[0]), sparse.shape[1])

    def __matmul__(self, weight: Float[Tensor, "features width"]) -> Float[Tensor, "nodes width"]:
        """The product with a weight matrix: (nodes + classes, width)."""
        product = self.sparse @ weight
        return product if self.dense is None else torch.cat([product, self.dense @ weight])

    def to_dense(self) -> Float[Tensor, "nodes features"]:
        """The same as one dense matrix: (nodes + classes, features)."""
        top = torch.from_numpy(self.sparse.host.toarray()).to(self.sparse.device)
        return top if self.dense is None else torch.cat([top, self.dense])


#: (nodes, features), dense or sparse
Features = Float[Tensor, "_ _"] | SparseFeatures


def unit_rows(x: Float[Tensor, "nodes width"], epsilon: float = 1e-8) -> Float[Tensor, "nodes width"]:
    """Every row divided by its Euclidean norm plus ``epsilon``: the normalisation before each layer of ForwardGNN
    (Section 3.1)."""
    return x / x.norm(dim=1, keepdim=True).add_(epsilon)


def row_l2_normalise(x: Features, epsilon: float = 1e-8) -> Features:
    """:func:`unit_rows` of dense or sparse features."""
    if not isinstance(x, SparseFeatures):
        return unit_rows(x, epsilon)
    norm = np.sqrt(np.asarray(x.sparse.host.multiply(x.sparse.host).sum(axis=1)).ravel()) + np.float32(epsilon)
    sparse = SparseMatrix(scipy.sparse.diags((1.0 / norm).astype(np.float32)) @ x.sparse.host, x.sparse.device)
    return SparseFeatures(sparse, None if x.dense is None else unit_rows(x.dense, epsilon))


class Graph:
    """Message passing structure of a directed edge list; ``receivers`` limits the outputs to some nodes.

    Args:
        edge_index: (2, edges) int64, source above target.
        n_nodes: number of nodes.
        receivers: nodes whose output is wanted, in this order; None for all.
    """

    def __init__(
        self,
        edge_index: Int[Tensor, "2 edges"],
        n_nodes: int,
        receivers: Int[Tensor, " receivers"] | None = None,
        _whole: Graph | None = None,
    ) -> None:
        self.edge_index, self.n_nodes, self.receivers, self._whole = edge_index, n_nodes, receivers, _whole
        self.device = edge_index.device

    def towards(self, receivers: Int[Tensor, " receivers"]) -> Graph:
        """The same graph with outputs at ``receivers`` alone."""
        return Graph(self.edge_index, self.n_nodes, receivers, _whole=self)

    @cached_property
    def _adjacency(self) -> scipy.sparse.csr_matrix:
        source, target = self.edge_index.cpu().numpy()
        ones = np.ones(len(source), np.float32)
        return scipy.sparse.csr_matrix((ones, (target, source)), shape=(self.n_nodes, self.n_nodes))

    @cached_property
    def gcn(self) -> SparseMatrix:
        """``D^-1/2 (A + I) D^-1/2`` (nodes, nodes); a node's own loop is replaced, not doubled."""
        if self._whole is not None and self.receivers is not None:
            return self._whole.gcn.rows(self.receivers)
        own = scipy.sparse.diags(1.0 - self._adjacency.diagonal())
        adjacency = (self._adjacency + own).tocsr().astype(np.float32)
        inverse_root = scipy.sparse.diags((1.0 / np.sqrt(np.asarray(adjacency.sum(axis=1)).ravel())).astype(np.float32))
        return SparseMatrix(inverse_root @ adjacency @ inverse_root, self.device)

    @cached_property
    def mean(self) -> SparseMatrix:
        """``D^-1 A`` (nodes, nodes), zero rows for nodes without neighbours."""
        if self._whole is not None and self.receivers is not None:
            return self._whole.mean.rows(self.receivers)
        degree = np.asarray(self._adjacency.sum(axis=1)).ravel()
        inverse = np.divide(1.0, degree, out=np.zeros_like(degree), where=degree > 0)
        return SparseMatrix(scipy.sparse.diags(inverse) @ self._adjacency, self.device)

    @cached_property
    def looped(self) -> tuple[Int[Tensor, " looped"], Int[Tensor, " looped"]]:
        """(source, target) of all edges with exactly one loop a node (GAT)."""
        keep = self.edge_index[0] != self.edge_index[1]
        nodes = torch.arange(self.n_nodes, device=self.device)
        return torch.cat([self.edge_index[0][keep], nodes]), torch.cat([self.edge_index[1][keep], nodes])

    def at_receivers(self, x: Float[Tensor, "nodes width"]) -> Float[Tensor, "receivers width"]:
        """Rows of ``x`` at the receivers."""
        return x if self.receivers is None else x[self.receivers]


def _uniform(shape: tuple[int, ...], bound: float, generator: torch.Generator) -> nn.Parameter:
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound, generator=generator))


class GCN(nn.Module):
    """``D^-1/2 (A + I) D^-1/2 x W + b``.

    Args:
        in_features: input width.
        out_features: output width.
        generator: stream of the initial weights (Glorot uniform; zero bias), on the CPU.
    """

    def __init__(self, in_features: int, out_features: int, generator: torch.Generator, *, last: bool = False) -> None:
        super().__init__()
        self.weight = _uniform((in_features, out_features), math.sqrt(6 / (in_features + out_features)), generator)
        self.bias = nn.Parameter(torch.zeros(out_features))

    def project(self, x: Features) -> Float[Tensor, "nodes out"]:
        """``x W``: (nodes, out)."""
        return x @ self.weight

    def propagate(self, h: Float[Tensor, "nodes out"], graph: Graph) -> Float[Tensor, "receivers out"]:
        """Aggregate projected features ``h``: (receivers, out)."""
        return (graph.gcn @ h).add_(self.bias)

    def aggregate(self, x: Float[Tensor, "nodes inputs"], graph: Graph) -> Float[Tensor, "receivers inputs"]:
        """What of a fixed dense input can be computed once: (receivers, in)."""
        return graph.gcn @ x

    def combine(self, aggregated: Float[Tensor, "receivers inputs"]) -> Float[Tensor, "receivers out"]:
        """Output from a cached aggregation: (receivers, out)."""
        return torch.addmm(self.bias, aggregated, self.weight)


class SAGE(nn.Module):
    """``mean_neighbours(x) W_l + x W_r + b``; ``weight`` holds ``[W_l | W_r]``.

    Args: as :class:`GCN`; weights and bias start uniform in +-1/sqrt(in).
    """

    def __init__(self, in_features: int, out_features: int, generator: torch.Generator, *, last: bool = False) -> None:
        super().__init__()
        bound = 1 / math.sqrt(in_features)
        self.out_features = out_features
        self.weight = _uniform((in_features, 2 * out_features), bound, generator)
        self.bias = _uniform((out_features,), bound, generator)

    def project(self, x: Features) -> Float[Tensor, "nodes both"]:
        """``x [W_l | W_r]``: (nodes, 2 out)."""
        return x @ self.weight

    def propagate(self, h: Float[Tensor, "nodes both"], graph: Graph) -> Float[Tensor, "receivers out"]:
        """Mean of the neighbours' left halves of ``h`` plus the node's right half: (receivers, out)."""
        neighbours, own = h[:, : self.out_features].contiguous(), h[:, self.out_features :]
        return graph.mean @ neighbours + graph.at_receivers(own) + self.bias

    def aggregate(self, x: Float[Tensor, "nodes inputs"], graph: Graph) -> Float[Tensor, "receivers both"]:
        """[mean of the neighbours | own]: (receivers, 2 in)."""
        return torch.cat([graph.mean @ x, graph.at_receivers(x)], dim=1)

    def combine(self, aggregated: Float[Tensor, "receivers both"]) -> Float[Tensor, "receivers out"]:
        """Output from a cached aggregation: (receivers, out)."""
        width, out = self.weight.shape[0], self.out_features
        neighbours = torch.addmm(self.bias, aggregated[:, :width], self.weight[:, :out])
        return torch.addmm(neighbours, aggregated[:, width:], self.weight[:, out:])


class GAT(nn.Module):
    """Attention over neighbours and the node itself, LeakyReLU slope 0.2.

    Attention depends on the weights, so nothing is cached.

    Args:
        in_features: input width.
        out_features: output width; a multiple of ``heads`` unless ``last``.
        generator: stream of the initial weights (Glorot uniform; zero bias).
        last: average the heads, each ``out_features`` wide, instead of concatenating them (class scores of BP).
        heads: number of heads, whose outputs are concatenated.
    """

    def __init__(
        self, in_features: int, out_features: int, generator: torch.Generator, *, last: bool = False, heads: int = 4
    ) -> None:
        super().__init__()
        self.heads, self.last = heads, last
        self.head_features = out_features if last else out_features // heads
        width = heads * self.head_features
        self.weight = _uniform((in_features, width), math.sqrt(6 / (in_features + width)), generator)
        bound = math.sqrt(6 / (heads + self.head_features))
        self.attend_source = _uniform((heads, self.head_features), bound, generator)
        self.attend_target = _uniform((heads, self.head_features), bound, generator)
        self.bias = nn.Parameter(torch.zeros(out_features))

    def project(self, x: Features) -> Float[Tensor, "nodes heads_width"]:
        """``x W``: (nodes, heads * head width)."""
        return x @ self.weight

    def propagate(self, h: Float[Tensor, "nodes heads_width"], graph: Graph) -> Float[Tensor, "receivers out"]:
        """The neighbours' projected features, weighted by attention: (receivers, out)."""
        source, target = graph.looped
        heads = h.view(-1, self.heads, self.head_features)
        score = functional.leaky_relu(
            (heads * self.attend_source).sum(-1)[source] + (heads * self.attend_target).sum(-1)[target], 0.2
        )
        index = target[:, None].expand_as(score)
        # The softmax's shift cancels, so it needs no gradient.
        peak = score.new_full((graph.n_nodes, self.heads), -torch.inf).scatter_reduce(0, index, score.detach(), "amax")
        unnormalised = (score - peak[target]).exp()
        total = torch.zeros_like(peak).index_add(0, target, unnormalised)
        attention = unnormalised / (total[target] + 1e-16)
        out = torch.zeros_like(heads).index_add(0, target, heads[source] * attention[:, :, None])
        out = out.mean(dim=1) if self.last else out.flatten(1)
        return graph.at_receivers(out) + self.bias


OPERATORS: dict[str, type[GCN] | type[SAGE] | type[GAT]] = {"GCN": GCN, "SAGE": SAGE, "GAT": GAT}
Operator = GCN | SAGE | GAT


def make_layer(run: Run, layer: int, in_features: int, out_features: int, *, last: bool = False) -> Operator:
    """Layer number ``layer`` of the run's backbone, on the run's device; initial weights are drawn on the CPU."""
    generator = run.torch_generator(f"layer-{layer}", device="cpu")
    return OPERATORS[run.setting["backbone"]](in_features, out_features, generator, last=last).to(run.device)


class PreparedInput:
    """A layer's fixed input on a graph, ready for many forward passes.

    Dense inputs of GCN and SAGE are aggregated once; sparse ones are projected first, which is cheaper because ``A X``
    has several times the entries of X (CoraML: 690 k against 151 k).

    Args:
        operator: the layer; its parameters may change between passes.
        x: (nodes, in) input that stays.
        graph: its receivers are the nodes whose output is wanted.
        cached: whether to aggregate beforehand where that is possible.
    """

    def __init__(self, operator: Operator, x: Features, graph: Graph, *, cached: bool = True) -> None:
        self.x, self.graph = x, graph
        self.aggregated: Tensor | None = None
        if cached and not isinstance(x, SparseFeatures) and not isinstance(operator, GAT):
            with torch.no_grad():
                self.aggregated = operator.aggregate(x, graph)

    def __call__(self, operator: Operator) -> Float[Tensor, "receivers out"]:
        """ReLU of the operator's output: (receivers, out)."""
        return self.linear(operator).relu_()

    def linear(self, operator: Operator) -> Float[Tensor, "receivers out"]:
        """The operator's output before ReLU: (receivers, out)."""
        if self.aggregated is not None and not isinstance(operator, GAT):
            return operator.combine(self.aggregated)
        return operator.propagate(operator.project(self.x), self.graph)
