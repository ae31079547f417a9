"""Short videos."""

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np


def write_film(path: str | Path, images: Iterable[np.ndarray], rate: float = 20.0, codec: str = "mp4v") -> Path:
    """A video of RGB images (H, W, 3) uint8, all of one size, at `rate` per second; codec: four letters. Returns its path."""
    images = list(images)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), rate, images[0].shape[1::-1])
    for image in images:
        writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    writer.release()
    return Path(path)


def grey(level: int, width: int = 64, height: int = 48) -> np.ndarray:
    """An image (height, width, 3) uint8 of one grey."""
    return np.full((height, width, 3), level, np.uint8)
