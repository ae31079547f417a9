"""The built-in body: a closed, symmetric, person-shaped surface in SMPL's format."""

import numpy as np
import pytest
import torch

from lib.joints import HUMAN36M_17, SMPL_24, SMPL_PARENTS
from smplpytorch.smplpytorch.builtin_body import build_builtin_body
from smplpytorch.smplpytorch.pytorch.smpl_layer import SMPL_Layer
from tests.bodies import builtin_body

MIRROR = np.array([-1.0, 1.0, 1.0])
H36M = {name: i for i, name in enumerate(HUMAN36M_17.names)}
SMPL = {name: i for i, name in enumerate(SMPL_24.names)}


@pytest.fixture(scope="module")
def body():
    return builtin_body()


@pytest.fixture(scope="module")
def layer(body):
    return SMPL_Layer(body, torch.float64)


@pytest.fixture(scope="module")
def mirror(body):
    """(V,) index of every vertex's mirror image, found by sorting the coordinates."""
    v = body.v_template
    own, reflected = np.lexsort(v.T), np.lexsort((v * MIRROR).T)
    permutation = np.empty(len(v), int)
    permutation[own] = reflected
    return permutation


def volume(v, faces):
    return np.einsum("fi,fi->", v[faces[:, 0]], np.cross(v[faces[:, 1]], v[faces[:, 2]])) / 6


def winding_number(points, v, faces):
    """(P,) solid angle of the surface as seen from points (P, 3), over 4 pi: 1 inside, 0 outside (van Oosterom 1983)."""
    a, b, c = (v[faces[:, i]] - points[:, None] for i in range(3))
    la, lb, lc = (np.linalg.norm(x, axis=-1) for x in (a, b, c))
    dot = lambda x, y: (x * y).sum(-1)  # noqa: E731
    below = la * lb * lc + dot(a, b) * lc + dot(b, c) * la + dot(c, a) * lb
    return np.arctan2(dot(a, np.cross(b, c)), below).sum(1) / (2 * np.pi)


def posed(layer, turns, betas=None):
    """Vertices (V, 3) and joints (24, 3) for {joint name: axis-angle}."""
    pose = torch.zeros(1, 24, 3, dtype=torch.float64)
    for name, turn in turns.items():
        pose[0, SMPL[name]] = torch.tensor(turn, dtype=torch.float64)
    vertices, joints = layer(pose.flatten(1), betas)
    return vertices[0].numpy(), joints[0].numpy()


def test_surface_is_closed_oriented_outward_and_of_genus_0(body):
    faces = body.faces
    directed = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    assert len(np.unique(directed, axis=0)) == len(directed)
    assert {tuple(e) for e in directed.tolist()} == {tuple(e) for e in directed[:, ::-1].tolist()}
    assert len(np.unique(faces)) == len(body.v_template)
    assert len(body.v_template) - len(directed) // 2 + len(faces) == 2
    assert 0.055 < volume(body.v_template, faces) < 0.075  # a person's cubic metres, positive only if outward


def test_size_is_that_of_smpl(body):
    assert body.v_template.shape == (6890, 3)
    assert body.faces.shape == (13776, 3)
    assert body.shapedirs.shape == (6890, 3, 10)
    assert body.parents.tolist() == list(SMPL_PARENTS)


def test_triangles_are_small_and_not_degenerate(body):
    corner = body.v_template[body.faces]
    edges = np.linalg.norm(corner - np.roll(corner, 1, axis=1), axis=-1)
    assert edges.min() > 0.002
    assert edges.max() < 0.05
    area = np.linalg.norm(np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]), axis=-1) / 2
    assert area.min() > 2e-6


