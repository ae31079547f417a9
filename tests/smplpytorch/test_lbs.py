import dataclasses

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from smplpytorch.smplpytorch.body_model import BodyModel
from smplpytorch.smplpytorch.pytorch.lbs import (
    axis_angle_to_matrix,
    forward_kinematics,
    linear_blend_skinning,
    pose_features,
)
from tests.bodies import tiny_body
from tests.plain.smpl import plain_smpl

HALF_PI = np.pi / 2


def arm(**changed: np.ndarray) -> BodyModel:
    """Two bones of 1 m along x: shoulder at 0, elbow at 1. Vertices: middle of the upper arm, middle of the forearm,
    one 0.2 m above the elbow that follows both bones alike, and the two joints."""
    arrays = {
        "v_template": np.array([[0.5, 0, 0], [1.5, 0, 0], [1, 0.2, 0], [0, 0, 0], [1, 0, 0]]),
        "shapedirs": np.zeros((5, 3, 1)),
        "posedirs": np.zeros((5, 3, 9)),
        "J_regressor": np.array([[0, 0, 0, 1.0, 0], [0, 0, 0, 0, 1]]),
        "lbs_weights": np.array([[1, 0], [0, 1], [0.5, 0.5], [1, 0], [0, 1]]),
        "faces": np.array([[0, 1, 2]]),
        "parents": np.array([-1, 0]),
    }
    return BodyModel(**arrays | changed)


