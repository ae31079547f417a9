"""Videos (.gif, .mp4) of a sequence: the 2D input beside skeletons and meshes, or skins, seen from a viewpoint that turns.

Where the images are at hand, the 2D input is drawn over them, with the projected meshes or skins.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from lib.errors import UserError
from lib.files import replacing
from lib.lifting.footage import Footage
from lib.lifting.pose_sequence import PoseSequence
from lib.lifting.writers.drawing import (
    Viewpoint,
    Window,
    canvas,
    draw_ground,
    draw_image,
    draw_legend,
    draw_skeleton,
    draw_text,
    ground,
)
from lib.lifting.writers.geometry import even_grid, playback_rate, timeline
from lib.lifting.writers.overlay import Overlay
from lib.lifting.writers.scene import Figure, Scene, box_2d, draw_people
from lib.lifting.writers.skin import COARSE

WIDTH, HEIGHT = 960, 480
HEADER = 34
"""Pixels above the image for what is written about it."""

GIF_HEIGHT, MP4_HEIGHT = 360, 540
"""Pixels of a video with images, which need more room than lines; a .gif of images is large."""

IMAGE_WIDTHS = (240, 1200)
"""Narrowest and widest place for an image, pixels."""

SECONDS_PER_TURN = 8.0
GIF_RATE, MP4_RATE = 25.0, 60.0
"""Most frames per second: few programs show more, and the files become large."""

MIN_RATE = 0.01
"""Fewest frames per second that the formats can store."""


@dataclass(frozen=True)
class Layout:
    """Pixels of a picture: height, the width of the 2D input at the left, and the square of the 3D view beside it.

    flat: from pixels of the image to pixels of the picture.
    """

    height: int
    left: int
    flat: Window

    @property
    def width(self) -> int:
        return self.left + self.height

    @classmethod
    def of_lines(cls, sequences: list[PoseSequence]) -> "Layout":
        """For 2D input without images, scaled to its panel."""
        left = WIDTH - HEIGHT
        return cls(HEIGHT, left, Window.around(*box_2d(sequences), (left - 20, HEIGHT - 60), (10, 30)))

    @classmethod
    def of_images(cls, image_size: tuple[int, int], height: int) -> "Layout":
        """For images of (width, height), which are shown whole."""
        shape = np.array(image_size, np.float64)
        left = 2 * round(np.clip((height - HEADER) * shape[0] / shape[1], *IMAGE_WIDTHS) / 2)
        corners = (np.full(2, -0.5), shape - 0.5)  # pixels' middles are whole numbers
        return cls(height, left, Window.around(*corners, (left, height - HEADER), (0, HEADER)))


def write_gif(
    path: Path, sequences: list[PoseSequence], footage: Footage | None = None, mesh: str = COARSE
) -> list[Path]:
    """A video that repeats, at the input's speed, with at most GIF_RATE frames per second."""
    frames, rate = playable(path, sequences, GIF_RATE, footage is not None)
    layout = layout_of(sequences, footage, GIF_HEIGHT)
    drawn = pictures_of(sequences, frames, layout, footage, mesh)
    # the octree takes a hundredth of the median cut's time; few plain colours need the latter, photographs do not
    colours = (64, Image.Quantize.MEDIANCUT) if footage is None else (256, Image.Quantize.FASTOCTREE)
    pictures = (Image.fromarray(picture).quantize(*colours) for picture in drawn)
    # the format counts in hundredths of a second: round the moments, not the durations, or the error adds up
    moments = np.round(np.arange(len(frames) + 1) * 100 / rate) * 10
    durations = np.diff(moments).astype(int).tolist()
    with replacing(path) as temporary:
        next(pictures).save(temporary, save_all=True, append_images=pictures, duration=durations, loop=0)
    return [path]


