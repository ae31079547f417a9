import numpy as np
import pytest
import scipy.sparse as sp
from scipy.spatial import Delaunay

from lib.errors import UserError
from lib.graph.adjacency import mesh_adjacency
from lib.graph.coarsening import classic_argsort, coarsen
from tests.plain.coarsening import plain_argsort, plain_coarsen


def _graph(n: int, edges: dict[tuple[int, int], float]) -> np.ndarray:
    W = np.zeros((n, n))
    for (i, j), weight in edges.items():
        W[i, j] = W[j, i] = weight
    return W


# --- the order of ties ---


def test_up_to_16_values_are_sorted_stably():
    assert classic_argsort(np.array([2, 1, 2, 1])).tolist() == [1, 3, 0, 2]
    assert classic_argsort(np.zeros(16)).tolist() == list(range(16))


def test_17_equal_values_come_in_the_order_of_the_classic_quicksort():
    # lo = 0, mid = 8, hi = 16; nothing moves in the median of three. Pivot (index 8) parked at place 15, index 15 at 8.
    # Both scans stop on equal values, so places (1,14) (2,13) (3,12) (4,11) (5,10) (6,9) (7,8) are exchanged:
    #   0 14 13 12 11 10 9 15 7 6 5 4 3 2 1 8 16, where index 15 came from place 8 to 7 and 7 to 8.
    # The scans cross at place 8, where the pivot goes; index 7 goes to place 15. Both parts are short and all equal.
    assert classic_argsort(np.ones(17)).tolist() == [0, 14, 13, 12, 11, 10, 9, 15, 8, 6, 5, 4, 3, 2, 1, 7, 16]


def test_the_median_of_three_moves_a_small_last_value_to_the_front():
    # (mid, hi): 0 < 1 puts index 16 at place 8 and 8 at 16; (lo, mid): 0 < 1 puts index 16 at place 0 and 0 at 8.
    # The pivot is index 0; from there on as above with 0 in the part of 8.
    values = np.array([1] * 16 + [0])
    assert classic_argsort(values).tolist() == [16, 14, 13, 12, 11, 10, 9, 15, 0, 6, 5, 4, 3, 2, 1, 7, 8]


@pytest.mark.parametrize("count", [0, 1, 2, 15, 16, 17, 18, 40, 700])
@pytest.mark.parametrize("distinct", [1, 2, 6, 10_000])
def test_order_is_a_permutation_that_sorts_and_equals_the_plain_quicksort(count, distinct):
    values = np.random.default_rng(count).integers(0, distinct, count).astype(float)
    order = classic_argsort(values)
    assert sorted(order) == list(range(count))
    assert (np.diff(values[order]) >= 0).all()
    assert order.tolist() == plain_argsort(values)


def test_sorted_and_reversed_values_are_sorted_too():
    values = np.arange(1000.0)
    assert classic_argsort(values).tolist() == list(range(1000))
    assert classic_argsort(-values).tolist() == list(range(999, -1, -1))


# --- one level, scores written out ---


def test_path_of_four_nodes_pairs_its_ends():
    # 0 - 1 - 2 - 3 with weights 1; degrees 1 2 2 1; visiting order 0 3 1 2; every first stored value is 1.
    # Row 0 has the entry 1 and, by the quirk, the first entry of row 1, which is 0 itself: ignored.
    # 0: node 1 with (2 + 1 + 1) / (1 + 2) > 0           -> cluster 0 = {0, 1}
    # 3: the last row does not see its last entry, which is its only one -> cluster 1 = {3}
    # 2: node 1 is taken; node 3 is taken                -> cluster 2 = {2}
    result = coarsen(sp.csr_matrix(_graph(4, {(0, 1): 1, (1, 2): 1, (2, 3): 1})), 1)
    assert result.parents[0].tolist() == [0, 0, 2, 1]
    # The edge 0-1 becomes a self weight of 2; 1-2 joins clusters 0 and 2; 2-3 joins clusters 2 and 1.
    assert result.graphs[1].toarray().tolist() == [[2, 0, 1], [0, 0, 1], [1, 1, 0]]
    # Coarsest order 0 1 2; the children of 0 are 0 and 1, of 1 node 3 and padding 4, of 2 node 2 and padding 5.
    assert [p.tolist() for p in result.permutations] == [[0, 1, 3, 4, 2, 5], [0, 1, 2]]


def test_the_heavier_edge_wins_and_equal_scores_go_to_the_lower_index():
    # 0 and 5 stand aside so that neither the first nor the last row plays a part.
    #   edges 0-5: 9, 1-2: 1, 1-3: 1, 1-4: 1, 2-4: 3, 3-4: 3  ->  sums 9, 3, 4, 4, 7, 9; order 1 2 3 4 0 5
    # First stored values: row 1: W_12 = 1, row 2: W_21 = 1, row 3: W_31 = 1, row 4: W_41 = 1.
    # 1: node 2 (2*1+1+1)/(3+4) = 4/7, node 3 the same, node 4 (2+1+1)/(3+7) = 4/10  -> 2, the lower index
    # 3: node 1 taken; node 4 (6+1+1)/(4+7) > 0                                       -> {3, 4}
    # 0: node 5, the only entry of row 0                                               -> {0, 5}
    W = _graph(6, {(0, 5): 9, (1, 2): 1, (1, 4): 1, (2, 4): 3, (3, 4): 3, (1, 3): 1})
    assert coarsen(sp.csr_matrix(W), 1).parents[0].tolist() == [2, 0, 0, 1, 1, 2]


