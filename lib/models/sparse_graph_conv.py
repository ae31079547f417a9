"""The CPU's form of a semantic graph convolution: sums over a node's few neighbours instead of products of (N, N).

A body graph of 96 nodes has 5 neighbours per node. `F.embedding_bag` adds weighted rows, here a node's features of the
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

    entries, signs (E,): the factor of a summand is signs * A.flatten()[entries]. columns (E,), starts (N,): summands of
    all nodes one after the other, and where each node's begin. order, nodes (E,), column_starts (2 N,): the same summands
    by column. isolated: nodes without neighbours, whose row of A is uniform; they sum up 1/N of themselves in both forms
    (with the sign that takes it out again) and are to get the mean of x W_1 besides.
    """

    entries: torch.Tensor
    signs: torch.Tensor
    columns: torch.Tensor
    starts: torch.Tensor
    order: torch.Tensor
    nodes: torch.Tensor
    column_starts: torch.Tensor
    isolated: torch.Tensor

    @classmethod
    def of(cls, adjacency: np.ndarray) -> "SparseRows":
        """For a graph (N, N) bool."""
        N = len(adjacency)
        isolated = np.flatnonzero(~adjacency.any(1))
        others = adjacency & ~np.eye(N, dtype=bool)
        others[isolated, isolated] = True
        own = np.diag(adjacency.diagonal() | ~adjacency.any(1))
        nodes, columns = np.concatenate([own, others], 1).nonzero()
        order = np.argsort(columns, kind="stable")
        signs = np.where((columns == nodes + N), -1.0, 1.0)
        arrays = (
            *(nodes * N + columns % N, signs.astype(np.float32), columns),
            *(np.searchsorted(nodes, np.arange(N)), order, nodes[order]),
            *(np.searchsorted(columns[order], np.arange(2 * N)), isolated),
        )
        return cls(*map(torch.from_numpy, arrays))

    def factors(self, A: torch.Tensor) -> torch.Tensor:
        """The summands' factors (E,) from the neighbour weights A (N, N)."""
        return A.flatten()[self.entries] * self.signs


class SparseGraphConv(torch.autograd.Function):
    """x (N, B, in), the summands' factors (E,), weight (2, in, out), bias (out,), rows: to (N, B, out)."""

    @staticmethod
    def forward(ctx, x, factors, weight, bias, rows: SparseRows):
        N, B, _ = x.shape
        x = x.flatten(0, 1)
        products = x.new_empty(2, N * B, len(bias))
        for product, W in zip(products, weight, strict=True):
            torch.mm(x, W, out=product)
        products = products.view(2 * N, B * len(bias))
        with torch.enable_grad():  # of the factors alone: PyTorch has their derivative
            ctx.factors = factors.detach().requires_grad_(ctx.needs_input_grad[1])
            ctx.sums = F.embedding_bag(rows.columns, products, rows.starts, mode="sum", per_sample_weights=ctx.factors)
        y = ctx.sums.detach()
        if len(rows.isolated):
            y[rows.isolated] += products[N:].mean(0)
        y = y.view(N, B, len(bias)).add_(bias)
        ctx.save_for_backward(x, weight)
        ctx.rows = rows
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, dy):
        x, weight = ctx.saved_tensors
        rows = ctx.rows
        N, B, channels = dy.shape
        dy = dy.reshape(N, B * channels)
        dfactors = None
        if ctx.needs_input_grad[1]:
            (dfactors,) = torch.autograd.grad(ctx.sums, ctx.factors, dy, retain_graph=True)
        by_column = ctx.factors.detach()[rows.order]
        dproducts = F.embedding_bag(rows.nodes, dy, rows.column_starts, mode="sum", per_sample_weights=by_column)
        if len(rows.isolated):
            dproducts[N:] += dy[rows.isolated].sum(0) / N
        own, others = dproducts.view(2, N * B, channels)
        dx = None
        if ctx.needs_input_grad[0]:
            dx = torch.mm(own, weight[0].T)
            dx = torch.addmm(dx, others, weight[1].T, out=dx).view(N, B, -1)
        dweight = torch.stack([x.T @ own, x.T @ others])
        return dx, dfactors, dweight, dy.view(N * B, channels).sum(0), None
