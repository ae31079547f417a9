"""Each angle against where the limb goes on a posed body: x left, y up, z forward at rest."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from lib.joints import SMPL_24
from lib.lifting.joint_angles import joint_angles
from smplpytorch.smplpytorch.pytorch.smpl_layer import SMPL_Layer
from tests.bodies import tiny_body

LEFT, UP, FORWARD = np.eye(3)


@pytest.fixture(scope="module")
def layer():
    return SMPL_Layer(tiny_body(), torch.float64)


def posed(turns):
    """Pose (1, 72) with {joint: rotation}."""
    pose = np.zeros((1, 72))
    for name, rotation in turns.items():
        k = SMPL_24.names.index(name)
        pose[0, 3 * k : 3 * k + 3] = rotation.as_rotvec()
    return pose


def direction(layer, pose, start, end):
    zeros = torch.zeros(1, 10, dtype=torch.float64)
    joints = layer(torch.as_tensor(pose), zeros, zeros[:, :3])[1][0].numpy()
    along = joints[SMPL_24.names.index(end)] - joints[SMPL_24.names.index(start)]
    return along / np.linalg.norm(along)


def about(axis, degrees):
    return Rotation.from_rotvec(np.deg2rad(degrees) * axis)


@pytest.mark.parametrize("side", ["L", "R"])
@pytest.mark.parametrize(
    ("joint", "end", "axis", "degrees", "towards", "angle"),
    [
        ("Hip", "Knee", LEFT, -50, FORWARD, "hip_flexion"),
        ("Hip", "Knee", LEFT, 20, -FORWARD, "hip_flexion"),
        ("Knee", "Ankle", LEFT, 50, -FORWARD, "knee_flexion"),
        ("Ankle", "Foot", LEFT, -20, UP, "ankle_dorsiflexion"),
    ],
)
def test_angles_in_the_sagittal_plane(layer, side, joint, end, axis, degrees, towards, angle):
    pose = posed({f"{side}_{joint}": about(axis, degrees)})
    start = direction(layer, posed({}), f"{side}_{joint}", f"{side}_{end}")
    moved = direction(layer, pose, f"{side}_{joint}", f"{side}_{end}")
    assert (moved - start) @ towards > 0.2
    want = -20 if (degrees, angle) == (20, "hip_flexion") else abs(degrees)
    angles = joint_angles(pose)
    assert angles.pop(f"{side}_{angle}") == pytest.approx(want)
    rest = joint_angles(posed({}))
    assert all(value == pytest.approx(rest[name]) for name, value in angles.items())


@pytest.mark.parametrize(("side", "outwards"), [("L", LEFT), ("R", -LEFT)])
def test_a_leg_to_the_side_is_abducted_and_one_turned_out_is_rotated_outwards(layer, side, outwards):
    sign = outwards[0]
    pose = posed({f"{side}_Hip": about(FORWARD, 30 * sign)})
    assert direction(layer, pose, f"{side}_Hip", f"{side}_Knee") @ outwards > 0.4
    assert joint_angles(pose)[f"{side}_hip_adduction"] == pytest.approx(-30)
    pose = posed({f"{side}_Hip": about(UP, 30 * sign)})
    assert direction(layer, pose, f"{side}_Ankle", f"{side}_Foot") @ outwards > 0.3
    assert joint_angles(pose)[f"{side}_hip_internal_rotation"] == pytest.approx(-30)


@pytest.mark.parametrize(("side", "outwards"), [("L", LEFT), ("R", -LEFT)])
def test_the_shoulders_elevation_and_its_plane(layer, side, outwards):
    sign = outwards[0]
    rest = joint_angles(posed({}))
    assert rest[f"{side}_shoulder_elevation"] == pytest.approx(90)
    assert rest[f"{side}_shoulder_plane_of_elevation"] == pytest.approx(0, abs=1e-9)
    lower = posed({f"{side}_Shoulder": about(FORWARD, -60 * sign)})
    assert direction(layer, lower, f"{side}_Shoulder", f"{side}_Elbow") @ UP < -0.8
    assert joint_angles(lower)[f"{side}_shoulder_elevation"] == pytest.approx(30)
    ahead = posed({f"{side}_Shoulder": about(UP, -90 * sign)})
    assert direction(layer, ahead, f"{side}_Shoulder", f"{side}_Elbow") @ FORWARD > 0.99
    angles = joint_angles(ahead)
    assert angles[f"{side}_shoulder_elevation"] == pytest.approx(90)
    assert angles[f"{side}_shoulder_plane_of_elevation"] == pytest.approx(90)


@pytest.mark.parametrize(("side", "sign"), [("L", 1), ("R", -1)])
def test_an_internally_rotated_arm_carries_the_bent_forearm_down(layer, side, sign):
    bent = {f"{side}_Elbow": about(UP, -90 * sign)}
    assert direction(layer, posed(bent), f"{side}_Elbow", f"{side}_Wrist") @ FORWARD > 0.99
    assert joint_angles(posed(bent))[f"{side}_elbow_flexion"] == pytest.approx(90)
    pose = posed(bent | {f"{side}_Shoulder": about(LEFT, 40)})
    assert direction(layer, pose, f"{side}_Elbow", f"{side}_Wrist") @ UP < -0.6
    assert joint_angles(pose)[f"{side}_shoulder_internal_rotation"] == pytest.approx(40)


def test_the_trunk_adds_up_its_three_joints(layer):
    third = {f"Spine{k}": about(LEFT, 10) for k in (1, 2, 3)}
    assert direction(layer, posed(third), "Spine3", "Neck") @ FORWARD > 0.3
    assert joint_angles(posed(third))["trunk_flexion"] == pytest.approx(30)
    bent = posed({"Spine1": about(FORWARD, 20)})
    assert direction(layer, bent, "Spine3", "Neck") @ LEFT < -0.2
    assert joint_angles(bent)["trunk_bending_right"] == pytest.approx(20)
    assert joint_angles(posed({"Spine2": about(UP, 15)}))["trunk_rotation_left"] == pytest.approx(15)


def test_the_pelvis_in_space_changes_no_angle_and_mirrored_people_swap_sides():
    rng = np.random.default_rng(0)
    pose = 0.4 * rng.normal(size=(5, 72))
    turned = pose.copy()
    turned[:, :3] = rng.normal(size=(5, 3))
    angles = joint_angles(pose)
    for name, value in joint_angles(turned).items():
        np.testing.assert_array_equal(value, angles[name])
    mirrored = (pose.reshape(5, 24, 3) * [1, -1, -1])[:, list(SMPL_24.flip_permutation)].reshape(5, 72)
    for name, value in joint_angles(mirrored).items():
        other = {"L": "R", "R": "L"}.get(name[0], name[0]) + name[1:]
        sign = -1 if name in ("trunk_bending_right", "trunk_rotation_left") else 1
        np.testing.assert_allclose(value, sign * angles[other], atol=1e-9)