def test_the_first_stored_value_of_a_row_stands_in_for_the_self_weight():
    # Node 2 chooses between 1 and 3 over edges of equal weight 2.
    #   edges 0-3: 6, 1-2: 2, 2-3: 2, 1-4: 4, 3-4: 0.5, 0-4: 3  ->  sums 0: 9, 1: 6, 2: 4, 3: 8.5, 4: 7.5
    # 2 is visited first. First stored values: row 1: W_12 = 2, row 2: W_21 = 2, row 3: W_30 = 6.
    #   node 1: (2*2 + 2 + 2) / (4 + 6) = 0.8;  node 3: (2*2 + 2 + 6) / (4 + 8.5) = 0.96   -> 3
    # With the true self weights, all zero, node 1 would win: 4/10 against 4/12.5.
    W = _graph(5, {(0, 3): 6, (1, 2): 2, (2, 3): 2, (1, 4): 4, (3, 4): 0.5, (0, 4): 3})
    parents = coarsen(sp.csr_matrix(W), 1).parents[0]
    assert parents[2] == parents[3] == 0
    assert parents[1] != 0


def test_row_0_sees_the_first_entry_of_row_1_as_its_own():
    # Two separate pairs 0-3 (weight 1), 1-2 (weight 2); sums 1, 2, 2, 1; order 0 3 1 2.
    # Row 0 holds (3: 1) and, read too far, the first entry of row 1, (2: 2).
    #   node 3: (2*1 + 1 + 1) / (1 + 1) = 2;  node 2: (2*2 + 1 + 2) / (1 + 2) = 7/3   -> 2, no neighbour at all
    # 3 is the last row and does not see its only entry: alone. 1: its neighbour 2 is taken: alone.
    W = _graph(4, {(0, 3): 1, (1, 2): 2})
    assert coarsen(sp.csr_matrix(W), 1).parents[0].tolist() == [0, 2, 0, 1]


def test_the_last_row_does_not_see_its_last_entry():
    #   edges 0-1: 5, 0-2: 9, 0-3: 1, 1-2: 9, 1-3: 1, 2-3: 8  ->  sums 15, 15, 26, 10; order 3 0 1 2
    # 3 sees 0 and 1: (2*1 + 1 + 5) / (10 + 15) = 0.32 for both, rows 0 and 1 starting with 5           -> 0
    # Node 2, over the heaviest edge, would have won: (2*8 + 1 + 9) / (10 + 26) = 0.72, row 2 starting with 9.
    # 1: 0 and 3 are taken, 2 is free                                                                     -> 2
    W = _graph(4, {(0, 1): 5, (0, 2): 9, (0, 3): 1, (1, 2): 9, (1, 3): 1, (2, 3): 8})
    assert coarsen(sp.csr_matrix(W), 1).parents[0].tolist() == [0, 1, 1, 0]


def test_self_weights_do_not_count_in_the_scores_of_the_first_level():
    #   edges 0-2: 1, 0-4: 4, 1-2: 1, 1-3: 1, 2-4: 2, 3-4: 1; self weight W_33 = 4
    #   column sums 5, 2, 4, 6, 7, so the order is 1 2 0 3 4; without the diagonal 5, 2, 4, 2, 7
    # 1: node 2 (2 + 1 + 1) / (2 + 4) = 0.67; node 3 (2 + 1 + 1) / (2 + 2) = 1, with its self weight it would be 0.5 -> 3
    # 2: node 0 (2 + 1 + 1) / (4 + 5) = 0.44; node 4 (4 + 1 + 4) / (4 + 7) = 0.82                                    -> 4
    W = _graph(5, {(0, 2): 1, (0, 4): 4, (1, 2): 1, (1, 3): 1, (2, 4): 2, (3, 4): 1})
    W[3, 3] = 4
    result = coarsen(sp.csr_matrix(W), 1)
    assert result.parents[0].tolist() == [2, 0, 1, 0, 1]
    # {1, 3}: 2 * 1 + 4 inside; 1-2 and 3-4 to {2, 4}, which has 2 * 2 inside and 0-2 and 0-4 to {0}.
    assert result.graphs[1].toarray().tolist() == [[6, 2, 0], [2, 4, 5], [0, 5, 0]]


# --- whole hierarchies ---


def _delaunay(points: int, seed: int) -> np.ndarray:
    faces = Delaunay(np.random.default_rng(seed).random((points, 2))).simplices
    return np.unique(faces, return_inverse=True)[1].reshape(faces.shape)


