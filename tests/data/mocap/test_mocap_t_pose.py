"""Skeletons whose bones lie along their own x axes, hand-made with the names of LaFAN1."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from data.Mocap.clean import human36m_joints, rest_positions, stand_upright
from data.Mocap.naming import name_joints
from data.Mocap.skeleton import Clip, Skeleton, forward_kinematics
from data.Mocap.t_pose import bones_along_x
from lib.joints import HUMAN36M_17

H = {name: k for k, name in enumerate(HUMAN36M_17.names)}

# name, parent, offset in metres in the parent's own axes, rotation in the T-pose from the parent's axes (z, y, x in degrees).
JOINTS = [
    ("Hips", None, (0, 0.9, 0), (90, 0, 90)),  # x up, y in front, z at the left
    ("Spine", "Hips", (0.1, 0, 0), (0, 0, 0)),
    ("Spine1", "Spine", (0.15, 0, 0), (0, 0, 0)),
    ("Spine2", "Spine1", (0.15, 0, 0), (0, 0, 0)),
    ("Neck", "Spine2", (0.15, 0, 0), (0, 0, 0)),
    ("Head", "Neck", (0.1, 0, 0), (0, 0, 0)),
]
for _side, _z, _arm in (("Left", 1, (180, -90, 0)), ("Right", -1, (180, 90, 0))):
    JOINTS += [
        (f"{_side}UpLeg", "Hips", (0, 0, 0.1 * _z), (180, 0, 180)),
        (f"{_side}Leg", f"{_side}UpLeg", (0.45, 0, 0), (0, 0, 0)),
        (f"{_side}Foot", f"{_side}Leg", (0.4, 0, 0), (90, 0, 0)),
        (f"{_side}Toe", f"{_side}Foot", (0.2, 0, 0), (0, 0, 0)),
        (f"{_side}Shoulder", "Spine2", (0.1, 0, 0.05 * _z), _arm),
        (f"{_side}Arm", f"{_side}Shoulder", (0.1, 0, 0), (0, 0, 0)),
        (f"{_side}ForeArm", f"{_side}Arm", (0.3, 0, 0), (0, 0, 0)),
        (f"{_side}Hand", f"{_side}ForeArm", (0.25, 0, 0), (0, 0, 0)),
    ]
NAMES = [joint[0] for joint in JOINTS]


def t_pose(**bent) -> Clip:
    """One frame; bent: degrees by which a joint turns further about its own z axis."""
    parents = tuple(-1 if parent is None else NAMES.index(parent) for _, parent, _, _ in JOINTS)
    turns = [Rotation.from_euler("ZYX", turn, degrees=True).as_matrix() for *_, turn in JOINTS]
    for name, angle in bent.items():
        turns[NAMES.index(name)] = turns[NAMES.index(name)] @ Rotation.from_euler("z", angle, degrees=True).as_matrix()
    offsets = np.array([offset for _, _, offset, _ in JOINTS], np.float64)
    return Clip(Skeleton(tuple(NAMES), parents, offsets), np.array(turns)[None], np.array([[0, 0.9, 0]]), 30.0)


def joints_of(clip: Clip) -> np.ndarray:
    positions, rotations = forward_kinematics(clip)
    return human36m_joints(name_joints(clip.skeleton), positions, rotations)[0]


def test_the_rest_pose_becomes_a_t_pose_in_which_nothing_is_turned():
    clip = stand_upright(t_pose())
    np.testing.assert_allclose(clip.rotations, np.broadcast_to(np.eye(3), clip.rotations.shape), atol=1e-12)
    rest = rest_positions(name_joints(clip.skeleton))
    for name, place in {
        "LeftFoot": (0.1, -0.85, 0), "RightFoot": (-0.1, -0.85, 0), "LeftToe": (0.1, -0.85, 0.2), "Head": (0, 0.65, 0),
        "LeftHand": (0.7, 0.5, 0), "RightHand": (-0.7, 0.5, 0),
    }.items():  # fmt: skip
        np.testing.assert_allclose(rest[NAMES.index(name)], place, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("bent", [{}, {"LeftForeArm": -80, "RightLeg": -60, "Spine1": 20, "LeftShoulder": 15}])
def test_all_joints_stay_where_the_file_has_them(bent):
    clip = t_pose(**bent)
    in_file, _ = forward_kinematics(clip)
    np.testing.assert_allclose(forward_kinematics(stand_upright(clip))[0], in_file, atol=1e-12)


def test_elbows_bend_to_the_front_and_knees_to_the_back_about_minus_z():
    joints = joints_of(stand_upright(t_pose(LeftForeArm=-90, RightForeArm=-90, LeftLeg=-90, RightLeg=-90)))
    for side in ("L", "R"):
        np.testing.assert_allclose(joints[H[f"{side}_Wrist"]] - joints[H[f"{side}_Elbow"]], [0, 0, 0.25], atol=1e-12)
        np.testing.assert_allclose(joints[H[f"{side}_Ankle"]] - joints[H[f"{side}_Knee"]], [0, 0, -0.4], atol=1e-12)


def test_a_rest_pose_that_stands_is_left_alone():
    clip = stand_upright(t_pose())
    assert bones_along_x(name_joints(t_pose().skeleton))
    assert not bones_along_x(name_joints(clip.skeleton))
    again = stand_upright(replace(clip))
    np.testing.assert_array_equal(again.skeleton.offsets, clip.skeleton.offsets)
