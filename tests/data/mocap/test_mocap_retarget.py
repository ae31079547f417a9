"""Pose, shape and place of the body: rest poses, single rotations, and the pull to the joints."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from mocap_files import person_amc, person_asf, person_bvh
from scipy.spatial.transform import Rotation

from data.Mocap.asf_amc import read_amc, read_asf
from data.Mocap.bvh import read_bvh
from data.Mocap.clean import human36m_joints, repair, scale
from data.Mocap.naming import name_joints
from data.Mocap.retarget import (
    Z_UP,
    body_distance,
    fit_betas,
    pull_to_targets,
    rest_points,
    shortest_rotation,
    smpl_pose,
    translation,
    with_lengths_of,
    world_rotations,
)
from data.Mocap.skeleton import forward_kinematics
from lib.joints import HUMAN36M_17, SMPL_24
from lib.lifting.writers.bvh import write_bvh
from smplpytorch.smplpytorch.pytorch.smpl_layer import SMPL_Layer
from tests.bodies import tiny_body
from tests.waving_person import make_sequence

S = {name: k for k, name in enumerate(SMPL_24.names)}
H = {name: k for k, name in enumerate(HUMAN36M_17.names)}


@pytest.fixture(scope="module")
def body():
    return tiny_body()


@pytest.fixture(scope="module")
def straight_rest():
    """A rest pose whose legs hang straight down and whose arms lie along x, (25, 3)."""
    rest = np.zeros((25, 3))
    for side, x in (("L_", 1), ("R_", -1)):
        rest[S[side + "Hip"]], rest[S[side + "Knee"]], rest[S[side + "Ankle"]] = (
            (0.1 * x, y, 0) for y in (-0.1, -0.5, -0.9)
        )
        for name, reach in (("Shoulder", 0.2), ("Elbow", 0.5), ("Wrist", 0.75), ("Hand", 0.85)):
            rest[S[side + name]] = reach * x, 0.5, 0
    return rest


def acclaim(tmp_path, frames):
    """Named skeleton, world rotations and 17 joints of the hand-made person in these frames."""
    (tmp_path / "p.asf").write_text(person_asf())
    (tmp_path / "p_1.amc").write_text(person_amc(frames))
    return moved(read_amc(tmp_path / "p_1.amc", read_asf(tmp_path / "p.asf"), 120))


def moved(clip):
    positions, rotations = forward_kinematics(clip)
    named = name_joints(clip.skeleton)
    return named, rotations, human36m_joints(named, positions, rotations)


def degrees(matrix):
    return np.degrees(Rotation.from_matrix(matrix).as_rotvec())


def test_a_t_pose_gives_zero_rotations_and_only_the_axes_remain_in_the_root(tmp_path, straight_rest):
    (tmp_path / "p.bvh").write_text(person_bvh())
    named, rotations, _ = moved(read_bvh(tmp_path / "p.bvh"))
    world = world_rotations(named, rotations, straight_rest)
    np.testing.assert_allclose(world, np.broadcast_to(np.eye(3), world.shape), atol=1e-12)


def test_splayed_rest_legs_that_hang_straight_give_zero(tmp_path, straight_rest):
    # The legs rest splayed by 30 degrees to each side; turning the thighs back by that much, about the z axis, which the
    # bone's own axis (a turn about z) leaves where it is, makes them hang straight.
    named, rotations, joints = acclaim(tmp_path, [{"lfemur": "0 0 -30", "rfemur": "0 0 30"}])
    np.testing.assert_allclose(joints[0, H["L_Ankle"], 0], joints[0, H["L_Hip"], 0], atol=1e-12)
    world = world_rotations(named, rotations, straight_rest)
    np.testing.assert_allclose(world, np.broadcast_to(np.eye(3), world.shape), atol=1e-12)


def test_splayed_legs_at_rest_are_a_turn_of_the_hips(tmp_path, straight_rest):
    named, rotations, _ = acclaim(tmp_path, [{}])
    world = world_rotations(named, rotations, straight_rest)[0]
    for name in ("Hip", "Knee", "Ankle", "Foot"):  # (0, -1, 0) turned by +30 degrees about z is (sin 30, -cos 30, 0)
        np.testing.assert_allclose(degrees(world[S["L_" + name]]), [0, 0, 30], atol=1e-9)
        np.testing.assert_allclose(degrees(world[S["R_" + name]]), [0, 0, -30], atol=1e-9)


def test_a_raised_arm_gives_the_expected_rotation(tmp_path, straight_rest):
    named, rotations, joints = acclaim(tmp_path, [{"lhumerus": "0 0 90", "lradius": "-45"}])
    assert joints[0, H["L_Wrist"], 1] > joints[0, H["L_Shoulder"], 1] + 0.4
    world = world_rotations(named, rotations, straight_rest)[0]
    np.testing.assert_allclose(degrees(world[S["L_Shoulder"]]), [0, 0, 90], atol=1e-9)
    local = world[S["L_Shoulder"]].T @ world[S["L_Elbow"]]
    np.testing.assert_allclose(degrees(local), [-45, 0, 0], atol=1e-9)
    np.testing.assert_allclose(world[S["R_Shoulder"]], np.eye(3), atol=1e-12)


def test_a_body_whose_arms_rest_lower_is_turned_up_to_the_skeleton(tmp_path, straight_rest):
    rest = straight_rest.copy()
    for name, drop in (("Elbow", 0.3), ("Wrist", 0.55), ("Hand", 0.65)):  # straight down from the shoulder
        rest[S["L_" + name]] = 0.2, 0.5 - drop, 0
    named, rotations, _ = acclaim(tmp_path, [{}])
    world = world_rotations(named, rotations, rest)[0]
    for name in ("Shoulder", "Elbow", "Wrist"):
        np.testing.assert_allclose(degrees(world[S["L_" + name]]), [0, 0, 90], atol=1e-9)


def test_the_worlds_up_is_z(tmp_path, body):
    named, rotations, joints = acclaim(tmp_path, [{"root": "0 14 0 0 90 0"}])
    pose = smpl_pose(named, rotations, joints, body, np.zeros(10))
    root = Rotation.from_rotvec(pose[0, :3]).as_matrix()
    assert (root @ [0, 1, 0])[2] > 0.98  # the body's up
    assert (root @ [0, 0, 1])[0] > 0.98  # its front: Ry(90) z = x, and x stays x


@pytest.mark.parametrize("seed", range(3))
def test_shortest_rotation_turns_start_to_end_and_leaves_their_normal(seed):
    a, b = np.random.default_rng(seed).normal(size=(2, 3))
    R = shortest_rotation(a, b)
    np.testing.assert_allclose(R @ a / np.linalg.norm(a), b / np.linalg.norm(b), atol=1e-12)
    np.testing.assert_allclose(R @ np.cross(a, b), np.cross(a, b), atol=1e-12)


@pytest.mark.parametrize("vector", [(0, 1, 0), (1, 0, 0), (0.3, -2, 0.1)])
def test_shortest_rotation_of_equal_and_opposite_directions(vector):
    vector = np.array(vector, float)
    np.testing.assert_allclose(shortest_rotation(vector, 3 * vector), np.eye(3), atol=1e-12)
    half_turn = shortest_rotation(vector, -vector)
    np.testing.assert_allclose(half_turn @ vector, -vector, atol=1e-12)
    assert np.linalg.det(half_turn) == pytest.approx(1)


def random_pose(seed, frames=6):
    return np.random.default_rng(seed).normal(0, 0.3, (frames, 24, 3))


def posed_joints(body, betas, pose, transl):
    layer = SMPL_Layer(body, torch.float64)
    vertices, joints = layer(*(torch.as_tensor(a) for a in (pose, np.tile(betas, (len(pose), 1)), transl)))
    return vertices.numpy(), joints.numpy()


def as_17(body, betas, pose, transl):
    """The 17 joints of the posed body itself, those with a counterpart exactly at SMPL's places."""
    _, joints = posed_joints(body, betas, pose, transl)
    out = np.zeros((len(pose), 17, 3))
    for name in H:
        if name in S and name != "Head":
            out[:, H[name]] = joints[:, S[name]]
    out[:, 0] = (out[:, H["L_Hip"]] + out[:, H["R_Hip"]]) / 2
    rest = rest_points(body, betas)
    world = world_of(pose)
    out[:, H["Head"]] = joints[:, S["Head"]] + world[:, S["Head"]] @ (rest[24] - rest[S["Head"]])
    return out


