"""Conventions with equally many joints are told apart by what the joints look like, and a wrong one is refused."""

from pathlib import Path

import numpy as np
import pytest

from lib.errors import UserError
from lib.joints import JOINT_SETS
from lib.joints.conversion import convert_joints
from lib.lifting.keypoints.conventions import CLEAR, unlikeness
from lib.lifting.keypoints.readers import read_keypoints
from tests.stick_person import detections

TWINS = [("human36", "coco"), ("coco", "human36"), ("body25", "body25b"), ("body25b", "body25"), ("aic", "crowdpose"),
         ("crowdpose", "aic")]  # fmt: skip


def saved(folder: Path, joint_set: str) -> Path:
    np.save(folder / "a.npy", detections(JOINT_SETS[joint_set]))
    return folder / "a.npy"


@pytest.mark.parametrize(("true", "wrong"), TWINS)
def test_the_right_one_is_taken_and_said(true, wrong, tmp_path):
    notes = []
    people = read_keypoints(saved(tmp_path, true), notes=notes)
    assert {k.joint_set for k in people} == {true}
    assert len(notes) == 1
    assert f"joints read as {true}, in which they look most like people; use --joint-set to choose another" in notes[0]


@pytest.mark.parametrize(("true", "wrong"), TWINS)
def test_a_wrong_joint_set_is_refused_unless_forced(true, wrong, tmp_path):
    path = saved(tmp_path, true)
    with pytest.raises(
        UserError, match=rf"a.npy: read as {wrong} .* as {true} they do; give --joint-set {true}, or --force"
    ):
        read_keypoints(path, wrong)
    notes = []
    assert read_keypoints(path, wrong, force=True, notes=notes)[0].joint_set == wrong
    assert read_keypoints(path, true, notes=notes)[0].joint_set == true
    assert notes == []


@pytest.mark.parametrize(("true", "wrong"), TWINS)
@pytest.mark.parametrize("turn", [0, 180])
def test_people_upside_down_are_told_apart_too(true, wrong, turn):
    values = detections(JOINT_SETS[true])[0]
    values[..., :2] *= -1 if turn else 1
    unlike = unlikeness(values, [true, wrong])
    assert unlike[wrong] > CLEAR * unlike[true]


@pytest.mark.parametrize(("true", "wrong"), TWINS)
def test_half_a_body_is_enough(true, wrong):
    names = JOINT_SETS[true].names
    values = detections(JOINT_SETS[true])[0]
    legs = [i for i, n in enumerate(names) if n.endswith(("Hip", "Knee", "Ankle", "Toe", "Heel", "Pelvis", "Torso"))]
    values[:, legs] = np.nan
    unlike = unlikeness(values, [true, wrong])
    assert unlike[wrong] > CLEAR * unlike[true]


def test_body_25_read_as_body_25b_and_the_other_way_used_to_move_joints_unseen():
    """Why it matters: read in the wrong order the converted joints are far off, and nothing else complains."""
    values = detections(JOINT_SETS["body25b"])[0]
    right, wrong = (convert_joints(values, name)[0] for name in ("body25b", "body25"))
    assert np.linalg.norm(right - wrong, axis=-1).mean() > 50  # px, of a person 390 px tall


def test_unclear_geometry_asks(tmp_path):
    np.save(tmp_path / "a.npy", np.full((9, 25, 3), 5.0))
    with pytest.raises(UserError, match="25 joints may be body25 or body25b; choose one with --joint-set"):
        read_keypoints(tmp_path / "a.npy")
    assert read_keypoints(tmp_path / "a.npy", "body25")[0].joint_set == "body25"


def test_people_of_whom_only_the_face_is_seen_say_nothing_about_the_convention(tmp_path):
    values = detections(JOINT_SETS["coco"])
    values[:, :, 5:] = 0
    np.save(tmp_path / "a.npy", values)
    assert {k.joint_set for k in read_keypoints(tmp_path / "a.npy", "coco")} == {"coco"}
    with pytest.raises(UserError, match="17 joints may be human36 or coco"):
        read_keypoints(tmp_path / "a.npy")
