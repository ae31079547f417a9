"""The images that people were found in, for drawing on them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.lifting.detectors.video import numbered_frames

EMBEDDED_MEGABYTES = 8.0
"""Default size limit of the images in a page."""


@dataclass(frozen=True)
class Footage:
    """A video or an image file; its frames are read again for each drawing and never kept.

    embedded_bytes: how much of it a page may hold; 0 for nothing.
    """

    path: Path
    embedded_bytes: int = 0

    def images(self, numbers: np.ndarray) -> Iterator[np.ndarray | None]:
        """For each frame number of (T,), increasing, the image (H, W, 3) uint8 RGB, None where the file has none."""
        numbers = np.asarray(numbers).tolist()
        frames = numbered_frames(self.path, wanted=set(numbers))
        here, image = next(frames, (None, None))
        for number in numbers:
            yield image if here == number else None
            if here == number:
                here, image = next(frames, (None, None))
        frames.close()
