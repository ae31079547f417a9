"""Reading SMPL model files (.pkl) without running anything they contain.

The published files are Python 2 pickles of NumPy arrays, scipy csc matrices and chumpy arrays. They are read by an
unpickler that knows exactly those and maps each to a passive record of ours: no NumPy, scipy or chumpy code takes part
in unpickling, and every size is checked against the bytes that are really there.
"""

import io
import pickle
import pickletools
from pathlib import Path

import numpy as np

from lib.errors import UserError
from smplpytorch.smplpytorch.body_model import BodyModel

MODEL_NAMES = {"neutral": "basicmodel_neutral_lbs", "male": "basicmodel_m_lbs", "female": "basicmodel_f_lbs"}
"""Beginning of the published file names, lower case; the rest is the version."""

MAX_MODEL_BYTES = 1 << 30


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
        _check_opcodes(content)
        fields = _Unpickler(io.BytesIO(content), encoding="latin1").load()
    except UserError:
        raise
    except Exception as error:  # whatever a damaged pickle can raise
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

    parents = array("kintree_table", 2)[0].astype(np.int64)
    if len(parents):
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


class _Passive:
    """A record that keeps the constructor arguments and state of something unpickled, and does nothing."""

    def __init__(self, *args):
        self.args = args
        self.state = None

    def __setstate__(self, state):
        self.state = state


class _Array(_Passive):
    """numpy.ndarray: state = (version, shape, dtype, Fortran order, bytes)."""


class _Dtype(_Passive):
    """numpy.dtype: args = (name such as "f8", ...), state = (version, byte order, ...)."""


class _Chumpy(_Passive):
    """chumpy.ch.Ch (state["x"] is the array) or chumpy.reordering.Select (state["a"], ["idxs"], ["preferred_shape"])."""


class _SparseMatrix(_Passive):
    """scipy csc_matrix: state has data, indices, indptr and _shape."""


class _Marker:
    """A class named only as an argument (object, ndarray)."""


def _reconstruct_array(*_):
    return _Array()


def _reconstruct_object(cls, *_):
    if not (isinstance(cls, type) and issubclass(cls, _Passive)):
        raise pickle.UnpicklingError("an object of an unknown class")
    return cls()


def _encode(text, encoding="latin1", *_):
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError("a text in an unexpected encoding")
    return text.encode("latin1")


_KNOWN = {
    ("numpy", "ndarray"): _Marker,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encode,
    ("chumpy.ch", "Ch"): _Chumpy,
    ("chumpy.reordering", "Select"): _Chumpy,
    ("copy_reg", "_reconstructor"): _reconstruct_object,
    ("copyreg", "_reconstructor"): _reconstruct_object,
}
_KNOWN |= {
    (module, "_reconstruct"): _reconstruct_array for module in ("numpy.core.multiarray", "numpy._core.multiarray")
}
_KNOWN |= {(module, "object"): _Marker for module in ("__builtin__", "builtins")}
_KNOWN |= {(module, "set"): set for module in ("__builtin__", "builtins")}
_KNOWN |= {(module, "csc_matrix"): _SparseMatrix for module in ("scipy.sparse.csc", "scipy.sparse._csc")}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in _KNOWN:
            raise UserError(
                f"refused: the file asks for {module}.{name}, which no SMPL model needs; do not use this file"
            )
        return _KNOWN[module, name]

    def persistent_load(self, pid):
        raise pickle.UnpicklingError("a persistent reference")


def _check_opcodes(content: bytes) -> None:
    """Refuse memo indices beyond the file's size: the C unpickler would allocate a table of that length."""
    for opcode, argument, _ in pickletools.genops(content):
        if "PUT" in opcode.name and argument is not None and argument > len(content):
            raise pickle.UnpicklingError(f"memo index {argument}")


def _to_array(value) -> np.ndarray:
    """A plain array from a number, list or passive record."""
    if isinstance(value, _Array):
        _, shape, dtype, fortran, data = value.state
        order = dtype.state[1] if dtype.state else "="
        kind = str(dtype.args[0])
        if kind[0] not in "fiub" or order not in "<>=|":
            raise ValueError(f"array of type {kind}")
        data = data.encode("latin1") if isinstance(data, str) else data
        array = np.frombuffer(data, np.dtype(kind).newbyteorder(order))
        return array.reshape(shape, order="F" if fortran else "C").astype(array.dtype.newbyteorder("="))
    if isinstance(value, _SparseMatrix):
        # Filled column by column: rows and columns that the indices do not name stay zero.
        rows, columns = (int(n) for n in value.state.get("_shape", value.state.get("shape")))
        data, indices, indptr = (_to_array(value.state[name]) for name in ("data", "indices", "indptr"))
        if not (0 < rows <= 1000 and len(indptr) == columns + 1 and len(data) == len(indices) == indptr[-1]):
            raise ValueError("sparse matrix whose parts do not fit together")
        if (
            indptr[0] != 0
            or (np.diff(indptr) < 0).any()
            or (len(indices) and not 0 <= indices.min() <= indices.max() < rows)
        ):
            raise ValueError("sparse matrix with indices out of range")
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
    if isinstance(value, (list, tuple, int, float)):
        return np.asarray(value)
    raise ValueError(f"a {type(value).__name__} instead of an array")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