def write_mp4(
    path: Path, sequences: list[PoseSequence], footage: Footage | None = None, mesh: str = COARSE
) -> list[Path]:
    """A video at the input's speed with at most MP4_RATE frames per second, MPEG-4 part 2: for desktop players, not for
    browsers. It is read again before it takes the place of an older file: OpenCV does not report a full disk."""
    frames, rate = playable(path, sequences, MP4_RATE, footage is not None)
    layout = layout_of(sequences, footage, MP4_HEIGHT)
    with replacing(path) as temporary:
        size = (layout.width, layout.height)
        writer = cv2.VideoWriter(str(temporary), cv2.VideoWriter.fourcc(*"mp4v"), rate, size)
        if not writer.isOpened():
            raise UserError(f"{path}: OpenCV cannot write an .mp4 here; check the folder and the disk, or choose .gif")
        for picture in pictures_of(sequences, frames, layout, footage, mesh):
            writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        writer.release()
        if (complete := count_frames(temporary)) != len(frames):
            raise UserError(
                f"{path}: only {complete} of {len(frames)} frames could be written; make room on the disk, or choose "
                "another place"
            )
    return [path]


def playable(
    path: Path, sequences: list[PoseSequence], most: float, all_frames: bool = False
) -> tuple[np.ndarray, float]:
    """The frame numbers of a video with at most `most` frames per second, and its rate at the input's speed.

    all_frames: also those between the first and the last without a person.
    """
    frames = timeline(sequences)
    if all_frames:
        frames, _ = even_grid(frames)
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


def layout_of(sequences: list[PoseSequence], footage: Footage | None, height: int) -> Layout:
    """height: pixels of the drawing, with images."""
    return Layout.of_lines(sequences) if footage is None else Layout.of_images(sequences[0].image_size, height)


def pictures_of(
    sequences: list[PoseSequence],
    frames: np.ndarray,
    layout: Layout,
    footage: Footage | None = None,
    mesh: str = COARSE,
) -> Iterator[np.ndarray]:
    """Yield for each frame number an RGB image (height, width, 3) uint8 of the layout; bones are not drawn on a skin."""
    scene = Scene(sequences, mesh)
    points = scene.points()
    centre = (points.min(0) + points.max(0)) / 2
    # what turns needs room for its half diagonal sideways
    reach = max(np.linalg.norm((points - centre)[:, [0, 2]], axis=-1).max(), 1.1 * np.abs(points - centre)[:, 1].max())
    side, left = layout.height, layout.left
    window = Window(0.4 * side / reach, np.zeros(2), np.array([left + side / 2, side / 2]))
    lines = ground(points, room=0.5)
    overlay = None if footage is None else Overlay(sequences)
    for frame, image in zip(frames, _images(frames, footage), strict=True):
        seconds = (frame - frames[0]) / sequences[0].fps
        view = Viewpoint(centre, 2 * np.pi * seconds / SECONDS_PER_TURN, distance=5 * reach)
        picture, figures = canvas(layout.width, layout.height), scene.figures(frame)
        draw_ground(picture, lines, view, window)
        draw_people(picture, figures, view, window)
        for figure in figures if not scene.skinned else ():
            seen = view.seen(figure.joints)
            draw_skeleton(picture, window(seen), figure.joint_set, figure.imputed, seen[:, 2], width=2)
        picture[:, :left] = _panel(figures, frame, layout, overlay, image)
        draw_text(picture, f"2D input, frame {frame}, {seconds:.2f} s", (14, 24))
        draw_text(picture, f"3D, the viewpoint turns once in {SECONDS_PER_TURN:g} s", (left + 14, 24))
        draw_legend(picture, (layout.width - 210, layout.height - 14))
        yield picture


def _images(frames: np.ndarray, footage: Footage | None) -> Iterator[np.ndarray | None]:
    """Yield for each frame number its image, or the one before where it is missing in the video."""
    latest = None
    for image in [None] * len(frames) if footage is None else footage.images(frames):
        latest = latest if image is None else image
        yield latest


def _panel(
    figures: list[Figure], frame: int, layout: Layout, overlay: Overlay | None, image: np.ndarray | None
) -> np.ndarray:
    """The 2D input of a frame (height, left, 3) uint8, over its image where there is an overlay."""
    panel = canvas(layout.left, layout.height)
    if overlay is None:
        for figure in figures:
            draw_skeleton(panel, layout.flat(figure.pose2d), figure.joint_set, figure.imputed)
        return panel
    if image is not None:
        draw_image(panel, image, layout.flat)
    overlay.draw(panel[HEADER:], figures, frame, layout.flat.moved(0, -HEADER))
    return panel
