import numpy as np
import pytest
import torch

from lib.graph.scales import build_scales
from lib.joints import HUMAN36M_17
from lib.models.sem_graph_conv import SemGraphConv
from lib.models.sparse_graph_conv import SparseRows


def as_matrix(rows: SparseRows, A: torch.Tensor) -> torch.Tensor:
    """[diag(A), offdiag(A)] (N, 2 N) from the summands and what isolated nodes get besides."""
    N = len(A)
    ends = [*rows.starts[1:].tolist(), len(rows.columns)]
    matrix = torch.zeros(N, 2 * N, dtype=A.dtype)
    for node, (start, end) in enumerate(zip(rows.starts.tolist(), ends, strict=True)):
        for factor, column in zip(rows.factors(A)[start:end], rows.columns[start:end], strict=True):
            matrix[node, column] += factor
    matrix[rows.isolated, N:] += 1 / N
    return matrix


@pytest.mark.parametrize("seed", range(5))
def test_the_summands_are_the_diagonal_and_the_rest_of_the_neighbour_weights(seed):
    graph = np.random.default_rng(seed).random((6, 6)) < 0.3
    graph[3] = False  # isolated
    layer = SemGraphConv(graph, 1, 1).double()
    with torch.no_grad():
        A = layer.neighbour_weights()
        expected = torch.cat([torch.diag(A.diagonal()), A - torch.diag(A.diagonal())], 1)
        assert torch.allclose(as_matrix(SparseRows.of(graph), A), expected, rtol=0, atol=1e-15)


def test_by_column_the_same_summands_stand_in_order_of_what_they_add():
    rows = SparseRows.of(np.random.default_rng(1).random((6, 6)) < 0.4)
    columns = rows.columns[rows.order]
    assert (columns.diff() >= 0).all()
    ends = torch.tensor([*rows.column_starts[1:].tolist(), len(columns)])
    for column, (start, end) in enumerate(zip(rows.column_starts, ends, strict=True)):
        assert (columns[start:end] == column).all()
    node_of = torch.searchsorted(rows.starts, torch.arange(len(columns)), right=True) - 1  # no node is without summands
    assert torch.equal(rows.nodes, node_of)
    assert torch.equal(rows.column_nodes, node_of[rows.order])


def test_a_body_graph_has_few_summands_per_node_however_many_padding_nodes(icosphere):
    for scale in build_scales(HUMAN36M_17, icosphere(3), coarsen_levels=4):
        edges, isolated = scale.adjacency.sum(), (~scale.adjacency.any(1)).sum()
        assert len(SparseRows.of(scale.adjacency).columns) == edges + 2 * isolated


@pytest.mark.parametrize(("inner", "outer"), [(2, 8), (8, 8), (8, 3)], ids=["input", "inner", "output"])
def test_both_forms_agree_in_float32(monkeypatch, inner, outer):
    graph = np.random.default_rng(2).random((9, 9)) < 0.3
    graph[5] = False
    torch.manual_seed(0)
    layer, x = SemGraphConv(graph, inner, outer), torch.randn(9, 4, inner, requires_grad=True)
    direction = torch.randn(9, 4, outer)

    def everything():
        layer.zero_grad()
        x.grad = None
        y = layer(x)
        (y * direction).sum().backward()
        return [y.detach(), x.grad, *(p.grad for p in layer.parameters())]

    sparse = everything()
    monkeypatch.setattr("lib.models.sem_graph_conv.runs_sparse", lambda x: False)
    for a, b in zip(sparse, everything(), strict=True):
        assert torch.allclose(a, b, rtol=0, atol=2e-6 * b.abs().max())
