"""What one camera of MPI-INF-3DHP saw of one recording, whichever file it was read from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data.findings import PLAUSIBLE_LEG, leg_lengths
from data.finite import NAN_KEY, finite_frames
from lib.errors import UserError


@dataclass(frozen=True)
class View:
    """N frames of one recording seen by one camera; the 17 joints in Human3.6M's order.

    frame (N,) int from 0; pixels (N, 17, 2) float32 px; universal (N, 17, 3) float32 mm, camera axes, absolute, rescaled
    to one skeleton height: the official truth; joints: the same as captured, or None where the file has none; activity
    (N,) int from 1, or None. missing: how many frames were dropped for a NaN.
    """

    frame: np.ndarray
    pixels: np.ndarray
    universal: np.ndarray
    joints: np.ndarray | None
    activity: np.ndarray | None
    missing: int = 0


def make_view(
    where: str,
    order: Sequence[int],
    joint_count: int,
    rows: np.ndarray,
    frame: np.ndarray,
    pixels: np.ndarray,
    universal: np.ndarray,
    joints: np.ndarray | None = None,
    activity: np.ndarray | None = None,
    drop_nan: bool = False,
) -> View:
    """Check the arrays of one view, F frames of J joints, and keep `rows` of them, joints in the given order.

    where: begins every error message; frame (F,): numbers of the frames; pixels (F, J, 2) px; universal, joints
    (F, J, 3) mm; activity (F,). UserError for other shapes and units than these, and for NaN among the kept rows unless
    drop_nan: then such frames are dropped and counted.
    """
    given = {"annot2": (pixels, 2), "univ_annot3": (universal, 3), "annot3": (joints, 3)}
    columns = {}
    for name, (array, size) in given.items():
        if array is None:
            continue
        if array.dtype.kind not in "fiu" or array.shape != (len(frame), joint_count, size):
            found = " x ".join(map(str, array.shape))
            raise UserError(
                f"{where} {name} is {found} numbers, expected {len(frame)} frames x {joint_count} joints x {size}"
            )
        columns[name] = np.asarray(array[rows][:, list(order)], np.float32)
    finite = finite_frames(where, frame[rows], list(columns.values()), drop_nan, NAN_KEY)
    kept = rows[finite]
    columns = {name: a[finite] for name, a in columns.items()}
    legs = leg_lengths(columns["univ_annot3"])
    if len(legs) and not PLAUSIBLE_LEG[0] < np.median(legs) < PLAUSIBLE_LEG[1]:
        raise UserError(
            f"{where} thighs and shins measure {np.median(legs):.3g}, expected about 450: the joints must be in mm, in the "
            "published order"
        )
    return View(
        frame[kept],
        columns["annot2"],
        columns["univ_annot3"],
        columns.get("annot3"),
        None if activity is None else activity[kept],
        int((~finite).sum()),
    )
