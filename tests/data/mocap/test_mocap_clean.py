"""Axes, units, repairs, the 17 joints, glitches and thinning out."""

from dataclasses import replace

import numpy as np
import pytest
from mocap_files import person_amc, person_asf, person_bvh
from scipy.spatial.transform import Rotation

from data.Mocap.asf_amc import INCH, read_amc, read_asf
from data.Mocap.bvh import read_bvh
from data.Mocap.clean import (
    UNITS,
    check_bones,
    glitches,
    guess_unit,
    human36m_joints,
    repair,
    rest_positions,
    sample_frames,
    scale,
    stand_upright,
)
from data.Mocap.naming import CONVENTIONS, UnusableSkeleton, name_joints
from data.Mocap.skeleton import Skeleton, forward_kinematics
from lib.joints import HUMAN36M_17

H = {name: k for k, name in enumerate(HUMAN36M_17.names)}
UNIT = INCH / 0.45


def bvh(tmp_path, **options):
    (tmp_path / "p.bvh").write_text(person_bvh(**options))
    return read_bvh(tmp_path / "p.bvh")


def joints_of(clip):
    positions, rotations = forward_kinematics(clip)
    return human36m_joints(name_joints(clip.skeleton), positions, rotations)


def test_the_seventeen_joints_of_a_cmu_person_are_where_the_bones_put_them(tmp_path):
    (tmp_path / "p.asf").write_text(person_asf())
    (tmp_path / "p_1.amc").write_text(person_amc([{}]))
    clip = read_amc(tmp_path / "p_1.amc", read_asf(tmp_path / "p.asf"), 120)
    joints = joints_of(clip)[0] / UNIT
    expected = {
        "Pelvis": (0, 14, 0), "L_Hip": (1.6, 14, 0), "R_Hip": (-1.6, 14, 0), "Torso": (0, 17, 0), "Neck": (0, 24, 0),
        "Head": (0, 29, 0), "L_Shoulder": (3, 24, 0), "L_Elbow": (8, 24, 0), "L_Wrist": (12.5, 24, 0),
        "R_Wrist": (-12.5, 24, 0), "R_Knee": (-1.6 - 3.5, 14 - 7 * np.cos(np.pi / 6), 0),
    }  # fmt: skip
    for name, place in expected.items():
        np.testing.assert_allclose(joints[H[name]], place, atol=1e-9, err_msg=name)


def test_the_nose_is_in_front_of_the_face_and_turns_with_the_head(tmp_path):
    (tmp_path / "p.asf").write_text(person_asf())
    (tmp_path / "p_1.amc").write_text(person_amc([{}, {"head": "0 90 0"}]))
    joints = joints_of(read_amc(tmp_path / "p_1.amc", read_asf(tmp_path / "p.asf"), 120))
    nose = joints[:, H["Nose"]] - joints[:, H["Head"]]
    np.testing.assert_allclose(nose[0], [0, -0.112, 0.1], atol=1e-12)
    np.testing.assert_allclose(nose[1], [0.1, -0.112, 0], atol=1e-12)  # Ry(90): forward becomes the person's left


@pytest.mark.parametrize("family", list(CONVENTIONS))
def test_every_family_is_recognised_by_its_own_names(family):
    names = tuple(dict.fromkeys(["root", *CONVENTIONS[family].required()]))
    skeleton = Skeleton(names, (-1, *[0] * (len(names) - 1)), np.zeros((len(names), 3)))
    assert name_joints(skeleton).convention is CONVENTIONS[family]
    spelt = replace(skeleton, names=tuple(f"ns:{n.title()}" for n in names))
    assert name_joints(spelt).convention is CONVENTIONS[family]


def test_unknown_names_are_refused_with_what_is_missing(tmp_path):
    skeleton = bvh(tmp_path).skeleton
    strange = replace(skeleton, names=tuple(n.replace("LeftArm", "Tentacle") for n in skeleton.names))
    with pytest.raises(UnusableSkeleton, match=r"nearest is CMU as BVH, which lacks leftarm"):
        name_joints(strange)


@pytest.mark.parametrize("unit", UNITS.values())
def test_the_unit_is_found_from_the_length_of_the_legs(tmp_path, unit):
    clip = bvh(tmp_path, unit=unit / UNIT)  # legs of 14 x 0.05644 = 0.790 m, written in `unit`
    assert guess_unit(clip) == unit
    leg = rest_positions(name_joints(scale(clip, unit).skeleton)).min(0)[1]
    assert leg == pytest.approx(-14 * UNIT)


