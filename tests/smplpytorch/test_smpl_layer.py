import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from smplpytorch.smplpytorch.pytorch.smpl_layer import SMPL_Layer
from tests.bodies import tiny_body
from tests.plain.smpl import plain_smpl


@pytest.fixture(scope="module")
def body():
    return tiny_body()


@pytest.fixture
def people():
    """pose, betas, transl of two people, float64."""
    rng = np.random.default_rng(3)
    return tuple(torch.tensor(rng.normal(0, s, (2, n))) for s, n in ((0.5, 72), (1, 10), (2, 3)))


def test_equals_the_plain_implementation_plus_translation(body, people):
    vertices, joints = SMPL_Layer(body, torch.float64)(*people)
    for b, (pose, betas, transl) in enumerate(zip(*(p.numpy() for p in people), strict=True)):
        want = plain_smpl(body, Rotation.from_rotvec(pose.reshape(-1, 3)).as_matrix(), betas)
        np.testing.assert_allclose(vertices[b].numpy(), want[0] + transl, atol=1e-13)
        np.testing.assert_allclose(joints[b].numpy(), want[1] + transl, atol=1e-13)


def test_single_precision_agrees_to_a_hundredth_of_a_millimetre(body, people):
    exact = SMPL_Layer(body, torch.float64)(*people)
    for single, double in zip(SMPL_Layer(body)(*(p.float() for p in people)), exact, strict=True):
        assert single.dtype == torch.float32
        assert (single - double).abs().max() < 1e-5


def test_no_betas_mean_the_mean_shape_and_no_translation_none(body, people):
    pose, betas, transl = people
    layer = SMPL_Layer(body, torch.float64)
    for short, full in zip(layer(pose), layer(pose, 0 * betas, 0 * transl), strict=True):
        assert torch.equal(short, full)


def test_gradients_reach_pose_shape_and_translation_also_at_zero(body):
    inputs = [torch.zeros(1, n, requires_grad=True) for n in (72, 10, 3)]
    vertices, joints = SMPL_Layer(body)(*inputs)
    (vertices.square().sum() + joints.square().sum()).backward()
    for value in inputs:
        assert torch.isfinite(value.grad).all()
        assert value.grad.abs().max() > 0


def test_the_body_is_moved_with_the_layer_but_not_stored_in_checkpoints(body):
    layer = SMPL_Layer(body)
    assert not layer.state_dict()
    assert not list(layer.parameters())
    assert layer.double().v_template.dtype == torch.float64
    assert layer.faces.dtype == torch.int64
    assert {b.device.type for b in layer.to("meta").buffers()} == {"meta"}
