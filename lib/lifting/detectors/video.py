"""Frames and sizes of pictures and videos, by OpenCV."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from lib.errors import UserError


def read_frames(path: str | Path) -> Iterator[np.ndarray]:
    """Yield the frames of a video, or the one of a picture, (H, W, 3) uint8 RGB, turned upright as the file says."""
    picture = _read_picture(path)
    if picture is not None:
        yield cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        return
    capture = _open_video(path)
    try:
        while True:
            found, frame = capture.read()
            if not found:
                return
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
    finally:
        capture.release()


def image_size_of(path: str | Path) -> tuple[int, int]:
    """(width, height) in pixels of a picture file or of a video's first frame, as it is shown."""
    frames = read_frames(path)
    height, width = next(frames).shape[:2]
    frames.close()
    return width, height


def video_rate(path: str | Path) -> float | None:
    """Frames per second of a video; None for a picture or where the file does not say it."""
    if _read_picture(path) is not None:
        return None
    capture = _open_video(path)
    rate = capture.get(cv2.CAP_PROP_FPS)
    capture.release()
    return float(rate) if math.isfinite(rate) and 0 < rate <= 1000 else None


def _read_picture(path: str | Path) -> np.ndarray | None:
    """(H, W, 3) uint8 BGR, or None where the file is no picture."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    with _quiet():
        try:
            # what has several frames, such as a .gif, is a video
            single = cv2.haveImageReader(str(path)) and cv2.imcount(str(path)) == 1
            return cv2.imread(str(path), cv2.IMREAD_COLOR) if single else None
        except cv2.error as error:
            raise UserError(f"{path}: cannot be read as a picture ({' '.join(error.err.split())})") from None


def _open_video(path: str | Path) -> cv2.VideoCapture:
    """The opened video, of which at least one frame can be read."""
    with _quiet():
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        readable = capture.isOpened() and capture.grab()
        capture.release()
    if not readable:
        raise UserError(f"{path}: OpenCV can read it neither as a picture nor as a video; convert it to .mp4 (H.264)")
    return cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without OpenCV's own messages: what is wrong with a file is said in one line here."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)