def test_person_stands_upright_in_metres_facing_z_with_the_left_at_x(body):
    v = body.v_template
    assert 1.65 < np.ptp(v[:, 1]) < 1.75
    assert 1.6 < np.ptp(v[:, 0]) < 1.85
    joints, points = body.J_regressor @ v, body.joint_regressor @ v
    assert joints[SMPL["L_Hand"], 0] > 0.7
    assert joints[SMPL["R_Hand"], 0] < -0.7
    assert joints[SMPL["Pelvis"], 1] == pytest.approx(-0.24, abs=1e-3)
    assert points[H36M["Nose"], 2] > 0.1
    for side in "LR":
        assert joints[SMPL[f"{side}_Foot"], 2] > joints[SMPL[f"{side}_Ankle"], 2] + 0.1
    order = [points[H36M[name], 1] for name in ("Head", "Nose", "Neck", "Torso", "Pelvis", "L_Knee", "L_Ankle")]
    assert order == sorted(order, reverse=True)


def test_surface_is_mirrored_exactly(body, mirror):
    assert np.array_equal(body.v_template[mirror], body.v_template * MIRROR)
    reflected = mirror[body.faces][:, ::-1]

    def canonical(faces):
        first = faces.argmin(1)[:, None]
        turned = np.take_along_axis(faces, (first + np.arange(3)) % 3, axis=1)
        return {tuple(f) for f in turned.tolist()}

    assert canonical(reflected) == canonical(body.faces)


def test_regressors_and_weights_are_mirrored_exactly(body, mirror):
    swap = SMPL_24.flip_permutation
    assert np.array_equal(body.J_regressor[swap][:, mirror], body.J_regressor)
    assert np.array_equal(body.lbs_weights[mirror][:, swap], body.lbs_weights)
    assert np.array_equal(body.joint_regressor[HUMAN36M_17.flip_permutation][:, mirror], body.joint_regressor)


def test_mirrored_pose_gives_the_mirrored_body(body, layer, mirror):
    rng = np.random.default_rng(0)
    pose = 0.6 * rng.standard_normal((24, 3))
    betas = torch.tensor(rng.standard_normal((1, 10)))
    flipped = (pose * [1, -1, -1])[SMPL_24.flip_permutation]  # a rotation vector is a pseudovector
    own, _ = layer(torch.tensor(pose).reshape(1, -1), betas)
    other, _ = layer(torch.tensor(flipped).reshape(1, -1), betas)
    np.testing.assert_allclose(other[0].numpy(), own[0].numpy()[mirror] * MIRROR, atol=1e-12)


def test_weights_are_a_partition_of_unity_over_few_joints(body):
    w = body.lbs_weights
    assert w.min() >= 0
    assert np.array_equal(w.sum(1), np.ones(len(w)))
    assert (w > 0).sum(1).max() <= 4
    assert w.max(0).min() > 0.7  # every joint moves some skin


def test_legs_and_arms_do_not_pull_each_other(body):
    v, w = body.v_template, body.lbs_weights
    left_leg = [SMPL[n] for n in ("L_Hip", "L_Knee", "L_Ankle", "L_Foot")]
    left_arm = [SMPL[n] for n in ("L_Shoulder", "L_Elbow", "L_Wrist", "L_Hand")]
    assert w[v[:, 0] < -0.04][:, left_leg].max() == 0
    assert w[v[:, 1] > -0.2][:, left_leg].max() == 0
    assert w[v[:, 0] < 0.05][:, left_arm].max() == 0
    assert w[v[:, 1] < 0.0][:, left_arm].max() == 0


def test_skull_and_fingers_are_rigid_and_the_neck_moves_no_arm(body):
    v, w = body.v_template, body.lbs_weights
    assert w[v[:, 1] > 0.42][:, SMPL["Head"]].min() == 1
    assert w[v[:, 0] > 0.82][:, SMPL["L_Hand"]].min() == 1
    assert w[v[:, 0] > 0.2][:, [SMPL["Neck"], SMPL["Head"]]].max() == 0


def test_neighbours_have_similar_weights(body):
    edges = np.concatenate([body.faces[:, [0, 1]], body.faces[:, [1, 2]], body.faces[:, [2, 0]]])
    assert np.abs(body.lbs_weights[edges[:, 0]] - body.lbs_weights[edges[:, 1]]).max() < 0.6