def world_of(pose):
    local = Rotation.from_rotvec(pose.reshape(-1, 3)).as_matrix().reshape(-1, 24, 3, 3)
    world = local.copy()
    for parent, child in sorted(SMPL_24.bones, key=lambda bone: bone[1]):
        world[:, child] = world[:, parent] @ local[:, child]
    return world


def test_joints_that_the_body_already_meets_leave_the_rotations_alone(body):
    pose, betas = random_pose(0), np.zeros(10)
    joints = as_17(body, betas, pose.reshape(-1, 72), np.zeros((6, 3)))
    world, rest = world_of(pose), rest_points(body, betas)
    own_rest = as_17(body, betas, np.zeros((1, 72)), np.zeros((1, 3)))[0]
    targets = with_lengths_of(rest, joints, own_rest)  # its own lengths: nothing changes
    np.testing.assert_allclose(targets[:, 2], joints[:, H["L_Ankle"]] - joints[:, 0], atol=1e-9)
    np.testing.assert_allclose(pull_to_targets(world, targets, rest), world, atol=1e-9)


def test_a_person_half_as_big_in_the_same_posture_gives_the_same_targets(body):
    pose, betas = random_pose(3), np.zeros(10)
    joints = as_17(body, betas, pose.reshape(-1, 72), np.zeros((6, 3)))
    own_rest = as_17(body, betas, np.zeros((1, 72)), np.zeros((1, 3)))[0]
    rest = rest_points(body, betas)
    np.testing.assert_allclose(
        with_lengths_of(rest, joints / 2, own_rest / 2), with_lengths_of(rest, joints, own_rest), atol=1e-12
    )


