"""HDF5: what DeepLabCut saves through pandas, and SLEAP's analysis files. h5py reads them; it is imported here only."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lib.errors import UserError
from lib.lifting.keypoints.formats.body_parts import arranged, listed
from lib.lifting.keypoints.formats.detections import Detections, check_bytes, whole_numbers
from lib.lifting.keypoints.formats.tables import deeplabcut
from smplpytorch.smplpytorch.native.passive_pickle import PassiveUnpickler


def read_hdf5(path: Path, data: bytes) -> Detections:
    """A file of DeepLabCut or SLEAP, recognised by what it contains."""
    try:
        import h5py
    except ImportError:
        raise UserError(f"{path}: h5py reads HDF5 files; install it: python -m pip install h5py") from None
    content: Any
    read: Callable[[Path, Any], Detections]
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            if all(name in file for name in SLEAP_KEYS[:2]):
                content = {name: _array(path, file, name) for name in SLEAP_KEYS if name in file}
                read = _sleap
            elif tables := [name for name in file if f"{name}/table" in file]:
                content = _table(path, file[tables[0]]["table"])
                read = _deeplabcut
            else:
                if "pred_points" in file:
                    raise UserError(
                        f"{path}: a SLEAP project; export its tracks (File > Export Analysis HDF5, or sleap-convert)"
                    )
                some = listed(list(file)) or "nothing"
                raise UserError(
                    f"{path}: an HDF5 file with {some}; 'tracks' and 'node_names' (SLEAP's analysis) or a group with 'table' "
                    "(DeepLabCut, pandas' format='table') is needed"
                )
    except UserError:
        raise
    except Exception as error:  # what h5py and HDF5's library raise for damaged files
        raise UserError(f"{path}: broken HDF5 file ({' '.join(str(error).split())[:80]})") from None
    return read(path, content)


SLEAP_KEYS = ("tracks", "node_names", "point_scores", "track_names")


def _sleap(path: Path, content: dict[str, np.ndarray]) -> Detections:
    """tracks (persons, 2, nodes, frames) pixels, node_names (nodes,), point_scores (persons, nodes, frames)."""
    tracks = content["tracks"]
    names = [n.decode("utf-8", "replace") if isinstance(n, bytes) else str(n) for n in content["node_names"].ravel()]
    if tracks.ndim != 4 or tracks.shape[1] != 2 or tracks.shape[2] != len(names) or tracks.dtype.kind not in "fiu":
        raise UserError(f"{path}: tracks have shape {tracks.shape}; (persons, 2, {len(names)} nodes, frames) is needed")
    P, _, J, T = tracks.shape
    values = np.ones((P, T, J, 3))
    values[..., :2] = tracks.transpose(0, 3, 2, 1)
    scores = content.get("point_scores")
    if scores is not None:
        if scores.shape != (P, J, T) or scores.dtype.kind not in "fiu":
            raise UserError(f"{path}: point_scores have shape {scores.shape}, {(P, J, T)} is needed")
        values[..., 2] = scores.transpose(0, 2, 1)
    joints, joint_set, notes = arranged(path, names, values.reshape(P * T, J, 3))
    frames, persons = np.tile(np.arange(T), P), np.repeat(np.arange(P), T)
    return Detections(frames, persons, joints, joint_set, named=True, notes=notes)


def _deeplabcut(path: Path, content: tuple[np.ndarray, list, np.ndarray]) -> Detections:
    index, columns, values = content
    if not isinstance(columns, list) or not all(
        isinstance(c, tuple) and len(c) in (3, 4) and all(isinstance(n, str) for n in c) for c in columns
    ):
        raise UserError(f"{path}: its columns are not (scorer, [individual,] body part, coordinate)")
    if values.ndim != 2 or values.shape[1] != len(columns) or values.dtype.kind not in "fiu":
        raise UserError(f"{path}: {len(columns)} columns are named, the table has shape {values.shape}")
    keys = [(c[1] if len(c) == 4 else "", c[-2], c[-1]) for c in columns]
    return deeplabcut(path, whole_numbers(path, index.tolist(), "frame numbers"), keys, values.astype(np.float64))


def _table(path: Path, table) -> tuple[np.ndarray, list, np.ndarray]:
    """Index, column names and values of a pandas table with one block of numbers."""
    names = [n for n in table.dtype.names or () if n.startswith("values_block_")]
    if len(names) != 1 or "index" not in table.dtype.names:
        raise UserError(f"{path}: a pandas table with {len(names)} blocks; one block of numbers is needed")
    kind = table.attrs[f"{names[0]}_kind"]
    columns = PassiveUnpickler(bytes(kind), known={}).load()  # texts in tuples in a list, no classes
    rows = _read(path, table)
    return rows["index"], columns, rows[names[0]]


def _array(path: Path, file, name: str) -> np.ndarray:
    return np.asarray(_read(path, file[name]))


def _read(path: Path, dataset):
    """A data set's content, if the file itself holds it and it is not too large."""
    if dataset.is_virtual or dataset.external:
        raise UserError(f"{path}: {dataset.name} refers to other files; save it in one file")
    check_bytes(path, dataset.size * dataset.dtype.itemsize, f"{dataset.name}")
    return dataset[()]
