"""Reading SMPL model files (.pkl) without running anything they contain.

The published files are Python 2 pickles of NumPy arrays, scipy csc matrices and chumpy arrays. They are read by an
unpickler that knows exactly those and maps each to a passive record of ours: no NumPy, scipy or chumpy code takes part
in unpickling, and every size is checked against the bytes that are really there.
"""

import pickle
from pathlib import Path

import numpy as np

from lib.errors import UserError
from smplpytorch.smplpytorch.body_model import BodyModel
from smplpytorch.smplpytorch.native.passive_pickle import (
    ARRAY_NAMES,
    Array,
    Marker,
    Passive,
    PassiveUnpickler,
    Refused,
    to_array,
)

MODEL_NAMES = {"neutral": "basicmodel_neutral_lbs", "male": "basicmodel_m_lbs", "female": "basicmodel_f_lbs"}
"""Beginning of the published file names, lower case; the rest is the version."""

MAX_MODEL_BYTES = 1 << 30
MAX_SPARSE_ROWS, MAX_SPARSE_COLUMNS = 64, 100_000
"""Joints and vertices that a sparse regressor may have; SMPL-X, the largest of the family, has 55 and 10,475."""


def find_model_file(folder: str | Path, gender: str = "neutral") -> Path | None:
    """The SMPL .pkl of this gender in `folder`, any case of the name; None when there is none."""
    folder = Path(folder)
    if not folder.is_dir():
        return None
    found = [p for p in folder.iterdir() if p.suffix == ".pkl" and p.name.lower().startswith(MODEL_NAMES[gender])]
    return min(found, key=lambda p: p.name, default=None)


def load_model(path: str | Path) -> BodyModel:
    """The arrays of an SMPL .pkl as float64; UserError when the file is not a complete model."""
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > MAX_MODEL_BYTES:
            raise UserError(f"{path}: {size} bytes are too many for an SMPL model")
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        fields = PassiveUnpickler(content, _KNOWN).load()
    except Refused as refused:
        raise UserError(
            f"{path}: refused: the file asks for {refused}, which no SMPL model needs; do not use it"
        ) from None
    except Exception as error:  # a damaged pickle can raise anything
        raise UserError(f"{path}: is not an SMPL model file ({_one_line(error)}); download it again") from None
    if not isinstance(fields, dict):
        raise UserError(f"{path}: is not an SMPL model file (it holds {type(fields).__name__}, not a dictionary)")
    return _body_model(fields, path)


def _body_model(fields: dict, path: Path) -> BodyModel:
    def array(name: str, ndim: int) -> np.ndarray:
        if name not in fields:
            raise UserError(f"{path}: has no {name}; this is not a complete SMPL model")
        try:
            value = _to_array(fields[name])
        except Exception as error:
            raise UserError(f"{path}: {name} cannot be read ({_one_line(error)}); download the file again") from None
        if value.ndim != ndim or value.dtype.kind not in "fiu":
            raise UserError(f"{path}: {name} is {value.ndim}-D {value.dtype}, expected {ndim}-D numbers")
        return value

    kintree = array("kintree_table", 2)
    if kintree.size == 0:
        raise UserError(f"{path}: kintree_table is empty, expected (2, joints)")
    parents = kintree[0].astype(np.int64)
    parents[0] = -1  # stored as 2^32 - 1
    return BodyModel(
        v_template=array("v_template", 2).astype(np.float64),
        shapedirs=array("shapedirs", 3)[..., :10].astype(np.float64),
        posedirs=array("posedirs", 3).astype(np.float64),
        J_regressor=array("J_regressor", 2).astype(np.float64),
        lbs_weights=array("weights", 2).astype(np.float64),
        faces=array("f", 2).astype(np.int64),
        parents=parents,
        source=str(path),
    )


class _Chumpy(Passive):
    """chumpy.ch.Ch (state["x"] is the array) or chumpy.reordering.Select (state["a"], ["idxs"], ["preferred_shape"])."""


class _SparseMatrix(Passive):
    """scipy csc_matrix: state has data, indices, indptr and _shape."""


def _reconstruct_object(cls, *_):
    if not (isinstance(cls, type) and issubclass(cls, Passive)):
        raise pickle.UnpicklingError("an object of an unknown class")
    return cls()


_KNOWN = {
    **ARRAY_NAMES,
    ("chumpy.ch", "Ch"): _Chumpy,
    ("chumpy.reordering", "Select"): _Chumpy,
    ("copy_reg", "_reconstructor"): _reconstruct_object,
    ("copyreg", "_reconstructor"): _reconstruct_object,
}
for _module in ("__builtin__", "builtins"):
    _KNOWN[_module, "object"] = Marker
    _KNOWN[_module, "set"] = Passive  # chumpy's bookkeeping; a real set would hash what the file puts in
for _module in ("scipy.sparse.csc", "scipy.sparse._csc"):
    _KNOWN[_module, "csc_matrix"] = _SparseMatrix


def _to_array(value) -> np.ndarray:
    """A plain array from a passive record."""
    if isinstance(value, Array):
        array = to_array(value)
        if array.dtype.kind not in "fiub":
            raise ValueError(f"array of type {array.dtype}")
        return array
    if isinstance(value, _SparseMatrix):
        # Column by column: rows and columns that the indices do not name stay zero.
        rows, columns = (int(n) for n in value.state.get("_shape", value.state.get("shape")))
        data, indices, indptr = (_to_array(value.state[name]) for name in ("data", "indices", "indptr"))
        if not (0 < rows <= MAX_SPARSE_ROWS and len(indptr) == columns + 1 <= MAX_SPARSE_COLUMNS):
            raise ValueError(f"sparse matrix of {rows} x {columns}")
        if not len(data) == len(indices) == indptr[-1] or (
            len(indices) and not 0 <= indices.min() <= indices.max() < rows
        ):
            raise ValueError("sparse matrix whose parts do not fit together")
        dense = np.zeros((rows, columns), np.float64)
        np.add.at(dense, (indices, np.repeat(np.arange(columns), np.diff(indptr))), data)
        return dense
    if isinstance(value, _Chumpy):
        state = value.state
        if "a" in state and "idxs" in state:
            chosen = _to_array(state["a"]).ravel()[_to_array(state["idxs"]).astype(np.int64).ravel()]
            shape = state.get("preferred_shape")
            return chosen if shape is None else chosen.reshape([int(n) for n in shape])
        return _to_array(state["x"])
    raise ValueError(f"a {type(value).__name__} instead of an array")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
