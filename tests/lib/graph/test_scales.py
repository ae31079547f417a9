import json
import os
import subprocess
import sys

import numpy as np
import pytest

from lib.errors import UserError
from lib.graph.adjacency import mesh_adjacency
from lib.graph.coarsening import coarsen
from lib.graph.scales import build_scales
from lib.joints import COCO_19, HUMAN36M_17
from tests.plain.coarsening import plain_coarsen, plain_pooling

LEVELS = 5


@pytest.fixture(scope="module")
def faces(icosphere):
    return icosphere(3)  # 642 vertices


@pytest.fixture(scope="module")
def scales(faces):
    return build_scales(HUMAN36M_17, faces, LEVELS)


@pytest.fixture(scope="module")
def plain(faces):
    return plain_coarsen(mesh_adjacency(faces).toarray(), LEVELS)


def test_skeleton_comes_first_with_every_joint_in_its_own_place(scales):
    assert scales[0].adjacency.sum() == 17 + 2 * 16
    assert scales[0].real_nodes.tolist() == list(range(17))
    assert scales[0].pooling is None
    assert scales[0].faces is None


def test_another_joint_set_gives_another_skeleton_and_the_same_meshes(faces, scales):
    other = build_scales(COCO_19, faces, LEVELS)
    assert len(other[0]) == 19
    assert (other[1].adjacency == scales[1].adjacency).all()


@pytest.mark.parametrize(("index", "level"), [(1, LEVELS - 1), (2, LEVELS - 2)])
class TestMeshScale:
    def test_real_node_k_stands_where_the_permutation_has_k(self, scales, plain, index, level):
        permutation = plain[1][level]
        assert len(scales[index]) == len(permutation)
        assert [permutation[p] for p in scales[index].real_nodes] == list(range(len(plain[2][level])))

    def test_entries_are_the_permuted_positive_weights_and_padding_rows_are_empty(self, scales, plain, index, level):
        weights, permutation = plain[2][level], plain[1][level]
        for a, node_a in enumerate(permutation):
            for b, node_b in enumerate(permutation):
                real = max(node_a, node_b) < len(weights)
                assert scales[index].adjacency[a, b] == (real and weights[node_a, node_b] > 0)

    def test_loops_exist_only_where_merging_made_a_self_weight(self, scales, plain, index, level):
        loops = scales[index].adjacency.diagonal()[scales[index].real_nodes]
        assert (loops == (np.diag(plain[2][level]) > 0)).all()

    def test_pooling_is_the_mean_of_children_level_by_level(self, scales, plain, index, level):
        assert (scales[index].pooling.toarray() == plain_pooling(plain[0][:level])).all()

    def test_pooling_rows_sum_to_1_and_hold_products_of_one_half(self, scales, index, level):
        pooling = scales[index].pooling
        assert (np.asarray(pooling.sum(axis=1)) == 1).all()  # exact: sums of powers of two
        halvings = -np.log2(pooling.data)
        assert (halvings == halvings.round()).all()
        assert halvings.min() >= 0
        assert halvings.max() <= level

    def test_every_vertex_belongs_to_exactly_one_node(self, scales, faces, index, level):
        pooling = scales[index].pooling
        assert pooling.shape == (len(scales[index].real_nodes), faces.max() + 1)
        assert (np.diff(pooling.tocsc().indptr) == 1).all()

    def test_triangles_join_three_different_neighbouring_nodes_once(self, scales, index, level):
        triangles, real = scales[index].faces, scales[index].real_nodes
        assert len({frozenset(t) for t in triangles.tolist()}) >= len(triangles) / 2  # both orientations may exist
        assert len({tuple(t) for t in triangles.tolist()}) == len(triangles)
        for a, b in ((0, 1), (1, 2), (2, 0)):
            assert (triangles[:, a] != triangles[:, b]).all()
            assert scales[index].adjacency[real[triangles[:, a]], real[triangles[:, b]]].all()


def test_coarse_triangles_keep_their_orientation(icosphere, faces, scales):
    # Outward normals before, outward normals after: the signed volume stays positive and most of the ball's.
    points = _points_on_a_sphere(icosphere, 3)
    coarse = scales[2].pooling @ points
    assert _volume(points, faces) > 4.0
    assert _volume(coarse, scales[2].faces) > 2.0


def _volume(points: np.ndarray, faces: np.ndarray) -> float:
    a, b, c = points[faces].transpose(1, 0, 2)
    return (a * np.cross(b, c)).sum() / 6