def skin(model: BodyModel, pose: np.ndarray, betas: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and joints of a batch in float64."""
    betas = np.zeros((len(pose), model.shapedirs.shape[-1])) if betas is None else betas
    names = ("v_template", "shapedirs", "posedirs", "J_regressor", "lbs_weights")
    arrays = [torch.as_tensor(a, dtype=torch.float64) for a in (betas, pose, *(getattr(model, n) for n in names))]
    vertices, joints = linear_blend_skinning(*arrays, model.parents.tolist())
    return vertices.numpy(), joints.numpy()


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return tiny_body()


@pytest.fixture(scope="module")
def people() -> tuple[np.ndarray, np.ndarray]:
    """Poses and shapes of three people."""
    rng = np.random.default_rng(1)
    return rng.normal(0, 0.6, (3, 72)), rng.normal(0, 1, (3, 10))


# ---- Rodrigues' formula


def test_rotation_matrices_equal_scipys_for_all_lengths():
    axis = np.random.default_rng(0).normal(size=(200, 3))
    axis *= (np.geomspace(1e-9, 10, 200) / np.linalg.norm(axis, axis=1))[:, None]
    matrices = axis_angle_to_matrix(torch.as_tensor(axis)).numpy()
    np.testing.assert_allclose(matrices, Rotation.from_rotvec(axis).as_matrix(), atol=1e-12)


def test_zero_rotation_is_exactly_the_identity():
    assert torch.equal(axis_angle_to_matrix(torch.zeros(2, 5, 3)), torch.eye(3).expand(2, 5, 3, 3))


def test_a_quarter_turn_about_z_takes_x_to_y():
    R = axis_angle_to_matrix(torch.tensor([0.0, 0.0, HALF_PI], dtype=torch.float64))
    np.testing.assert_allclose(R.numpy(), [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-15)


def test_gradient_at_zero_is_the_cross_product_matrix():
    # R = I + K + O(a^2), K = [[0, -z, y], [z, 0, -x], [-y, x, 0]]
    gradient = torch.autograd.functional.jacobian(axis_angle_to_matrix, torch.zeros(3))
    assert gradient[:, :, 0].tolist() == [[0, 0, 0], [0, 0, -1], [0, 1, 0]]
    assert gradient[:, :, 1].tolist() == [[0, 0, 1], [0, 0, 0], [-1, 0, 0]]
    assert gradient[:, :, 2].tolist() == [[0, -1, 0], [1, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("length", [0.0, 1e-30, 1e-12, 1e-6, 0.9e-4, 1.1e-4, 1e-3, 1e-2, 1.0])
def test_single_precision_keeps_value_and_gradient_near_zero(length):
    axis = length * torch.tensor([0.6, 0.0, -0.8], dtype=torch.float64)
    value, gradient = axis_angle_to_matrix(axis), torch.autograd.functional.jacobian(axis_angle_to_matrix, axis)
    single = axis.float()
    torch.testing.assert_close(axis_angle_to_matrix(single).double(), value, atol=3e-7, rtol=0)
    torch.testing.assert_close(
        torch.autograd.functional.jacobian(axis_angle_to_matrix, single).double(), gradient, atol=1e-3, rtol=0
    )


def test_series_and_formula_meet_where_one_takes_over_from_the_other():
    direction = torch.tensor([2.0, -1.0, 2.0], dtype=torch.float64) / 3
    below, above = (axis_angle_to_matrix(direction * length) for length in (1e-4 * (1 - 1e-12), 1e-4 * (1 + 1e-12)))
    torch.testing.assert_close(below, above, atol=1e-15, rtol=0)


# ---- the parts


def test_pose_features_are_the_rows_of_rotation_minus_identity_without_the_root():
    # a quarter turn about z: R - I = [[-1, -1, 0], [1, -1, 0], [0, 0, 0]]
    turned = axis_angle_to_matrix(torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, HALF_PI]], dtype=torch.float64))
    np.testing.assert_allclose(pose_features(turned[None]).numpy(), [[-1, -1, 0, 1, -1, 0, 0, 0, 0]], atol=1e-15)


def test_a_chain_of_three_quarter_turns_walks_around_a_square():
    # Bones of 1 m; every joint turns by 90 degrees about z, so the bones point along +y, -x, -y: a closed square.
    rotations = axis_angle_to_matrix(torch.tensor([[[0.0, 0.0, HALF_PI]] * 4], dtype=torch.float64))
    rest = torch.tensor([[[k, 0.0, 0.0] for k in range(4)]], dtype=torch.float64)
    posed, world = forward_kinematics(rotations, rest, [-1, 0, 1, 2])
    np.testing.assert_allclose(posed[0].numpy(), [[0, 0, 0], [0, 1, 0], [-1, 1, 0], [-1, 0, 0]], atol=1e-15)
    np.testing.assert_allclose(world[0, 3].numpy(), np.eye(3), atol=1e-15)


# ---- the whole function


def test_an_arm_bent_by_90_degrees_has_the_places_worked_out_by_hand():
    # The elbow at (1, 0, 0) turns by 90 degrees about z, so (x, y) goes to (1 - y, x - 1).
    vertices, joints = skin(arm(), np.array([[0, 0, 0, 0, 0, HALF_PI]]))
    expected = [
        [0.5, 0, 0],  # upper arm: stays
        [1, 0.5, 0],  # forearm: (1 - 0, 1.5 - 1)
        [0.9, 0.1, 0],  # mean of its place (1, 0.2) and the turned (1 - 0.2, 1 - 1) = (0.8, 0)
        [0, 0, 0],
        [1, 0, 0],
    ]
    np.testing.assert_allclose(vertices[0], expected, atol=1e-15)
    np.testing.assert_allclose(joints[0], [[0, 0, 0], [1, 0, 0]], atol=1e-15)


def test_a_bent_and_raised_arm_has_the_places_worked_out_by_hand():
    # The shoulder turns the bent arm of the test above by another 90 degrees: (x, y) goes to (-y, x).
    vertices, joints = skin(arm(), np.array([[0, 0, HALF_PI, 0, 0, HALF_PI]]))
    np.testing.assert_allclose(
        vertices[0], [[0, 0.5, 0], [-0.5, 1, 0], [-0.1, 0.9, 0], [0, 0, 0], [0, 1, 0]], atol=1e-15
    )
    np.testing.assert_allclose(joints[0], [[0, 0, 0], [0, 1, 0]], atol=1e-15)


def test_shape_moves_vertices_and_the_joints_regressed_from_them():
    # beta = 2 lengthens the upper arm by 2 x 0.25 m: the elbow lies at 1.5 and the bent forearm's middle at (1.5, 0.5).
    longer = np.zeros((5, 3, 1))
    longer[[1, 2, 4], 0, 0] = 0.25
    vertices, joints = skin(arm(shapedirs=longer), np.array([[0, 0, 0, 0, 0, HALF_PI]]), np.array([[2.0]]))
    np.testing.assert_allclose(joints[0], [[0, 0, 0], [1.5, 0, 0]], atol=1e-15)
    np.testing.assert_allclose(vertices[0, 1], [1.5, 0.5, 0], atol=1e-15)


def test_pose_blend_shapes_are_added_before_the_skinning():
    # Entry (1, 0) of R - I is sin 90 = 1 and has index 3; 0.1 m along x becomes 0.1 m along y on the turned forearm.
    bulge = np.zeros((5, 3, 9))
    bulge[1, 0, 3] = 0.1
    vertices, joints = skin(arm(posedirs=bulge), np.array([[0, 0, 0, 0, 0, HALF_PI]]))
    np.testing.assert_allclose(vertices[0, 1], [1, 0.6, 0], atol=1e-15)
    np.testing.assert_allclose(joints[0], [[0, 0, 0], [1, 0, 0]], atol=1e-15)


def test_zero_pose_gives_the_shaped_template(body, people):
    _, betas = people
    vertices, joints = skin(body, np.zeros((3, 72)), betas)
    shaped = np.stack([body.v_template + body.shapedirs @ b for b in betas])
    np.testing.assert_allclose(vertices, shaped, atol=1e-14)
    np.testing.assert_allclose(joints, body.J_regressor @ shaped, atol=1e-14)


def test_a_global_rotation_turns_mesh_and_joints_about_the_root_joint(body, people):
    pose, betas = people
    vertices, joints = skin(body, pose, betas)
    turn = Rotation.from_rotvec([0.3, -1.2, 0.7])
    turned = pose.copy()
    turned[:, :3] = (turn * Rotation.from_rotvec(pose[:, :3])).as_rotvec()
    root = joints[:, :1]
    for got, before in zip(skin(body, turned, betas), (vertices, joints), strict=True):
        np.testing.assert_allclose(got, root + (before - root) @ turn.as_matrix().T, atol=1e-13)


def test_turning_a_joint_moves_only_what_hangs_below_it(body):
    pose = np.zeros((1, 72))
    pose[0, 3 * 18 : 3 * 19] = [0, 0.8, 0]  # left elbow
    below = {18, 20, 22}
    _, joints = skin(body, pose)
    _, rest = skin(body, np.zeros((1, 72)))
    moved = np.flatnonzero(np.linalg.norm(joints - rest, axis=-1)[0] > 1e-12)
    assert set(moved.tolist()) == below - {18}
    plain = dataclasses.replace(body, posedirs=0 * body.posedirs)
    still = body.lbs_weights[:, sorted(below)].sum(1) == 0
    np.testing.assert_allclose(skin(plain, pose)[0][0, still], body.v_template[still], atol=1e-14)


def test_equals_the_plain_implementation(body, people):
    pose, betas = people
    vertices, joints = skin(body, pose, betas)
    for b in range(len(pose)):
        want = plain_smpl(body, Rotation.from_rotvec(pose[b].reshape(-1, 3)).as_matrix(), betas[b])
        np.testing.assert_allclose(vertices[b], want[0], atol=1e-13)
        np.testing.assert_allclose(joints[b], want[1], atol=1e-13)


def test_people_of_a_batch_do_not_influence_each_other(body, people):
    pose, betas = people
    for whole, alone in zip(skin(body, pose, betas), skin(body, pose[1:2], betas[1:2]), strict=True):
        np.testing.assert_allclose(whole[1:2], alone, atol=1e-14)


@pytest.mark.parametrize("scale", [0.0, 0.5])
def test_gradients_are_those_of_finite_differences(scale):
    rng = np.random.default_rng(2)
    model = arm(shapedirs=rng.normal(0, 0.1, (5, 3, 2)), posedirs=rng.normal(0, 0.1, (5, 3, 9)))
    names = ("v_template", "shapedirs", "posedirs", "J_regressor", "lbs_weights")
    fixed = [torch.as_tensor(getattr(model, n)) for n in names]
    betas = torch.tensor(rng.normal(size=(2, 2)), requires_grad=True)
    pose = torch.tensor(scale * rng.normal(size=(2, 6)), requires_grad=True)
    assert torch.autograd.gradcheck(lambda b, p: linear_blend_skinning(b, p, *fixed, [-1, 0]), (betas, pose))
