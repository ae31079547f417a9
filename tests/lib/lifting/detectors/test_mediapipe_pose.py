"""MediaPipe on a real video: one person who jumps off a roof and walks, from the wheel of sports2d (BSD-3)."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from lib.joints import MEDIAPIPE_33
from lib.lifting.detectors.mediapipe_pose import MediaPipePose
from lib.lifting.detectors.video import numbered_frames

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("mediapipe") is None, reason="needs MediaPipe (sh requirements.sh video)"
)
CLIP = (1.6, 2.2)
"""Seconds in which the person stands on the roof, arms spread, and faces the camera."""


@pytest.fixture(scope="module")
def film() -> Path:
    package = importlib.util.find_spec("Sports2D")
    path = Path(package.submodule_search_locations[0]) / "Demo" / "demo.mp4" if package else None
    if path is None or not path.is_file():
        pytest.skip("needs the video in the package sports2d (pip install --no-deps sports2d)")
    return path


def test_nobody_is_seen_in_black_frames(capfd):
    detector = MediaPipePose()
    assert detector(np.zeros((120, 160, 3), np.uint8)).shape == (0, len(MEDIAPIPE_33), 3)
    assert capfd.readouterr() == ("", "")


def test_a_real_person_is_found_upright_and_not_mirrored(film, capfd):
    detector = MediaPipePose()
    found = [detector(frame) for _, frame in numbered_frames(film, CLIP)]
    seen = np.concatenate(found)
    assert len(seen) > 0.5 * len(found)  # small, and against the light
    joint = {name: np.median(seen[:, i, :2], axis=0) for i, name in enumerate(MEDIAPIPE_33.names)}
    assert joint["Nose"][1] < joint["L_Hip"][1] < joint["L_Knee"][1] < joint["L_Ankle"][1]
    assert joint["R_Shoulder"][0] < joint["L_Shoulder"][0]  # faces the camera
    assert joint["R_Wrist"][0] < joint["R_Shoulder"][0] - 30
    assert joint["L_Wrist"][0] > joint["L_Shoulder"][0] + 30
    assert capfd.readouterr() == ("", "")  # not one line of its log
