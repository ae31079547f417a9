"""The CPU's form of a semantic graph convolution: sums over a node's few neighbours instead of products of (N, N).

A node of a body graph has about five neighbours. `F.embedding_bag` adds weighted rows, here a node's features of the
whole batch, which is what such a sum is. The backward pass is written out because its sums are of the same kind.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch.autograd.function import once_differentiable


@dataclass(frozen=True)
class SparseRows:
    """Which of the rows [x W_0; x W_1] (2 N, ...) each node sums up, as bags of `F.embedding_bag`, and the transpose.

    entries, signs (E,): the factor of a summand is signs * A.flatten()[entries]. columns, nodes (E,), starts (N,): rows and
    nodes of all summands, node by node, and where each node's begin. order, column_nodes (E,), column_starts (2 N,): the
    same summands row by row. isolated: nodes whose row of the graph is empty, so that their row of A is uniform; they add
    1/N of their own x W_0, subtract 1/N of their own x W_1, and are to get the mean of all x W_1 besides.
    """

    entries: torch.Tensor
    signs: torch.Tensor
    columns: torch.Tensor
    nodes: torch.Tensor
    starts: torch.Tensor
    order: torch.Tensor
    column_nodes: torch.Tensor
    column_starts: torch.Tensor
    isolated: torch.Tensor

    @classmethod
    def of(cls, adjacency: np.ndarray) -> "SparseRows":
        """For a graph (N, N) bool."""
        N = len(adjacency)
        isolated = ~adjacency.any(1)
        loops = np.eye(N, dtype=bool)
        own, others = loops & (adjacency | isolated), adjacency & ~loops | loops & isolated
        nodes, columns = np.concatenate([own, others], 1).nonzero()
        order = np.argsort(columns, kind="stable")
        signs = np.where(columns == nodes + N, np.float32(-1), np.float32(1))
        arrays = (
            *(nodes * N + columns % N, signs, columns, nodes, np.searchsorted(nodes, np.arange(N))),
            *(order, nodes[order], np.searchsorted(columns[order], np.arange(2 * N)), np.flatnonzero(isolated)),
        )
        return cls(*(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays))

    def factors(self, A: torch.Tensor) -> torch.Tensor:
        """The summands' factors (E,) from the neighbour weights A (N, N)."""
        return A.flatten()[self.entries] * self.signs


class SparseGraphConv(torch.autograd.Function):
    """x (N, B, in), the summands' factors (E,), weight (2, in, out), bias (out,), rows: to (N, B, out).

    float32 or float64. It has a first derivative only, and none of torch.func's transforms.
    """

    @staticmethod
    def forward(ctx, x, factors, weight, bias, rows: SparseRows):
        N, B, _ = x.shape
        x = x.flatten(0, 1)
        products = x.new_empty(2, N * B, len(bias))
        for product, W in zip(products, weight, strict=True):
            torch.mm(x, W, out=product)
        products = products.view(2 * N, B * len(bias))
        y = F.embedding_bag(rows.columns, products, rows.starts, mode="sum", per_sample_weights=factors)
        if len(rows.isolated):
            y[rows.isolated] += products[N:].mean(0)
        ctx.save_for_backward(x, factors, weight, products)
        ctx.rows = rows
        return y.view(N, B, len(bias)).add_(bias)

    @staticmethod
    @once_differentiable
    def backward(ctx, dy):
        x, factors, weight, products = ctx.saved_tensors
        rows = ctx.rows
        N, B, channels = dy.shape
        dy = dy.reshape(N, B * channels)
        dx = dfactors = dweight = dbias = None
        if ctx.needs_input_grad[1]:  # PyTorch's own derivative of embedding_bag; 0 stands for "sum"
            dfactors = torch.ops.aten._embedding_bag_per_sample_weights_backward(
                dy, products, rows.columns, rows.starts, rows.nodes, 0
            )
        by_column = factors[rows.order]
        dproducts = F.embedding_bag(rows.column_nodes, dy, rows.column_starts, mode="sum", per_sample_weights=by_column)
        if len(rows.isolated):
            dproducts[N:] += dy[rows.isolated].sum(0) / N
        own, others = dproducts.view(2, N * B, channels)
        if ctx.needs_input_grad[0]:
            dx = torch.mm(own, weight[0].T)
            dx = torch.addmm(dx, others, weight[1].T, out=dx).view(N, B, -1)
        if ctx.needs_input_grad[2]:
            dweight = torch.stack([x.T @ own, x.T @ others])
        if ctx.needs_input_grad[3]:
            dbias = dy.view(N * B, channels).sum(0)
        return dx, dfactors, dweight, dbias, None