def test_legs_of_no_known_unit_are_refused(tmp_path):
    with pytest.raises(UnusableSkeleton, match=r"its legs are 4\.8 units long"):
        guess_unit(bvh(tmp_path, unit=14 / 4.8))


def test_a_z_up_file_gives_the_same_joints_as_a_y_up_file(tmp_path):
    clip = bvh(tmp_path)
    bend = Rotation.from_euler("xyz", [30, 20, 10], degrees=True).as_matrix()
    clip.rotations[1:, clip.skeleton.names.index("Spine")] = bend
    turn = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])  # x -> y, y -> z, z -> x
    turned = replace(
        clip,
        skeleton=replace(clip.skeleton, offsets=clip.skeleton.offsets @ turn.T),
        rotations=turn @ clip.rotations @ turn.T,
        translation=clip.translation @ turn.T,
    )
    assert np.abs(turned.skeleton.offsets - clip.skeleton.offsets).max() > 1
    np.testing.assert_allclose(joints_of(stand_upright(turned)), joints_of(clip), atol=1e-12)


def test_a_rest_pose_that_does_not_stand_is_refused(tmp_path):
    clip = bvh(tmp_path)
    along_x = np.linalg.norm(clip.skeleton.offsets, axis=1)[:, None] * [1.0, 0, 0]
    with pytest.raises(UnusableSkeleton, match="rest pose"):
        stand_upright(replace(clip, skeleton=replace(clip.skeleton, offsets=along_x)))


def test_a_bone_without_length_is_refused(tmp_path):
    clip = scale(bvh(tmp_path), UNIT)
    check_bones(name_joints(clip.skeleton))
    clip.skeleton.offsets[clip.skeleton.names.index("RightForeArm")] = 0
    with pytest.raises(UnusableSkeleton, match="R_Shoulder and R_Elbow are in the same place"):
        check_bones(name_joints(clip.skeleton))


def test_what_amc2bvh_loses_is_given_back(tmp_path):
    whole, damaged = bvh(tmp_path, whole=True), bvh(tmp_path, whole=False)
    repaired, done = repair(damaged)
    assert done == ["thorax", "left forearm", "right forearm"]
    # thorax = 1.012 x 4 = 4.048 units up; wrist = elbow + 1.5 x (3 units) = 4.5 units from the elbow
    np.testing.assert_allclose(repaired.skeleton.offsets, whole.skeleton.offsets, atol=1e-9)


def test_a_whole_file_is_left_alone(tmp_path):
    clip = bvh(tmp_path, whole=True)
    repaired, done = repair(clip)
    assert done == []
    np.testing.assert_array_equal(repaired.skeleton.offsets, clip.skeleton.offsets)


def test_frames_around_a_jump_above_sixteen_metres_a_second_are_glitches():
    joints = np.zeros((40, 17, 3))
    joints[20:, 16, 0] = 0.14  # 0.14 m in 1/120 s = 16.8 m/s between frames 19 and 20
    # 0.02 s = 2.4 frames, rounded up to 3 on both sides: 17, 18, 19 | 20, 21, 22
    np.testing.assert_array_equal(np.flatnonzero(glitches(joints, 120)), np.arange(17, 23))
    joints[20:, 16, 0] = 0.13  # 15.6 m/s
    assert not glitches(joints, 120).any()


def test_moving_as_a_whole_is_no_glitch():
    joints = np.zeros((10, 17, 3))
    joints[5:] += 1.0
    assert not glitches(joints, 120).any()
    assert not glitches(joints[:1], 120).any()


@pytest.mark.parametrize(
    ("count", "fps", "target", "expected"),
    [
        (25, 120, 10, [0, 12, 24]),
        (25, 1 / 0.00833333, 10, [0, 12, 24]),
        (25, 120.00005, 10, [0, 12, 24]),
        (8, 25, 10, [0, 2, 5]),  # 0, 2.5, 5, (7.5: after the last frame)
        (3, 10, 60, [0, 1, 2]),
        (1, 120, 10, [0]),
    ],
)
def test_frames_nearest_to_the_wanted_times_are_kept_once(count, fps, target, expected):
    assert sample_frames(count, fps, target).tolist() == expected
