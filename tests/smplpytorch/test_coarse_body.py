import dataclasses

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy.spatial.transform import Rotation

from smplpytorch.smplpytorch.coarse_body import CoarseBody
from smplpytorch.smplpytorch.pytorch.smpl_layer import SMPL_Layer
from tests.bodies import tiny_body
from tests.plain.smpl import plain_smpl


def random_pooling(rng: np.random.Generator, nodes: int, vertices: int) -> sp.csr_matrix:
    """Weighted means, rows summing to one: every vertex belongs to one node."""
    owner = np.concatenate([np.arange(nodes), rng.integers(nodes, size=vertices - nodes)])
    weights = rng.uniform(0.1, 1, vertices)
    weights /= np.bincount(owner, weights)[owner]
    return sp.csr_matrix((weights, (owner, rng.permutation(vertices))), shape=(nodes, vertices))


@pytest.fixture(scope="module")
def body():
    return tiny_body()


@pytest.fixture(scope="module")
def poolings(body):
    rng = np.random.default_rng(4)
    return [random_pooling(rng, 21, len(body.v_template)), random_pooling(rng, 50, len(body.v_template))]


@pytest.fixture(scope="module")
def people():
    """pose, betas, transl of seven frames."""
    rng = np.random.default_rng(5)
    return rng.normal(0, 0.7, (7, 72)), rng.normal(0, 1.5, (7, 10)), rng.normal(0, 3, (7, 3))


def test_equals_the_pooled_vertices_of_the_whole_body(body, poolings, people):
    vertices, _ = SMPL_Layer(body, torch.float64)(*(torch.tensor(p) for p in people))
    got = CoarseBody(body, poolings)(*people)
    assert [m.shape for m in got] == [(7, 21, 3), (7, 50, 3)]
    for mesh, pooling in zip(got, poolings, strict=True):
        assert mesh.dtype == np.float64
        np.testing.assert_allclose(mesh, np.stack([pooling @ v for v in vertices.numpy()]), rtol=0, atol=1e-10)


def test_large_pose_blend_shapes_are_folded_exactly_too(body, poolings, people):
    strong = dataclasses.replace(body, posedirs=np.random.default_rng(6).normal(0, 0.05, body.posedirs.shape))
    pose, betas, transl = people
    vertices, _ = plain_smpl(strong, Rotation.from_rotvec(pose[0].reshape(-1, 3)).as_matrix(), betas[0])
    coarse, _ = CoarseBody(strong, poolings)(pose[:1], betas[:1], transl[:1])
    np.testing.assert_allclose(coarse[0], poolings[0] @ vertices + transl[0], rtol=0, atol=1e-10)


def test_batches_do_not_change_the_result(body, poolings, people):
    coarse = CoarseBody(body, poolings)
    for whole, pieces in zip(coarse(*people), coarse(*people, batch_size=3), strict=True):
        np.testing.assert_allclose(whole, pieces, rtol=0, atol=1e-13)


def test_no_frames_give_empty_meshes_of_the_right_shape(body, poolings):
    empty = CoarseBody(body, poolings)(np.zeros((0, 72)), np.zeros((0, 10)), np.zeros((0, 3)))
    assert [m.shape for m in empty] == [(0, 21, 3), (0, 50, 3)]


def test_root_joint_is_the_layers_and_does_not_depend_on_the_pose(body, poolings, people):
    pose, betas, _ = people
    _, joints = SMPL_Layer(body, torch.float64)(torch.tensor(pose), torch.tensor(betas))
    np.testing.assert_allclose(CoarseBody(body, poolings).root_joint(betas), joints[:, 0].numpy(), rtol=0, atol=1e-13)


def test_one_vertex_per_node_gives_the_vertices_themselves(body, people):
    chosen = np.random.default_rng(7).permutation(len(body.v_template))[:30]
    pooling = sp.csr_matrix((np.ones(30), (np.arange(30), chosen)), shape=(30, len(body.v_template)))
    vertices, _ = SMPL_Layer(body, torch.float64)(*(torch.tensor(p) for p in people))
    (nodes,) = CoarseBody(body, [pooling])(*people)
    np.testing.assert_allclose(nodes, vertices[:, chosen].numpy(), rtol=0, atol=1e-12)


def test_only_pairs_of_node_and_joint_with_any_weight_are_kept(body, poolings):
    coarse = CoarseBody(body, poolings)
    pairs = sum(int(((p != 0).astype(int) @ (body.lbs_weights > 0) > 0).sum()) for p in poolings)
    assert len(coarse.folded) == 3 * pairs
    assert pairs < sum(p.shape[0] for p in poolings) * len(body.parents)
