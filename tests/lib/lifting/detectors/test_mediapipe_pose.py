"""MediaPipe on a real video: one person who jumps off a roof and walks, from the wheel of sports2d (BSD-3)."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from docs.measure_video import write_task
from lib.errors import UserError
from lib.joints import MEDIAPIPE_33
from lib.lifting.detectors.mediapipe_pose import MediaPipePose, MediaPipeTask
from lib.lifting.detectors.video import numbered_frames

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("mediapipe") is None, reason="needs MediaPipe (sh requirements.sh video)"
)
CLIP = (1.6, 2.2)
"""Seconds in which the person stands on the roof, arms raised, and faces the camera."""


@pytest.fixture(scope="module")
def film() -> Path:
    package = importlib.util.find_spec("Sports2D")
    path = Path(package.submodule_search_locations[0]) / "Demo" / "demo.mp4" if package else None
    if path is None or not path.is_file():
        pytest.skip("needs the video in the package sports2d (pip install --no-deps sports2d)")
    return path


@pytest.fixture(scope="module")
def task_file(tmp_path_factory) -> Path:
    """A pose landmarker file of the models in the wheel."""
    path = tmp_path_factory.mktemp("task") / "pose.task"
    write_task(path)
    return path


def assert_faces_the_camera_with_raised_arms(person: np.ndarray) -> None:
    """person (33, 2) px."""
    joint = dict(zip(MEDIAPIPE_33.names, person, strict=True))
    assert joint["Nose"][1] < joint["L_Hip"][1] < joint["L_Knee"][1] < joint["L_Ankle"][1]
    assert joint["R_Shoulder"][0] < joint["L_Shoulder"][0]
    for side in "LR":
        assert joint[f"{side}_Wrist"][1] < joint[f"{side}_Shoulder"][1] - 30


def test_nobody_is_seen_in_black_frames(capfd):
    detector = MediaPipePose()
    assert detector(np.zeros((120, 160, 3), np.uint8)).shape == (0, len(MEDIAPIPE_33), 3)
    assert capfd.readouterr() == ("", "")


def test_a_real_person_is_found_upright_and_not_mirrored(film, capfd):
    detector = MediaPipePose()
    found = [detector(frame) for _, frame in numbered_frames(film, CLIP)]
    seen = np.concatenate(found)
    assert len(seen) > 0.5 * len(found)  # small, and against the light
    assert_faces_the_camera_with_raised_arms(np.median(seen[..., :2], axis=0))
    assert capfd.readouterr() == ("", "")  # not one line of its log


def test_a_task_file_finds_the_same_person(film, task_file, capfd):
    detector = MediaPipeTask(task_file, max_persons=1)
    assert detector(np.zeros((120, 160, 3), np.uint8)).shape == (0, len(MEDIAPIPE_33), 3)
    found = [detector(frame) for _, frame in numbered_frames(film, CLIP)]
    seen = np.concatenate(found)
    assert len(seen) > 0.5 * len(found)
    assert np.median(seen[..., 2]) > 0.5
    names = MEDIAPIPE_33.names
    assert (seen[:, names.index("Nose"), 1] < seen[:, names.index("L_Hip"), 1]).all()
    assert (seen[:, names.index("L_Hip"), 1] < seen[:, names.index("L_Ankle"), 1]).all()
    assert capfd.readouterr() == ("", "")


def test_a_task_file_that_is_none_is_one_line(tmp_path, capfd):
    (tmp_path / "text.task").write_text("text")
    with pytest.raises(UserError, match=r"text\.task: is no pose landmarker of MediaPipe"):
        MediaPipeTask(tmp_path / "text.task")
    assert capfd.readouterr() == ("", "")
