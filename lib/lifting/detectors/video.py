"""Frames, sizes and rates of images and videos, by OpenCV; frame by frame, so a video may be of any length."""

import math
import os
from collections.abc import Collection, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from lib.errors import UserError
from lib.lifting import DEFAULT_FPS
from lib.lifting.detectors.interlaced import cannot_be_converted, combed, first_frames_are_the_same, one_field

LOOKED_AT = 32
"""First frames of a video whose times show its rate."""

MAX_RATE = 1000.0
"""Frames per second; what a file says beyond is no rate."""

MAX_STRETCH = 4.0
"""Most that pixels are wider than high, or the reverse."""


@dataclass
class Reading:
    """What happened while frames were read: how many, how many were skipped because two fell on one number, how many
    came at another time than the number before plus one, how many were combed, and how many the file says it has (None: it
    does not)."""

    frames: int = 0
    doubled: int = 0
    uneven: int = 0
    combed: int = 0
    expected: int | None = None

    def notes(self, source: str) -> list[str]:
        """A line for whatever a user should know."""
        lines = []
        if self.uneven > 0.01 * self.frames:
            skipped = f", {self.doubled} skipped" if self.doubled else ""
            lines.append(
                f"{source}: frames come at uneven times; each is placed at its time ({self.uneven} gaps or doubles{skipped})"
            )
        if self.combed > 0.01 * self.frames:
            lines.append(
                f"{source}: interlaced; in {self.combed} of {self.frames} frames the odd lines show another moment and are "
                "replaced by the mean of their neighbours"
            )
        if self.expected and self.frames + self.doubled < 0.98 * self.expected:
            lines.append(
                f"warning: {source}: only {self.frames + self.doubled} of {self.expected} frames can be read; the file is "
                "damaged or was cut off"
            )
        return lines


def numbered_frames(
    path: str | Path,
    clip: tuple[float, float] | None = None,
    reading: Reading | None = None,
    wanted: Collection[int] | None = None,
) -> Generator[tuple[int, np.ndarray], None, None]:
    """Yield number and image, (H, W, 3) uint8 RGB, of the frames of a video, or 0 and the image of an image file.

    Images are turned upright according to the file. A number is the frame's time times `video_rate`, so numbers of a video with
    a variable frame rate have gaps; of two frames with one number the second is skipped. Without a rate, frames are
    counted. Pixels that are not square are stretched. Of frames that show two moments (`interlaced`) one is taken. clip:
    first and last second that is wanted; wanted: these numbers only. What happened is added to `reading`.
    """
    reading = Reading() if reading is None else reading
    image = _read_image(path)
    if image is not None:
        reading.frames = 1
        yield 0, cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        return
    _refuse_interlaced(path)
    rate, capture = video_rate(path), _open_video(path)
    stretch = _stretch(capture)
    first, last = (0, math.inf) if clip is None else (n * (rate or DEFAULT_FPS) for n in clip)
    last = last if wanted is None else min(last, max(wanted, default=-1))
    total = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
    reading.expected = total if total and not clip else None
    number, attempts, damaged, before = -1, 0, False, None
    try:
        while True:
            attempts += 1
            if not capture.grab():
                if attempts >= total:
                    return
                damaged, number = True, number + (rate is None)  # what follows may be readable
                continue
            here = _number(capture, rate, number)
            reading.uneven += here != number + 1 and not damaged
            damaged = False
            if here <= number:
                reading.doubled += 1
                continue
            number = here
            if number > last:
                return
            if number < first or (wanted is not None and number not in wanted):
                continue
            found, frame = capture.retrieve()
            if found:
                reading.frames += 1
                whole = frame
                if before is not None and combed(frame, before):
                    reading.combed += 1
                    whole = one_field(frame)
                before = frame
                if stretch != (1.0, 1.0):
                    whole = cv2.resize(whole, None, fx=stretch[0], fy=stretch[1], interpolation=cv2.INTER_LINEAR)
                yield number, cv2.cvtColor(whole, cv2.COLOR_BGR2RGB)
    finally:
        capture.release()


