"""Videos (.gif, .mp4) of a sequence: the 2D input beside skeletons and meshes, seen from a viewpoint that turns."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from lib.errors import UserError
from lib.files import replacing
from lib.lifting.pose_sequence import PoseSequence
from lib.lifting.writers.drawing import (
    Viewpoint,
    Window,
    canvas,
    draw_ground,
    draw_legend,
    draw_meshes,
    draw_skeleton,
    draw_text,
    ground,
)
from lib.lifting.writers.geometry import playback_rate, timeline
from lib.lifting.writers.scene import Scene, box_2d

WIDTH, HEIGHT = 960, 480
SECONDS_PER_TURN = 8.0
GIF_RATE, MP4_RATE = 25.0, 60.0
"""Most frames per second: few programs show more, and the files become large."""

MIN_RATE = 0.01
"""Fewest frames per second that the formats can store."""


def write_gif(path: Path, sequences: list[PoseSequence]) -> list[Path]:
    """A video that repeats, at the input's speed, with at most GIF_RATE frames per second."""
    frames, rate = playable(path, sequences, GIF_RATE)
    pictures = (Image.fromarray(picture).quantize(64) for picture in pictures_of(sequences, frames))
    # the format counts in hundredths of a second: round the moments, not the durations, or the error adds up
    moments = np.round(np.arange(len(frames) + 1) * 100 / rate) * 10
    durations = np.diff(moments).astype(int).tolist()
    with replacing(path) as temporary:
        next(pictures).save(temporary, save_all=True, append_images=pictures, duration=durations, loop=0)
    return [path]


def write_mp4(path: Path, sequences: list[PoseSequence]) -> list[Path]:
    """A video at the input's speed with at most MP4_RATE frames per second, MPEG-4 part 2: for desktop players, not for
    browsers. It is read again before it takes the place of an older file: OpenCV does not report a full disk."""
    frames, rate = playable(path, sequences, MP4_RATE)
    with replacing(path) as temporary:
        writer = cv2.VideoWriter(str(temporary), cv2.VideoWriter.fourcc(*"mp4v"), rate, (WIDTH, HEIGHT))
        if not writer.isOpened():
            raise UserError(f"{path}: OpenCV cannot write an .mp4 here; check the folder and the disk, or choose .gif")
        for picture in pictures_of(sequences, frames):
            writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        writer.release()
        if (complete := count_frames(temporary)) != len(frames):
            raise UserError(
                f"{path}: only {complete} of {len(frames)} frames could be written; make room on the disk, or choose "
                "another place"
            )
    return [path]


def playable(path: Path, sequences: list[PoseSequence], most: float) -> tuple[np.ndarray, float]:
    """The frame numbers of a video with at most `most` frames per second, and its rate at the input's speed."""
    frames = timeline(sequences)
    frames = frames[:: max(1, int(np.ceil(playback_rate(frames, sequences[0].fps) / most - 1e-9)))]
    rate = playback_rate(frames, sequences[0].fps)
    if rate < MIN_RATE:
        raise UserError(f"{path}: {rate:.2g} frames per second are too few for a video; give a higher rate with --fps")
    return frames, min(rate, most)


def count_frames(path: Path) -> int:
    """How many frames of a video can be read."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    count = 0
    while capture.grab():
        count += 1
    capture.release()
    return count


def pictures_of(sequences: list[PoseSequence], frames: np.ndarray) -> Iterator[np.ndarray]:
    """Yield for each frame number an RGB picture (HEIGHT, WIDTH, 3) uint8."""
    scene = Scene(sequences)
    points = scene.points()
    half = (WIDTH // 2, HEIGHT)
    flat = Window.around(*box_2d(sequences), (half[0] - 20, half[1] - 60), (10, 30))
    centre = (points.min(0) + points.max(0)) / 2
    # what turns needs room for its half diagonal sideways
    reach = max(np.linalg.norm((points - centre)[:, [0, 2]], axis=-1).max(), 1.1 * np.abs(points - centre)[:, 1].max())
    window = Window(0.4 * HEIGHT / reach, np.zeros(2), np.array([0.75 * WIDTH, 0.5 * HEIGHT]))
    lines = ground(points, room=0.5)
    for frame in frames:
        seconds = (frame - frames[0]) / sequences[0].fps
        view = Viewpoint(centre, 2 * np.pi * seconds / SECONDS_PER_TURN, distance=5 * reach)
        picture, figures = canvas(WIDTH, HEIGHT), scene.figures(frame)
        draw_ground(picture, lines, view, window)
        draw_meshes(picture, [(view.seen(f.vertices), f.faces) for f in figures if len(f.faces)], window)
        for figure in figures:
            draw_skeleton(picture, flat(figure.pose2d), figure.joint_set, figure.imputed)
            seen = view.seen(figure.joints)
            draw_skeleton(picture, window(seen), figure.joint_set, figure.imputed, seen[:, 2], width=2)
        draw_text(picture, f"2D input, frame {frame}, {seconds:.2f} s", (14, 24))
        draw_text(picture, f"3D, the viewpoint turns once in {SECONDS_PER_TURN:g} s", (half[0] + 14, 24))
        draw_legend(picture, (WIDTH - 210, HEIGHT - 14))
        yield picture