def test_pulling_brings_a_disturbed_body_back_to_the_joints(body):
    pose, betas = random_pose(1), np.zeros(10)
    target = as_17(body, betas, pose.reshape(-1, 72), np.zeros((6, 3)))
    disturbed = Rotation.from_rotvec(np.random.default_rng(2).normal(0, 0.08, (6 * 24, 3))).as_matrix()
    world = world_of(pose) @ disturbed.reshape(6, 24, 3, 3)
    rest = rest_points(body, betas)

    def distance(world):
        local = np.concatenate(
            [world[:, :1], np.swapaxes(world[:, [p for p, _ in bones]], -1, -2) @ world[:, 1:]], axis=1
        )
        p = Rotation.from_matrix(local.reshape(-1, 3, 3)).as_rotvec().reshape(-1, 72)
        # Axes: body_distance takes any axes as long as pose, transl and joints agree.
        return body_distance(
            p, translation(p, target[:, 0], replace(body, joint_regressor=None), betas), target, body, betas
        )

    own_rest = as_17(body, betas, np.zeros((1, 72)), np.zeros((1, 3)))[0]
    bones = sorted(SMPL_24.bones, key=lambda bone: bone[1])
    before, after = (
        distance(world).mean(),
        distance(pull_to_targets(world, with_lengths_of(rest, target, own_rest), rest)).mean(),
    )
    assert before > 0.02
    assert after < before / 10


@pytest.mark.parametrize("regressor", [True, False])
def test_the_bodys_hips_are_put_on_the_pelvis(body, regressor):
    # Hips of the regressor where the knees are, so that they differ from SMPL's.
    rows = body.joint_regressor.copy()
    rows[[H["L_Hip"], H["R_Hip"]]] = rows[[H["L_Knee"], H["R_Knee"]]]
    model = replace(body, joint_regressor=rows if regressor else None)
    pose = np.zeros((2, 72))
    pose[:, :3] = [[0.3, -0.5, 1.0], [-1.2, 0.4, 0.2]]  # only the root turns, so that the surface stays rigid
    betas, pelvis = np.full(10, 0.5), np.array([[1.0, 2.0, 3.0], [-1.0, 0.0, 0.9]])
    vertices, joints = posed_joints(model, betas, pose, translation(pose, pelvis, model, betas))
    if regressor:
        found = np.einsum("jv,tvc->tjc", rows, vertices)[:, [H["L_Hip"], H["R_Hip"]]].mean(1)
    else:
        found = joints[:, [S["L_Hip"], S["R_Hip"]]].mean(1)
    np.testing.assert_allclose(found, pelvis, atol=1e-9)


def test_the_shape_follows_the_length_of_the_bones(body):
    tall = np.zeros(10)
    tall[0] = 2.0
    for betas in (np.zeros(10), tall):
        joints = as_17(body, betas, np.zeros((1, 72)), np.zeros((1, 3)))
        fitted = fit_betas(joints, body)
        leg = rest_points(body, fitted)[[S["L_Hip"], S["L_Ankle"]], 1]
        own = rest_points(body, betas)[[S["L_Hip"], S["L_Ankle"]], 1]
        assert np.ptp(leg) == pytest.approx(np.ptp(own), abs=0.025)
        assert np.abs(fitted).max() <= 2.5


def test_a_giant_keeps_a_shape_within_the_bounds(body):
    joints = 3 * as_17(body, np.zeros(10), np.zeros((1, 72)), np.zeros((1, 3)))
    assert np.abs(fit_betas(joints, body)).max() <= 2.5


def test_the_whole_way_from_file_to_body_meets_the_joints(tmp_path, body):
    (tmp_path / "p.bvh").write_text(person_bvh(whole=False, frames=2))
    clip, _ = repair(scale(read_bvh(tmp_path / "p.bvh"), 0.0254 / 0.45))
    bend = Rotation.from_euler("x", [[0], [60]], degrees=True).as_matrix()
    for name in ("LeftLeg", "RightForeArm", "Spine"):
        clip.rotations[:, clip.skeleton.names.index(name)] = bend
    named, rotations, joints = moved(clip)
    betas = fit_betas(joints[:1], body)
    pose = smpl_pose(named, rotations, joints, body, betas)
    up = joints @ Z_UP.T
    assert body_distance(pose, translation(pose, up[:, 0], body, betas), up, body, betas).max() < 0.05


def test_the_projects_own_bvh_files_are_read_back_joint_by_joint(tmp_path):
    sequence = make_sequence(24)
    write_bvh(tmp_path / "a.bvh", [sequence])
    clip, _ = repair(scale(read_bvh(tmp_path / "a.bvh"), 0.01))
    _, _, found = moved(clip)
    expected = sequence.pose3d * [1, -1, -1]  # camera axes to Y up
    np.testing.assert_allclose(found - found[:, :1], expected - expected[:, :1], atol=0.002)
