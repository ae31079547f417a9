"""Interlaced videos: fields of two moments woven into one frame, and what is marked as interlaced."""

import subprocess
import sys

import cv2
import numpy as np
import pytest

from lib.errors import UserError
from lib.lifting.detectors import video
from lib.lifting.detectors.interlaced import combed, first_frames_are_the_same, one_field
from lib.lifting.detectors.video import Reading, numbered_frames
from tests.films import grey, write_film

H, W = 96, 128


def moment(t: float) -> np.ndarray:
    """A textured block that moves to the right by 6 px per unit of time in front of a texture that stands still."""
    noise = np.random.default_rng(0)
    ground = cv2.GaussianBlur(noise.integers(0, 255, (H, W, 3), np.uint8), (0, 0), 2)
    block = cv2.GaussianBlur(noise.integers(100, 255, (50, 30, 3), np.uint8), (0, 0), 2)
    ground[20:70, (x := round(20 + 6 * t)) : x + 30] = block
    return ground


def woven(t: int) -> np.ndarray:
    """Even lines of one moment, odd lines of half a frame later."""
    frame = moment(t)
    frame[1::2] = moment(t + 0.5)[1::2]
    return frame


def test_frames_of_two_moments_are_combed_and_whole_ones_are_not():
    for t in range(1, 10):
        assert combed(woven(t), woven(t - 1))
        assert not combed(moment(t), moment(t - 1))
    assert not combed(woven(3), woven(3))  # nothing moves


def test_noise_is_no_comb():
    noise = np.random.default_rng(0)
    dark = [noise.integers(0, 80, (H, W, 3), np.uint8) for _ in range(2)]
    assert not combed(*dark)


def test_a_plain_block_that_moves_is_no_comb():
    noise = np.random.default_rng(0)
    frames = [noise.integers(0, 3, (H, W, 3), np.uint8) for _ in range(2)]  # as compression leaves it
    for x, frame in zip((20, 31), frames, strict=True):
        frame[20:80, x : x + 16] = 255 - noise.integers(0, 3, (60, 16, 3), np.uint8)
    assert not combed(*frames)


def test_one_field_is_one_moment():
    """Rows 0, 2, 4, ... stay; row 1 is the mean of rows 0 and 2; the last row of an even number repeats the one before."""
    image = np.array([[10], [99], [20], [99]], np.uint8)[..., None].repeat(3, 2)
    assert one_field(image)[:, 0, 0].tolist() == [10, 15, 20, 20]
    assert one_field(image[:3])[:, 0, 0].tolist() == [10, 15, 20]
    for t in range(3):
        assert np.abs(one_field(woven(t)).astype(int) - moment(t)).mean() < 2


def test_an_interlaced_video_that_is_not_marked_is_read_as_one_field_with_a_note(tmp_path):
    path = write_film(tmp_path / "v.mp4", [woven(t) for t in range(12)])
    reading = Reading()
    frames = [frame for _, frame in numbered_frames(path, reading=reading)]
    assert reading.combed == 11  # all but the first, which has none before it
    for t, frame in enumerate(frames[1:], start=1):
        assert np.abs(frame.astype(int) - moment(t)).mean() < 6  # after lossy compression
    assert "interlaced; in 11 of 12 frames the odd lines show another moment" in reading.notes("v.mp4")[0]
    reading = Reading()
    list(numbered_frames(write_film(tmp_path / "p.mp4", [moment(t) for t in range(12)]), reading=reading))
    assert reading.combed == 0


def test_a_video_that_stands_still_is_no_interlaced_one(tmp_path):
    path = write_film(tmp_path / "still.avi", [grey(90)] * 4)
    assert first_frames_are_the_same(cv2.VideoCapture(str(path), cv2.CAP_FFMPEG))
    assert len(list(numbered_frames(path))) == 4


def test_a_video_that_opencv_cannot_convert_is_refused_with_what_to_do(tmp_path, monkeypatch):
    """FFmpeg's own line stands for a file that is marked as interlaced, which OpenCV cannot write."""
    path = write_film(tmp_path / "still.avi", [grey(90)] * 4)
    line = "[swscaler @ 0x1] Cannot convert interlaced to progressive frames or vice versa.\n"
    run = subprocess.run
    monkeypatch.setattr(
        subprocess, "run", lambda *a, **k: run([sys.executable, "-c", f"import sys; sys.stderr.write({line!r})"], **k)
    )
    with pytest.raises(UserError, match=r"still\.avi: is interlaced, which OpenCV cannot convert; .* ffmpeg -i FILE"):
        next(numbered_frames(path))
    assert video.frame_count(path) == 4