def _number(capture: cv2.VideoCapture, rate: float | None, before: int) -> int:
    """The number of the frame that was grabbed, by its time; the next one where that is not known."""
    milliseconds = capture.get(cv2.CAP_PROP_POS_MSEC)
    if rate is None or not math.isfinite(milliseconds) or (milliseconds <= 0 and before >= 0):
        return before + 1
    return max(0, round(milliseconds * rate / 1000))


def _stretch(capture: cv2.VideoCapture) -> tuple[float, float]:
    """Factors of width and height that make a video's pixels square."""
    across, down = (capture.get(p) for p in (cv2.CAP_PROP_SAR_NUM, cv2.CAP_PROP_SAR_DEN))
    if not (math.isfinite(across) and math.isfinite(down) and min(across, down) > 0):
        return 1.0, 1.0
    wider = min(max(across / down, 1 / MAX_STRETCH), MAX_STRETCH)
    turned = round(capture.get(cv2.CAP_PROP_ORIENTATION_META)) % 180 == 90
    return (1.0, wider) if turned else (wider, 1.0)


def image_size_of(path: str | Path) -> tuple[int, int]:
    """(width, height) in pixels of an image file or of a video's first frame, turned upright."""
    frames = numbered_frames(path)
    height, width = next(frames)[1].shape[:2]
    frames.close()
    return width, height


def frame_count(path: str | Path) -> int | None:
    """The number of frames according to the file; None if unknown."""
    if _read_image(path) is not None:
        return 1
    capture = _open_video(path)
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    capture.release()
    return count if count > 0 else None


def duration(path: str | Path) -> float | None:
    """Seconds that a video takes according to the file, 0 for an image; None if unknown."""
    if _read_image(path) is not None:
        return 0.0
    rate, count = video_rate(path), frame_count(path)
    return count / rate if rate and count else None


def video_rate(path: str | Path) -> float | None:
    """Frames per second of a video; None for an image or if neither the file nor its frames' times have it.

    The file's rate, unless most of its first frames are another time apart, as with a variable frame rate.
    """
    if _read_image(path) is not None:
        return None
    capture = _open_video(path)
    rate = capture.get(cv2.CAP_PROP_FPS)
    times: list[float] = []
    while len(times) < LOOKED_AT and capture.grab():
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC))
    capture.release()
    step = float(np.median(np.diff(times))) if len(times) > 2 else 0.0
    known = math.isfinite(rate) and 0 < rate <= MAX_RATE
    if step > 0 and (not known or abs(rate * step / 1000 - 1) > 0.05):
        rate, known = 1000 / step, 1000 / step <= MAX_RATE
    return float(rate) if known else None


def _read_image(path: str | Path) -> np.ndarray | None:
    """(H, W, 3) uint8 BGR, or None where the file is no image."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    with quiet():
        try:
            # what has several frames, such as a .gif, is a video
            single = cv2.haveImageReader(str(path)) and cv2.imcount(str(path)) == 1
            return cv2.imread(str(path), cv2.IMREAD_COLOR) if single else None
        except cv2.error as error:
            raise UserError(f"{path}: cannot be read as an image ({' '.join(error.err.split())})") from None


def _open_video(path: str | Path) -> cv2.VideoCapture:
    """The opened video, of which at least one frame can be read."""
    with quiet():
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        readable = capture.isOpened() and capture.grab()
        capture.release()
    if not readable:
        raise UserError(f"{path}: OpenCV can read it neither as an image nor as a video; convert it to .mp4 (H.264)")
    return cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)


def _refuse_interlaced(path: str | Path) -> None:
    """UserError for a video of which OpenCV would return no images but what was in memory."""
    capture = _open_video(path)
    same = first_frames_are_the_same(capture)
    capture.release()
    if same and cannot_be_converted(str(path)):
        raise UserError(
            f"{path}: is interlaced, which OpenCV cannot convert; make every frame one moment first: "
            "ffmpeg -i FILE -vf bwdif -c:v libx264 NEW.mp4"
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Without OpenCV's own messages: problems are reported as one line here."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # FFmpeg's own, read when the first video is opened
    logging = getattr(cv2.utils, "logging", cv2)  # OpenCV before 4.9 has the functions at its top
    level = logging.getLogLevel()
    logging.setLogLevel(0)  # silent
    try:
        yield
    finally:
        logging.setLogLevel(level)