def test_regressors_average_local_vertices(body):
    for regressor in (body.J_regressor, body.joint_regressor):
        assert regressor.min() >= 0
        np.testing.assert_allclose(regressor.sum(1), 1, atol=1e-12)
        for row in regressor:
            assert np.ptp(body.v_template[row > 0], axis=0).max() < 0.4


def test_joints_lie_inside_the_body(body):
    v = body.v_template
    inside = winding_number(np.concatenate([body.J_regressor @ v, body.joint_regressor @ v]), v, body.faces)
    np.testing.assert_allclose(inside, 1, atol=1e-9)
    assert winding_number(np.array([[0, -0.8, 0.0]]), v, body.faces)[0] == pytest.approx(
        0, abs=1e-9
    )  # between the legs


def test_first_shape_direction_is_five_centimetres_of_height(body):
    taller = body.v_template + body.shapedirs[..., 0]
    assert np.ptp(taller[:, 1]) - np.ptp(body.v_template[:, 1]) == pytest.approx(0.05, abs=0.005)


def test_limb_directions_stretch_their_own_bones_only(body):
    def bone(v, child):
        joints = body.J_regressor @ v
        return np.linalg.norm(joints[SMPL[child]] - joints[SMPL_PARENTS[SMPL[child]]])

    base, longer_legs, longer_arms = (
        body.v_template + 2 * d for d in (0, body.shapedirs[..., 2], body.shapedirs[..., 3])
    )
    assert bone(longer_legs, "L_Knee") > 1.05 * bone(base, "L_Knee")
    assert bone(longer_legs, "L_Elbow") == pytest.approx(bone(base, "L_Elbow"), abs=1e-4)
    assert bone(longer_arms, "R_Elbow") > 1.05 * bone(base, "R_Elbow")
    assert bone(longer_arms, "R_Knee") == pytest.approx(bone(base, "R_Knee"), abs=1e-4)


@pytest.mark.parametrize("direction", range(10))
def test_three_standard_deviations_are_still_a_person(body, direction):
    v = body.v_template
    for beta in (-3, 3):
        shaped = v + beta * body.shapedirs[..., direction]
        assert np.abs(shaped - v).max() > 0.01
        assert 1.5 < np.ptp(shaped[:, 1]) < 1.9
        assert 0.6 < volume(shaped, body.faces) / volume(v, body.faces) < 1.5
        inside = winding_number(body.J_regressor @ shaped, shaped, body.faces)
        np.testing.assert_allclose(inside, 1, atol=1e-9)


BENDS = {
    "sitting": {n: (s, 0, 0) for n, s in (("L_Hip", -1.57), ("R_Hip", -1.57), ("L_Knee", 1.57), ("R_Knee", 1.57))},
    "arms down": {"L_Shoulder": (0, 0, -1.3), "R_Shoulder": (0, 0, 1.3)},
    "elbows": {"L_Elbow": (0, -1.57, 0), "R_Elbow": (0, 1.57, 0)},
}


@pytest.mark.parametrize("bend", BENDS)
def test_right_angles_keep_volume_and_regressed_joints(body, layer, bend):
    v, joints = posed(layer, BENDS[bend])
    assert volume(v, body.faces) == pytest.approx(volume(body.v_template, body.faces), rel=0.06)
    regressed = body.joint_regressor @ v
    for name in ("Knee", "Ankle", "Elbow", "Wrist"):
        for side in "LR":
            gap = regressed[H36M[f"{side}_{name}"]] - joints[SMPL[f"{side}_{name}"]]
            assert np.linalg.norm(gap) < 0.03


def test_pose_directions_restore_volume_lost_at_the_knee(body, layer):
    v, _ = posed(layer, BENDS["sitting"])
    plain = SMPL_Layer(body, torch.float64)
    plain.posedirs = torch.zeros_like(plain.posedirs)
    without, _ = posed(plain, BENDS["sitting"])
    assert volume(v, body.faces) > volume(without, body.faces)


def test_two_builds_are_the_same_bytes(body):
    assert build_builtin_body().digest() == body.digest()
