"""data_train_3dhp.npz and data_test_3dhp.npz: MPI-INF-3DHP as P-STMO publishes it (Shan et al., ECCV 2022)."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from data.MPIINF3DHP.joints import HUMAN36M_FROM_TEST, TEST_JOINTS, TEST_SEQUENCES
from data.MPIINF3DHP.test_set import numbers_per_frame
from data.MPIINF3DHP.view import View, make_view
from data.pickles import read_npz
from lib.errors import UserError

TRAIN_FILE, TEST_FILE = "data_train_3dhp.npz", "data_test_3dhp.npz"

RECORDING = re.compile(r"S([1-8]) Seq([12])")


def read_pstmo_train(path: Path, drop_nan: bool = False) -> Iterator[tuple[int, int, int, View]]:
    """(subject, sequence, camera, View) of everything in the file; UserError names the file and what is wrong with it."""
    for name, recording in _recordings(path).items():
        match = RECORDING.fullmatch(str(name))
        if match is None:
            raise UserError(f"{path}: '{str(name)[:40]}' is no recording; they are called 'S1 Seq1' to 'S8 Seq2'")
        views = recording[0] if isinstance(recording, (list, tuple)) and recording else None
        if not isinstance(views, dict) or not views:
            raise UserError(f"{path}: {name} holds no cameras")
        for camera, content in views.items():
            if not str(camera).isdecimal():
                raise UserError(f"{path}: {name}: '{str(camera)[:40]}' is no camera number")
            view = _view(f"{path}: {name} camera {camera}:", content, drop_nan)
            yield int(match[1]), int(match[2]), int(camera), view


def read_pstmo_test(path: Path, drop_nan: bool = False) -> dict[str, View]:
    """{"TS1" to "TS6": View} of the valid frames; UserError names the file and what is wrong with it."""
    views = {}
    for name, content in _recordings(path).items():
        if name not in TEST_SEQUENCES:
            raise UserError(f"{path}: '{str(name)[:40]}' is no recording; they are called {', '.join(TEST_SEQUENCES)}")
        views[name] = _view(f"{path}: {name}:", content, drop_nan, "valid")
    return dict(sorted(views.items()))


def _recordings(path: Path) -> dict:
    content = read_npz(path, ("data",))["data"]
    if not isinstance(content, dict) or not content:
        raise UserError(f"{path}: data holds no recordings; fetch the file again")
    return content


def _view(where: str, content: object, drop_nan: bool, valid: str | None = None) -> View:
    keys = ("data_2d", "data_3d", *([valid] if valid else []))
    missing = [key for key in keys if not isinstance(content, dict) or not isinstance(content.get(key), np.ndarray)]
    if missing:
        raise UserError(f"{where} has no {' and no '.join(missing)}; fetch the file again")
    frames = len(content["data_2d"])
    rows = np.arange(frames)
    if valid:
        rows = np.flatnonzero(numbers_per_frame(where, content, valid, frames))
    arrays = (content["data_2d"], content["data_3d"])
    return make_view(where, HUMAN36M_FROM_TEST, TEST_JOINTS, rows, np.arange(frames), *arrays, drop_nan=drop_nan)