def _points_on_a_sphere(icosphere, subdivisions: int) -> np.ndarray:
    """Vertex positions of the icosphere: the twelve first ones are known, the others lie between two older ones."""
    ring = np.arange(5) * 2 * np.pi / 5
    height, radius = 5**-0.5, 2 * 5**-0.5
    upper = np.column_stack([radius * np.cos(ring), radius * np.sin(ring), np.full(5, height)])
    lower = np.column_stack([radius * np.cos(ring + np.pi / 5), radius * np.sin(ring + np.pi / 5), np.full(5, -height)])
    points = np.concatenate([[[0, 0, 1]], upper, lower, [[0, 0, -1]]])
    for s in range(subdivisions):
        coarse, fine = icosphere(s), icosphere(s + 1)
        grown = np.zeros((fine.max() + 1, 3))
        grown[: len(points)] = points
        for (a, b, c), split in zip(coarse, fine.reshape(-1, 4, 3), strict=True):
            (_, ab, ca), (_, bc, _) = split[0], split[1]
            grown[ab], grown[bc], grown[ca] = points[a] + points[b], points[b] + points[c], points[c] + points[a]
        points = grown / np.linalg.norm(grown, axis=1, keepdims=True)
    return points


def test_the_coarse_scale_pools_the_fine_one(faces, scales):
    # Level 4 to level 3 alone, applied to level 3, is the whole pooling.
    parent = coarsen(mesh_adjacency(faces), LEVELS).parents[LEVELS - 2]
    last = plain_pooling([parent.tolist()])
    assert np.array_equal(last @ scales[2].pooling.toarray(), scales[1].pooling.toarray())


def test_the_coarse_scale_has_half_as_many_places_as_the_fine_one(scales):
    assert 2 * len(scales[1]) == len(scales[2])


def test_one_level_down_the_fine_scale_may_be_the_mesh_itself(icosphere):
    faces = icosphere(0)
    fine = build_scales(HUMAN36M_17, faces, 2)[2]
    real = fine.real_nodes
    assert (fine.adjacency[np.ix_(real, real)] == mesh_adjacency(faces).toarray().astype(bool)).all()


def test_one_level_too_many_is_a_user_error(icosphere):
    with pytest.raises(UserError, match=r"12 vertices cannot be coarsened 9 times"):
        build_scales(HUMAN36M_17, icosphere(0), 9)


# --- the hierarchy is the same on every machine ---

DIGEST_PROGRAM = """
import hashlib, json, sys
import numpy as np
from lib.graph.coarsening import classic_argsort
from lib.graph.scales import build_scales
from lib.joints import HUMAN36M_17

digest = hashlib.sha256()
for scale in build_scales(HUMAN36M_17, np.load(sys.argv[1]), int(sys.argv[2])):
    arrays = [scale.adjacency, scale.real_nodes.astype(np.int64)]
    if scale.pooling is not None:
        arrays += [scale.pooling.toarray(), scale.faces]
    for array in arrays:
        digest.update(repr((array.shape, str(array.dtype))).encode() + array.tobytes())
digest.update(classic_argsort(np.random.default_rng(0).integers(0, 5, 3000)).astype(np.int64).tobytes())
features = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
print(json.dumps([digest.hexdigest(), features]))
"""


def _digest(path, repository, **environment) -> tuple[str, list[str]]:
    """SHA-256 of a hierarchy built in a fresh process, and the optional CPU features that NumPy used there."""
    done = subprocess.run(
        [sys.executable, "-c", DIGEST_PROGRAM, str(path), str(LEVELS)],
        cwd=repository,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    digest, features = json.loads(done.stdout)
    return digest, features


@pytest.fixture(scope="module")
def reference_run(faces, repository, tmp_path_factory):
    path = tmp_path_factory.mktemp("mesh") / "faces.npy"
    np.save(path, faces)
    return path, *_digest(path, repository, OMP_NUM_THREADS="1", LC_ALL="C", NPY_DISABLE_CPU_FEATURES="")


@pytest.mark.slow
def test_threads_and_language_do_not_change_the_hierarchy(reference_run, repository):
    path, digest, _ = reference_run
    assert _digest(path, repository, OMP_NUM_THREADS="2", LC_ALL="tr_TR.UTF-8")[0] == digest


@pytest.mark.slow
def test_cpu_features_do_not_change_the_hierarchy(reference_run, repository):
    path, digest, features = reference_run
    if not features:
        pytest.skip("NumPy uses no optional CPU feature here")
    without, left = _digest(path, repository, NPY_DISABLE_CPU_FEATURES=" ".join(features))
    assert left == []  # the switch worked
    assert without == digest