def _relabelled(faces: np.ndarray, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).permutation(faces.max() + 1)[faces]


@pytest.fixture(
    params=["sphere", "relabelled sphere", "plane of 50", "plane of 233", "two spheres", "weighted"],
)
def graph_and_levels(request, icosphere):
    kind = request.param
    if kind == "sphere":
        return mesh_adjacency(icosphere(3)), 5
    if kind == "relabelled sphere":
        return mesh_adjacency(_relabelled(icosphere(2), 4)), 5
    if kind.startswith("plane"):
        return mesh_adjacency(_delaunay(int(kind.split()[-1]), 1)), 4
    if kind == "two spheres":
        return mesh_adjacency(np.concatenate([icosphere(1), icosphere(2) + 42])), 4
    graph = mesh_adjacency(_delaunay(120, 2)).tolil()
    rng = np.random.default_rng(5)
    for i, j in zip(*sp.triu(graph).nonzero(), strict=True):
        graph[i, j] = graph[j, i] = rng.integers(1, 6)
    return graph.tocsr(), 5


def test_parents_permutations_and_graphs_equal_the_plain_ones(graph_and_levels):
    graph, levels = graph_and_levels
    result = coarsen(graph, levels)
    parents, permutations, graphs = plain_coarsen(graph.toarray(), levels)
    assert [p.tolist() for p in result.parents] == parents
    assert [p.tolist() for p in result.permutations] == permutations
    for fast, plain in zip(result.graphs, graphs, strict=True):
        assert (fast.toarray() == plain).all()


def test_each_level_at_most_halves_and_clusters_hold_one_or_two_nodes(graph_and_levels):
    result = coarsen(*graph_and_levels)
    for parent, finer, coarser in zip(result.parents, result.graphs, result.graphs[1:], strict=False):
        assert finer.shape[0] / 2 <= coarser.shape[0] < finer.shape[0]
        assert set(np.bincount(parent)) <= {1, 2}


def test_merging_keeps_the_sum_of_all_weights_and_symmetry(graph_and_levels):
    for graph in coarsen(*graph_and_levels).graphs:
        assert graph.sum() == graph_and_levels[0].sum()
        assert (graph != graph.T).nnz == 0


def test_children_of_position_i_stand_at_2i_and_2i_plus_1(graph_and_levels):
    result = coarsen(*graph_and_levels)
    for parent, finer, coarser in zip(result.parents, result.permutations, result.permutations[1:], strict=False):
        assert len(finer) == 2 * len(coarser)
        for position, child in enumerate(finer):
            if child < len(parent):  # padding nodes have no parent of their own
                assert coarser[position // 2] == parent[child]


def test_padding_nodes_are_numbered_after_the_real_ones_in_order_of_appearance(graph_and_levels):
    result = coarsen(*graph_and_levels)
    for permutation, graph in zip(result.permutations, result.graphs, strict=True):
        assert sorted(permutation) == list(range(len(permutation)))
        padding = permutation[permutation >= graph.shape[0]]
        assert padding.tolist() == list(range(graph.shape[0], len(permutation)))


def test_the_caller_s_graph_stays_as_it_was_even_with_unsorted_rows(icosphere):
    graph = mesh_adjacency(icosphere(1))
    unsorted = sp.csr_matrix((graph.data, graph.indices.copy(), graph.indptr), shape=graph.shape)
    unsorted.indices[:5] = unsorted.indices[:5][::-1]
    unsorted.has_sorted_indices = False
    before = unsorted.indices.copy()
    result = coarsen(unsorted, 2)
    assert (unsorted.indices == before).all()
    assert [p.tolist() for p in result.parents] == [p.tolist() for p in coarsen(graph, 2).parents]


# --- meshes that cannot be coarsened ---

TETRAHEDRON = np.array([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]])


def test_too_small_a_mesh_is_one_line_that_says_what_to_change():
    with pytest.raises(UserError) as raised:
        coarsen(mesh_adjacency(TETRAHEDRON), 9)
    message = str(raised.value)
    assert "4 vertices" in message
    assert "9 times" in message
    assert "MODEL.coarsen_levels" in message
    assert "\n" not in message


def test_many_separate_pieces_come_to_a_standstill_with_the_same_message():
    # Eight tetrahedra become single nodes after two or more levels, and then nothing is left to merge with.
    pieces = np.concatenate([TETRAHEDRON + 4 * k for k in range(8)])
    with pytest.raises(UserError, match=r"32 vertices cannot be coarsened 9 times.*connected mesh"):
        coarsen(mesh_adjacency(pieces), 9)


@pytest.mark.parametrize("nodes", [0, 1, 2, 5])
def test_a_graph_without_edges_is_the_same_user_error(nodes):
    with pytest.raises(UserError, match="cannot be coarsened"):
        coarsen(sp.csr_matrix((nodes, nodes)), 1)
