import os

import numpy as np
import pytest

from data.AMASS.motion import frame_step, is_motion_file, read_motion
from lib.errors import UserError
from tests.field_files import Malicious, write_amass


@pytest.mark.parametrize(("rate", "step"), [(120, 12), (100, 10), (60, 6), (59.94, 6), (25, 3), (250, 25), (8, 1)])
def test_a_rate_is_thinned_out_to_nearly_ten_frames_a_second(rate, step):
    assert frame_step(rate, 10) == step


@pytest.mark.parametrize("model", ["smplh", "smplx"])
def test_hands_jaw_and_eyes_stay_out_of_the_smpl_pose(tmp_path, model):
    written = write_amass(tmp_path / "a_poses.npz", 61, 120.0, model=model)
    motion = read_motion(tmp_path / "a_poses.npz", 10)
    assert motion.frame.tolist() == [0, 12, 24, 36, 48, 60]
    np.testing.assert_array_equal(motion.pose[:, :66], written["poses"][::12, :66])
    assert not motion.pose[:, 66:].any()
    assert motion.pose.shape == (6, 72)
    np.testing.assert_array_equal(motion.trans, written["trans"][::12])
    np.testing.assert_array_equal(motion.betas, written["betas"][:10])
    assert (motion.model, motion.rate, motion.step) == (model, 120.0, 12)


def _object(value):
    holder = np.empty((), object)
    holder[()] = value
    return holder


@pytest.mark.parametrize("stored", [np.array("female"), np.array(b"female"), _object(b"female"), _object("female")])
def test_gender_is_read_from_text_from_bytes_and_from_an_object_array(tmp_path, stored):
    write_amass(tmp_path / "a_poses.npz", gender=None)
    with np.load(tmp_path / "a_poses.npz", allow_pickle=True) as z:
        content = {k: z[k] for k in z.files if k != "gender"}
    np.savez(tmp_path / "a_poses.npz", gender=stored, **content)
    assert read_motion(tmp_path / "a_poses.npz", 10).gender == "female"


def test_only_files_with_motion_count():
    from pathlib import Path

    names = ["a_poses.npz", "b c_stageii.npz", "shape.npz", "female_stagei.npz", "LICENSE.txt", "a_poses.txt"]
    assert [n for n in names if is_motion_file(Path(n))] == ["a_poses.npz", "b c_stageii.npz"]


def test_a_key_that_nobody_needs_is_never_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_amass(tmp_path / "a_poses.npz", markers_latent_vids=_object(Malicious()))
    assert len(read_motion(tmp_path / "a_poses.npz", 10).frame)
    assert not os.path.exists("PWNED")


BROKEN = {
    "no poses": ({"poses": None}, "has no poses"),
    "no rate": ({"mocap_framerate": None}, "has no mocap_framerate"),
    "no gender": ({"gender": None}, "has no gender"),
    "width": ({"poses": np.zeros((60, 150))}, "60 x 150"),
    "flat": ({"poses": np.zeros(60 * 156)}, "expected frames x 156"),
    "length": ({"trans": np.zeros((59, 3))}, "trans has 59 frames"),
    "rate": ({"mocap_framerate": np.array(0.0)}, "no frame rate"),
    "nan rate": ({"mocap_framerate": np.array(np.nan)}, "no frame rate"),
    "few betas": ({"betas": np.zeros(9)}, "at least 10"),
    "nan betas": ({"betas": np.full(16, np.nan)}, "betas hold NaN"),
    "gender": ({"gender": np.array("other")}, "gender must be one of"),
    "texts": ({"trans": np.full((60, 3), "x")}, "plain numbers"),
    "code": ({"gender": _object(Malicious())}, "refused"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_one_line_that_names_it_and_runs_nothing(tmp_path, monkeypatch, case):
    changes, text = BROKEN[case]
    monkeypatch.chdir(tmp_path)
    write_amass(tmp_path / "a_poses.npz", **changes)
    with pytest.raises(UserError, match=text) as error:
        read_motion(tmp_path / "a_poses.npz", 10)
    assert "a_poses.npz" in str(error.value)
    assert "\n" not in str(error.value)
    assert not os.path.exists("PWNED")


def test_a_file_that_is_cut_off_is_refused(tmp_path):
    path = tmp_path / "a_poses.npz"
    write_amass(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match="not a complete"):
        read_motion(path, 10)


def test_degrees_are_told_from_radians(tmp_path):
    written = write_amass(tmp_path / "a_poses.npz")
    write_amass(tmp_path / "a_poses.npz", poses=np.rad2deg(written["poses"]))
    with pytest.raises(UserError, match="radians"):
        read_motion(tmp_path / "a_poses.npz", 10)


def test_turns_that_jump_by_two_pi_are_not_taken_for_degrees(tmp_path):
    poses = np.random.default_rng(0).normal(0, 0.2, (60, 156))
    poses[::2, 45:57] += 2 * np.pi  # both arms
    write_amass(tmp_path / "a_poses.npz", poses=poses)
    assert len(read_motion(tmp_path / "a_poses.npz", 10).frame) == 10


def test_millimetres_are_told_from_metres(tmp_path):
    written = write_amass(tmp_path / "a_poses.npz")
    write_amass(tmp_path / "a_poses.npz", trans=1000 * written["trans"])
    with pytest.raises(UserError, match="metres"):
        read_motion(tmp_path / "a_poses.npz", 10)


def test_a_nan_in_a_used_frame_is_refused_or_the_frame_dropped_and_counted(tmp_path):
    written = write_amass(tmp_path / "a_poses.npz")
    poses, trans = written["poses"].copy(), written["trans"].copy()
    poses[12, 20] = poses[7, 20] = trans[18, 2] = np.nan  # every 6th frame is used
    write_amass(tmp_path / "a_poses.npz", poses=poses, trans=trans)
    with pytest.raises(UserError, match="2 of 10 frames that are used, the first is frame 12"):
        read_motion(tmp_path / "a_poses.npz", 10)
    motion = read_motion(tmp_path / "a_poses.npz", 10, drop_nan=True)
    assert motion.frame.tolist() == [0, 6, 24, 30, 36, 42, 48, 54]
    assert motion.missing == 2
    assert np.isfinite(motion.pose).all()


def test_a_nan_in_a_hand_matters_to_nobody(tmp_path):
    written = write_amass(tmp_path / "a_poses.npz")
    poses = written["poses"].copy()
    poses[:, 100] = np.nan
    write_amass(tmp_path / "a_poses.npz", poses=poses)
    assert len(read_motion(tmp_path / "a_poses.npz", 10).frame) == 10
