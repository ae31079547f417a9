"""annot.mat: the joints of one training sequence as each of its cameras sees them."""

from pathlib import Path

import numpy as np
import scipy.io

from data.MPIINF3DHP.joints import HUMAN36M_FROM_TRAINING, TRAINING_JOINTS
from data.MPIINF3DHP.view import View, make_view
from lib.errors import UserError

MAX_BYTES = 4 << 30
COLUMNS = {"annot2": 2, "annot3": 3, "univ_annot3": 3}
"""Key of annot.mat to numbers per joint: pixels, mm as captured, mm at one skeleton height."""


def read_training_sequence(
    path: Path, cameras: tuple[int, ...], frames: int | None = None, drop_nan: bool = False
) -> dict[int, View]:
    """{camera: View} of annot.mat (MAT v5), only these cameras and only frames numbered 0 to `frames` - 1 (None: all).

    drop_nan: see `make_view`. UserError with the file's name for anything missing or malformed.
    """
    content = _read_mat(path)
    missing = [name for name in COLUMNS if name not in content]
    if missing:
        raise UserError(f"{path}: has no {' and no '.join(missing)}; fetch the annotations again")
    frame, known = (_whole_numbers(path, content, name) for name in ("frames", "cameras"))
    rows = np.flatnonzero(frame < frames) if frames is not None else np.arange(len(frame))
    views = {}
    for camera in cameras:
        if camera not in known:
            raise UserError(f"{path}: has no camera {camera}; it has {', '.join(map(str, known))}")
        cell = int(np.flatnonzero(known == camera)[0])
        where = f"{path}: camera {camera}:"
        arrays = {name: _cell(where, content, name, cell) for name in COLUMNS}
        views[camera] = make_view(
            where, HUMAN36M_FROM_TRAINING, TRAINING_JOINTS, rows, frame,
            arrays["annot2"], arrays["univ_annot3"], arrays["annot3"], drop_nan=drop_nan,
        )  # fmt: skip
    return views


def _read_mat(path: Path) -> dict:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path}: larger than {MAX_BYTES >> 30} GiB, which no annotation file is")
        with open(path, "rb") as file:
            return scipy.io.loadmat(file, variable_names=[*COLUMNS, "cameras", "frames"])
    except FileNotFoundError:
        raise UserError(f"{path} is missing; see docs/data.md for where it comes from") from None
    except UserError:
        raise
    except Exception as error:  # scipy raises many kinds on damaged bytes
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise UserError(f"{path}: is not a MATLAB 5 file ({reason}); it may be cut short, fetch it again") from None


def _whole_numbers(path: Path, content: dict, name: str) -> np.ndarray:
    values = np.asarray(content.get(name, ())).reshape(-1)
    if not len(values) or values.dtype.kind not in "fiu" or not (np.isfinite(values).all() and (values >= 0).all()):
        raise UserError(f"{path}: has no {name}, or no numbers in it; fetch the annotations again")
    return values.astype(np.int64)


def _cell(where: str, content: dict, name: str, cell: int) -> np.ndarray:
    """(F, J, size) numbers of one camera."""
    cells = np.asarray(content[name], dtype=object).reshape(-1)
    if len(cells) <= cell:
        raise UserError(f"{where} {name} has only {len(cells)} cameras; fetch the annotations again")
    array, size = np.asarray(cells[cell]), COLUMNS[name]
    if array.ndim != 2 or array.shape[1] % size:
        raise UserError(
            f"{where} {name} is {' x '.join(map(str, array.shape))}, expected frames x {TRAINING_JOINTS * size}"
        )
    return array.reshape(len(array), -1, size)
