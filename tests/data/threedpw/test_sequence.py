import os

import numpy as np
import pytest

from data.ThreeDPW.dataset import openpose_joints
from data.ThreeDPW.sequence import read_sequence
from lib.errors import UserError
from lib.joints import HUMAN36M_17
from tests.field_files import Malicious, sequence_3dpw, write_3dpw


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "sequenceFiles" / "test" / "made_up_00.pkl"


def test_each_actor_keeps_the_frames_in_which_its_own_camera_is_valid(path):
    content = sequence_3dpw()
    write_3dpw(path, content)
    sequence = read_sequence(path)
    assert [a.gender for a in sequence.actors] == ["male", "female"]
    for i, actor in enumerate(sequence.actors):
        valid = np.flatnonzero(content["campose_valid"][i])
        assert 3 + i not in actor.frame
        np.testing.assert_array_equal(actor.frame, valid)
        np.testing.assert_array_equal(actor.pose, content["poses"][i][valid])
        np.testing.assert_array_equal(actor.R, content["cam_poses"][valid, :3, :3])
        np.testing.assert_array_equal(actor.t, content["cam_poses"][valid, :3, 3])
        np.testing.assert_array_equal(actor.betas, content["betas"][i][:10])
        np.testing.assert_array_equal(actor.detections[:, 0, :2], content["poses2d"][i][valid, :2, 0])
    assert (sequence.width, sequence.height) == (1920, 1080)


def test_the_image_size_is_twice_the_principal_point(path):
    content = sequence_3dpw()
    content["cam_intrinsics"][:2, 2] = [540, 960]
    write_3dpw(path, content)
    assert (read_sequence(path).width, read_sequence(path).height) == (1080, 1920)


def _changed(name, value):
    def change(content):
        content[name] = value(content[name])

    return change


BROKEN = {
    "no joints": (lambda c: c.pop("jointPositions"), "has no jointPositions"),
    "no camera": (lambda c: c.pop("cam_poses"), "has no cam_poses"),
    "no lens": (lambda c: c.pop("cam_intrinsics"), "has no cam_intrinsics"),
    "23 joints": (_changed("jointPositions", lambda v: [a[:, :69] for a in v]), "20 x 69, expected 20 x 72"),
    "a camera short": (_changed("cam_poses", lambda v: v[:-1]), "19 x 4 x 4, expected 20 x 4 x 4"),
    "an actor short": (_changed("trans", lambda v: v[:1]), "trans is of 1 actors, poses of 2"),
    "turned wrong": (_changed("cam_poses", lambda v: 2 * v), "not a rotation"),
    "gender": (_changed("genders", lambda v: ["m", "x"]), "actor 1: gender"),
    "few betas": (_changed("betas", lambda v: [b[:8] for b in v]), "betas"),
    "texts": (_changed("trans", lambda v: ["x", "y"]), "trans of actor 0"),
    "code": (_changed("texture_maps", lambda v: Malicious()), "refused"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_sequence_is_one_line_that_names_it_and_runs_nothing(path, case):
    change, text = BROKEN[case]
    content = sequence_3dpw() | {"texture_maps": []}
    change(content)
    write_3dpw(path, content)
    with pytest.raises(UserError, match=text) as error:
        read_sequence(path)
    assert "made_up_00.pkl" in str(error.value)
    assert "\n" not in str(error.value)
    assert not os.path.exists("PWNED")


@pytest.mark.parametrize("content", [["a", "list"], "text"])
def test_something_else_than_a_dictionary_is_refused(path, content):
    write_3dpw(path, content)
    with pytest.raises(UserError, match="not a sequence of 3DPW"):
        read_sequence(path)


@pytest.mark.parametrize("content", [b"", b"some text", b"\x80\x02}"])
def test_something_else_than_a_pickle_is_refused(path, content):
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"made_up_00\.pkl"):
        read_sequence(path)


def test_millimetres_and_degrees_are_told_from_metres_and_radians(path):
    for name, factor, text in (
        ("jointPositions", 1000, "metres"), ("trans", 1000, "metres"), ("poses", 180 / np.pi, "radians")
    ):  # fmt: skip
        content = sequence_3dpw()
        content[name] = [factor * array for array in content[name]]
        write_3dpw(path, content)
        with pytest.raises(UserError, match=text):
            read_sequence(path)


def test_cameras_in_millimetres_are_refused(path):
    content = sequence_3dpw()
    content["cam_poses"][:, :3, 3] *= 1000
    write_3dpw(path, content)
    with pytest.raises(UserError, match=r"made_up_00\.pkl: actor 0: the person is .* cam_poses must be in metres"):
        read_sequence(path)


def test_a_nan_in_a_valid_frame_is_refused_or_the_frame_dropped_and_counted(path):
    content = sequence_3dpw()
    content["poses"][0][[3, 7], 5] = np.nan  # frame 3 is not valid anyhow
    write_3dpw(path, content)
    with pytest.raises(UserError, match=r"actor 0: NaN or infinite numbers in 1 of 19 .* frame 7"):
        read_sequence(path)
    actor, other = read_sequence(path, drop_nan=True).actors
    assert 7 not in actor.frame
    assert (len(actor.frame), actor.missing, other.missing) == (18, 1, 0)


def test_openpose_joints_take_their_places_among_the_17():
    detections = np.ones((2, 18, 3))
    detections[..., 0] = np.arange(18)  # x is the column of poses2d
    detections[..., 1] = 100
    xy, has = openpose_joints(detections, np.arange(2))
    x = dict(zip(HUMAN36M_17.names, xy[0, :, 0], strict=True))
    assert has.all()
    assert (x["R_Hip"], x["R_Knee"], x["R_Ankle"]) == (8, 9, 10)
    assert (x["L_Hip"], x["L_Knee"], x["L_Ankle"]) == (11, 12, 13)
    assert (x["R_Shoulder"], x["R_Elbow"], x["R_Wrist"]) == (2, 3, 4)
    assert (x["L_Shoulder"], x["L_Elbow"], x["L_Wrist"]) == (5, 6, 7)
    assert (x["Nose"], x["Pelvis"], x["Neck"]) == (0, 9.5, 3.5)


def test_a_frame_without_a_detection_has_no_input_and_a_missed_joint_comes_from_its_neighbours():
    detections = np.random.default_rng(0).uniform(100, 900, (5, 18, 3))
    detections[1] = 0
    detections[3, 4] = 0  # the right wrist
    xy, has = openpose_joints(detections, np.arange(5))
    assert has.tolist() == [True, False, True, True, True]
    wrist = HUMAN36M_17.names.index("R_Wrist")
    np.testing.assert_allclose(xy[3, wrist], (detections[2, 4, :2] + detections[4, 4, :2]) / 2)
    assert np.isfinite(xy[has]).all()


@pytest.mark.parametrize(("missed", "bridged"), [(12, True), (13, False)])
def test_missed_joints_are_bridged_over_0_4_s_of_a_video_of_30_frames_per_second(missed, bridged):
    detections = np.tile(np.random.default_rng(0).uniform(100, 900, (18, 3)), (missed + 2, 1, 1))
    detections[1:-1, 4] = 0  # the right wrist, which is at the same place before and after
    xy, _ = openpose_joints(detections, np.arange(missed + 2))
    wrist = HUMAN36M_17.names.index("R_Wrist")
    assert np.allclose(xy[1:-1, wrist], xy[0, wrist]) == bridged
