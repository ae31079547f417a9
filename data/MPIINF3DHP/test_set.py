"""annot_data.mat: the valid frames of one test sequence."""

from pathlib import Path

import numpy as np

from data.MPIINF3DHP.joints import ACTIVITIES, HUMAN36M_FROM_TEST, TEST_JOINTS
from data.MPIINF3DHP.view import View, make_view
from lib.errors import UserError

ARRAYS = ("annot2", "univ_annot3", "annot3")


def read_test_sequence(path: Path, drop_nan: bool = False) -> View:
    """The valid frames of annot_data.mat (MAT v7.3, which is HDF5; needs h5py).

    drop_nan: see `make_view`. UserError with the file's name for anything missing or malformed.
    """
    content = _read_hdf5(path, (*ARRAYS, "valid_frame", "activity_annotation"))
    pixels, universal, joints = (a[:, 0] if a.ndim == 4 and a.shape[1] == 1 else a for a in map(content.get, ARRAYS))
    frames = len(pixels)
    valid, activity = (
        numbers_per_frame(f"{path}:", content, n, frames) for n in ("valid_frame", "activity_annotation")
    )
    if not 1 <= activity.min(initial=1) <= activity.max(initial=1) <= len(ACTIVITIES):
        raise UserError(f"{path}: activity_annotation must be 1 to {len(ACTIVITIES)}; fetch the file again")
    return make_view(
        f"{path}:", HUMAN36M_FROM_TEST, TEST_JOINTS, np.flatnonzero(valid), np.arange(frames),
        pixels, universal, joints, activity, drop_nan,
    )  # fmt: skip


def numbers_per_frame(where: str, content: dict, name: str, frames: int) -> np.ndarray:
    """One whole number for each frame."""
    values = np.asarray(content[name])
    if values.dtype.kind not in "fiub" or values.size != frames or not np.isfinite(values).all():
        raise UserError(f"{where} {name} has {values.size} entries for {frames} frames; fetch the file again")
    return values.reshape(-1).astype(np.int64)


def _read_hdf5(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    try:
        import h5py
    except ImportError:
        raise UserError(f"{path}: reading it needs the package h5py: python -m pip install h5py") from None
    try:
        size = path.stat().st_size
        with h5py.File(path, "r") as file:
            missing = [name for name in names if not isinstance(file.get(name), h5py.Dataset)]
            if missing:
                raise UserError(f"{path}: has no {' and no '.join(missing)}; fetch the file again")
            for name in names:
                # Deflate shrinks numbers a thousandfold at most: a file cannot keep a larger promise.
                if file[name].dtype.kind not in "fiub" or file[name].nbytes > 1024 * size + (1 << 20):
                    raise UserError(
                        f"{path}: {name} is {file[name].shape} {file[name].dtype}, more than the file can hold"
                    )
            return {name: file[name][()] for name in names}
    except FileNotFoundError:
        raise UserError(f"{path} is missing; see docs/data.md for where it comes from") from None
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:  # what h5py raises at damaged bytes
        reason = " ".join(str(error).split())[:100]
        raise UserError(f"{path}: is not a MATLAB 7.3 file ({reason}); it may be cut short, fetch it again") from None
