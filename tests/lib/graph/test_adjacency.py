import numpy as np

from lib.graph.adjacency import mesh_adjacency, skeleton_adjacency
from lib.joints import HUMAN36M_17

# Two triangles on a common edge:  0 - 1
#                                  | \ |
#                                  3 - 2
SQUARE = np.array([[0, 1, 2], [0, 2, 3]])


def test_every_edge_of_a_mesh_counts_once_in_both_directions():
    expected = [
        [0, 1, 1, 1],
        [1, 0, 1, 0],
        [1, 1, 0, 1],
        [1, 0, 1, 0],
    ]
    assert mesh_adjacency(SQUARE).toarray().tolist() == expected


def test_orientation_order_and_repetition_of_triangles_do_not_matter():
    again = np.concatenate([SQUARE[::-1, ::-1], np.roll(SQUARE, 1, axis=1)])
    assert (mesh_adjacency(again) != mesh_adjacency(SQUARE)).nnz == 0
    assert mesh_adjacency(again).max() == 1


def test_a_degenerate_triangle_makes_no_self_loop():
    adjacency = mesh_adjacency(np.array([[0, 1, 2], [2, 2, 3]]))
    assert adjacency.diagonal().tolist() == [0, 0, 0, 0]
    assert adjacency[2, 3] == adjacency[3, 2] == 1


def test_no_zeros_are_stored_and_columns_ascend_since_matching_reads_the_stored_rows(icosphere):
    adjacency = mesh_adjacency(icosphere(2))
    assert adjacency.dtype == np.float64
    assert (adjacency.data == 1).all()
    assert all((np.diff(row) > 0).all() for row in np.split(adjacency.indices, adjacency.indptr[1:-1]))


def test_a_closed_surface_has_three_halves_of_an_edge_per_triangle(icosphere):
    faces = icosphere(2)
    assert mesh_adjacency(faces).nnz == 2 * (3 * len(faces) // 2)  # an edge belongs to two triangles, is stored twice


def test_the_caller_s_faces_stay_as_they_were():
    faces = SQUARE.copy()
    mesh_adjacency(faces)
    assert (faces == SQUARE).all()


def test_a_skeleton_has_its_bones_both_ways_and_every_joint_itself():
    assert skeleton_adjacency(3, ((0, 1), (2, 1))).tolist() == [
        [True, True, False],
        [True, True, True],
        [False, True, True],
    ]


def test_the_human36m_skeleton_has_17_loops_and_16_bones():
    adjacency = skeleton_adjacency(len(HUMAN36M_17), HUMAN36M_17.bones)
    assert adjacency.sum() == 17 + 2 * 16
    assert (adjacency == adjacency.T).all()
