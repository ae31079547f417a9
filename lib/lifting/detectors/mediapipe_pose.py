"""MediaPipe's pose models (BlazePose; Bazarevsky et al., 2020).

The wheels up to 0.10.21 hold a model of one person. Later ones hold none and read a `.task` file, which may find several.
"""

import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np

from lib.errors import UserError
from lib.joints import JOINT_SETS

JOINT_SET = "mediapipe"

MIN_VISIBILITY = 0.1
"""Joints below count as missing. MediaPipe also places joints that it does not see, well enough where a body part hides
them; what is outside the image is far below."""

FRAME_TIME = 33
"""Milliseconds between two frames, as MediaPipe is told: it asks for increasing times."""

MAX_PEOPLE = 5
"""Default number of people that a .task model looks for; each costs time, even if there are fewer."""

INSTALL = "sh requirements.sh video (Python 3.10 to 3.12)"


class MediaPipePose:
    """The model inside the wheel: one person, who is followed from frame to frame. A `Detector`."""

    name = "MediaPipe"
    joint_set = JOINT_SET

    def __init__(self):
        mediapipe = _import()
        if not hasattr(mediapipe, "solutions"):
            raise UserError(
                f"MediaPipe {mediapipe.__version__} holds no pose model: give one with --detector FILE.task "
                f"(pose_landmarker_full.task of MediaPipe's own pages), or install 0.10.21: {INSTALL}"
            )
        with _silent():
            self._pose = mediapipe.solutions.pose.Pose(static_image_mode=False, model_complexity=1)
            self._pose.process(np.zeros((64, 64, 3), np.uint8))  # it starts, and logs that, on threads of its own
        self._found_before = False

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """See `Detector`; K is at most 1."""
        if self._found_before:
            result = self._pose.process(frame)
        else:  # the second of its models logs once it has work
            with _silent():
                result = self._pose.process(frame)
        if result.pose_landmarks is None:
            return _joints([], frame)
        self._found_before = True
        return _joints([result.pose_landmarks.landmark], frame)


class MediaPipeTask:
    """A pose landmarker file (.task): several people. A `Detector`.

    path: the file; max_persons: most people that are looked for, MAX_PEOPLE where it is None.
    """

    joint_set = JOINT_SET

    def __init__(self, path: str | Path, max_persons: int | None = None):
        path = Path(path)
        self.name = path.name
        if not path.is_file():
            raise UserError(f"{path}: no such file; --detector needs a pose landmarker of MediaPipe (.task)")
        self._image, vision, base_options = _import_tasks()
        options = vision.PoseLandmarkerOptions(
            base_options=base_options(model_asset_buffer=path.read_bytes()),
            running_mode=vision.RunningMode.VIDEO,
            num_poses=max_persons or MAX_PEOPLE,
        )
        try:
            with _silent():
                self._landmarker = vision.PoseLandmarker.create_from_options(options)
        except (RuntimeError, ValueError) as error:
            why = " ".join(str(error).split())[:120]
            raise UserError(f"{path}: is no pose landmarker of MediaPipe ({why})") from None
        self._time = 0

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """See `Detector`."""
        image = self._image.Image(image_format=self._image.ImageFormat.SRGB, data=np.ascontiguousarray(frame))
        with _silent():
            result = self._landmarker.detect_for_video(image, self._time)
        self._time += FRAME_TIME
        return _joints(result.pose_landmarks, frame)


def _joints(people: list, frame: np.ndarray) -> np.ndarray:
    """MediaPipe's landmarks, parts of width and height, of each person to (K, 33, 3)."""
    height, width = frame.shape[:2]
    found = np.array([[(p.x * width, p.y * height, p.visibility) for p in person] for person in people])
    if not len(found):
        return np.zeros((0, len(JOINT_SETS[JOINT_SET]), 3))
    found[..., 2] = np.where(found[..., 2] < MIN_VISIBILITY, 0, np.clip(found[..., 2], 0, 1))
    return found


def _import() -> ModuleType:
    """MediaPipe, without its own log lines and without JAX."""
    os.environ.setdefault("GLOG_minloglevel", "2")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if importlib.util.find_spec("mediapipe") is None:
        raise UserError(
            f"the pose detector MediaPipe is not installed: {INSTALL}; or give a model of your own with --detector FILE.onnx"
        )
    try:
        with _silent():
            import mediapipe
    except ImportError as error:
        raise UserError(f"MediaPipe cannot be imported ({error}): {INSTALL}") from None
    return mediapipe


def _import_tasks() -> tuple:
    """MediaPipe itself, its vision tasks and BaseOptions."""
    mediapipe = _import()
    with _silent():
        from mediapipe.tasks.python import BaseOptions, vision
    return mediapipe, vision, BaseOptions


@contextmanager
def _silent() -> Iterator[None]:
    """Without what C++ code writes to the standard error, over which its log levels have no power."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as nowhere:
        kept = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
