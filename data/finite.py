"""What becomes of frames with NaN in published files: refused, or dropped and counted on request."""

from collections.abc import Sequence

import numpy as np

from lib.errors import UserError


def finite_frames(where: str, frame: np.ndarray, arrays: Sequence[np.ndarray], drop: bool, remedy: str) -> np.ndarray:
    """(F,) bool: the frames whose numbers are all finite, in every array (F, ...).

    Unless `drop`, any other frame is a UserError: `where` begins it, `frame` (F,) are the numbers it names, `remedy`
    says how to drop such frames.
    """
    finite = np.ones(len(frame), bool)
    for array in arrays:
        finite &= np.isfinite(array).reshape(len(frame), -1).all(1)
    if not drop and not finite.all():
        raise UserError(
            f"{where} NaN or infinite numbers in {int((~finite).sum())} of {len(frame)} frames that are used, the first is "
            f"frame {frame[finite.argmin()]}; fetch the file again, or drop such frames with {remedy}"
        )
    return finite


NAN_KEY = "DATASET.nan_frames=drop"
"""The remedy of data sets that are read from their published files."""
