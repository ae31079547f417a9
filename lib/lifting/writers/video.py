"""Films (.gif, .mp4) of a sequence: the 2D input beside the 3D skeletons, seen from a turning viewpoint.

Drawn with OpenCV, which takes about a millisecond per frame where matplotlib takes a fifth of a second.
"""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from lib.errors import UserError
from lib.evaluation.plots import GRID, SIDE_COLOURS, bone_sides
from lib.files import replacing
from lib.joints import JointSet
from lib.lifting.pose_sequence import PoseSequence
from lib.lifting.writers.geometry import placements, playback_rate, timeline
from lib.lifting.writers.png import box_2d

WIDTH, HEIGHT = 960, 480
SECONDS_PER_TURN = 8.0
ELEVATION = np.deg2rad(10.0)
GIF_RATE = 25.0
"""Most frames per second of a .gif: few programs show more, and the files become large."""
SHIFT = 4
"""Fractional bits of the coordinates handed to OpenCV."""


def write_gif(path: Path, sequences: list[PoseSequence]) -> None:
    """A film that repeats, at the input's speed, with at most GIF_RATE frames per second."""
    frames = timeline(sequences)
    frames = frames[:: int(np.ceil(playback_rate(frames, sequences[0].fps) / GIF_RATE))]
    pictures = (Image.fromarray(picture).quantize(64) for picture in film(sequences, frames))
    # the format counts in hundredths of a second: round the moments, not the durations, or the error adds up
    moments = np.round(np.arange(len(frames) + 1) * 100 / playback_rate(frames, sequences[0].fps)) * 10
    durations = np.diff(moments).astype(int).tolist()
    with replacing(path) as temporary:
        next(pictures).save(temporary, save_all=True, append_images=pictures, duration=durations, loop=0)


def write_mp4(path: Path, sequences: list[PoseSequence]) -> None:
    """A film at the input's speed, MPEG-4 part 2: for desktop players, not for browsers."""
    frames = timeline(sequences)
    rate = playback_rate(frames, sequences[0].fps)
    with replacing(path) as temporary:
        writer = cv2.VideoWriter(str(temporary), cv2.VideoWriter.fourcc(*"mp4v"), rate, (WIDTH, HEIGHT))
        if not writer.isOpened():
            raise UserError(f"{path}: this OpenCV cannot write .mp4; choose .gif instead")
        for picture in film(sequences, frames):
            writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        writer.release()


def film(sequences: list[PoseSequence], frames: np.ndarray) -> Iterator[np.ndarray]:
    """Yield for each frame number an RGB picture (HEIGHT, WIDTH, 3) uint8."""
    low, high = box_2d(sequences)
    panel = np.array([WIDTH / 2, HEIGHT])
    scale_2d = ((panel - [20, 60]) / (high - low)).min()
    poses = [s.pose3d + offset for s, offset in zip(sequences, placements(sequences), strict=True)]
    points = np.concatenate([pose.reshape(-1, 3) for pose in poses])
    centre = (points.min(0) + points.max(0)) / 2
    ground = _ground(points - centre)
    # what turns needs room for its half diagonal sideways
    reach = max(np.linalg.norm((points - centre)[:, [0, 2]], axis=-1).max(), np.abs(points - centre)[:, 1].max() * 1.1)
    for frame in frames:
        angle = 2 * np.pi * (frame - frames[0]) / sequences[0].fps / SECONDS_PER_TURN
        picture = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
        for line in turned(ground, angle, reach):
            _line(picture, line, (225, 228, 232), 1)
        for s, pose in zip(sequences, poses, strict=True):
            for t in np.flatnonzero(s.frames == frame):
                flat = (s.pose2d[t] - (low + high) / 2) * scale_2d + panel / 2
                _skeleton(picture, flat, np.zeros(len(flat)), s.joint_set, s.imputed[t])
                deep = turned(pose[t] - centre, angle, reach)
                _skeleton(picture, deep[:, :2], deep[:, 2], s.joint_set, s.imputed[t])
        _text(picture, f"2D input, frame {frame}", (14, 24), (60, 60, 60))
        _text(picture, "right side", (WIDTH - 210, HEIGHT - 14), _rgb("right"))
        _text(picture, "left side", (WIDTH - 100, HEIGHT - 14), _rgb("left"))
        yield picture


def turned(points: np.ndarray, angle: float, reach: float) -> np.ndarray:
    """Points (..., 3), metres, camera axes about the scene's centre -> (..., 3): pixel x, y in the right half, depth.

    The viewpoint goes round the vertical axis by `angle` in radians, 0 being the camera's own; `reach`, metres, is
    what must fit.
    """
    x, y, z = np.moveaxis(points, -1, 0)
    x, z = x * np.cos(angle) - z * np.sin(angle), x * np.sin(angle) + z * np.cos(angle)
    y, z = y * np.cos(ELEVATION) - z * np.sin(ELEVATION), y * np.sin(ELEVATION) + z * np.cos(ELEVATION)
    near = 5 * reach / (5 * reach + z)
    scale = 0.4 * HEIGHT / reach
    return np.stack([0.75 * WIDTH + scale * near * x, 0.5 * HEIGHT + scale * near * y, z], axis=-1)


def _ground(points: np.ndarray) -> np.ndarray:
    """Lines (L, 2, 3) of a square grid, GRID metres wide, under all points (N, 3)."""
    steps = np.ceil(np.abs(points[:, [0, 2]]).max() / GRID)
    ticks = np.arange(-steps, steps + 1) * GRID
    floor, far = points[:, 1].max(), np.array([ticks[0], ticks[-1]])
    along = [[[tick, floor, end] for end in far] for tick in ticks]
    across = [[[end, floor, tick] for end in far] for tick in ticks]
    return np.array(along + across)


def _skeleton(picture: np.ndarray, points: np.ndarray, depth: np.ndarray, joint_set: JointSet, hollow: np.ndarray):
    """points (J, 2) pixels; depth (J,): far bones are painted first; joints that were not detected become rings."""
    bones = np.asarray(joint_set.bones)
    sides = bone_sides(joint_set)
    for index in np.argsort(-depth[bones].mean(-1), kind="stable"):
        _line(picture, points[bones[index]], _rgb(sides[index]), 3)
    for point, ring in zip(points, hollow, strict=True):
        centre = tuple(_fixed(point))
        cv2.circle(picture, centre, 4 << SHIFT, (40, 40, 40), -1, cv2.LINE_AA, SHIFT)
        if ring:
            cv2.circle(picture, centre, 2 << SHIFT, (255, 255, 255), -1, cv2.LINE_AA, SHIFT)


def _line(picture: np.ndarray, ends: np.ndarray, colour: tuple[int, int, int], width: int) -> None:
    a, b = (tuple(_fixed(end[:2])) for end in ends)
    cv2.line(picture, a, b, colour, width, cv2.LINE_AA, SHIFT)


def _fixed(point: np.ndarray) -> list[int]:
    return np.round(point * (1 << SHIFT)).astype(int).tolist()


def _text(picture: np.ndarray, text: str, place: tuple[int, int], colour: tuple[int, int, int]) -> None:
    cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, 1, cv2.LINE_AA)


def _rgb(side: str) -> tuple[int, int, int]:
    return tuple(int(SIDE_COLOURS[side][i : i + 2], 16) for i in (1, 3, 5))
