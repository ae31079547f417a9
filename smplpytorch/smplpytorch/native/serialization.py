"""Reading SMPL model files (.pkl) without running anything they contain.

The published files are Python 2 pickles of NumPy arrays, scipy csc matrices and chumpy arrays. They are read by an
unpickler that knows exactly those and maps each to a passive record of ours: no NumPy, scipy or chumpy code takes part
in unpickling, and every size is checked against the bytes that are really there.
"""

import io
import pickle
import struct
from pathlib import Path
from typing import ClassVar

import numpy as np

from lib.errors import UserError
from smplpytorch.smplpytorch.body_model import BodyModel

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
        fields = _Unpickler(content).load()
    except _Refused as refused:
        raise UserError(
            f"{path}: refused: the file asks for {refused}, which no SMPL model needs; do not use it"
        ) from None
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


class _Passive:
    """A record that keeps the constructor arguments and state of something unpickled, and does nothing."""

    def __init__(self, *args):
        self.args = args
        self.state = None


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


class _Refused(Exception):
    """The file names a class or function that no SMPL model needs."""


def _reconstruct_array(*_):
    return _Array()


def _array_from_buffer(data, dtype, shape, order):
    """numpy's _frombuffer, which protocol 5 writes for arrays."""
    array = _Array()
    array.state = (1, shape, dtype, order == "F", bytes(data))
    return array


def _reconstruct_object(cls, *_):
    if not (isinstance(cls, type) and issubclass(cls, _Passive)):
        raise pickle.UnpicklingError("an object of an unknown class")
    return cls()


def _encode(text, encoding="latin1"):
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError("a text in an unexpected encoding")
    return text.encode("latin1")


def _empty_bytes():
    return b""


_KNOWN = {
    ("numpy", "ndarray"): _Marker,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encode,
    ("chumpy.ch", "Ch"): _Chumpy,
    ("chumpy.reordering", "Select"): _Chumpy,
    ("copy_reg", "_reconstructor"): _reconstruct_object,
    ("copyreg", "_reconstructor"): _reconstruct_object,
}
for _package in ("numpy.core", "numpy._core"):
    _KNOWN[f"{_package}.multiarray", "_reconstruct"] = _reconstruct_array
    _KNOWN[f"{_package}.numeric", "_frombuffer"] = _array_from_buffer
for _module in ("__builtin__", "builtins"):
    _KNOWN[_module, "object"] = _Marker
    _KNOWN[_module, "set"] = _Passive  # chumpy's bookkeeping; a real set would hash what the file puts in
    _KNOWN[_module, "bytes"] = _empty_bytes
for _module in ("scipy.sparse.csc", "scipy.sparse._csc"):
    _KNOWN[_module, "csc_matrix"] = _SparseMatrix


class _Unpickler(pickle._Unpickler):
    """Python's own unpickler with fewer powers.

    The pure-Python one, because its memo is a dictionary (the C one allocates what a file's largest index asks for), it
    reads Python 2's byte strings as such, and single opcodes can be replaced.
    """

    dispatch: ClassVar = dict(pickle._Unpickler.dispatch)

    def __init__(self, content: bytes):
        super().__init__(io.BytesIO(content), encoding="latin1")
        self.size = len(content)

    def find_class(self, module, name):
        if (module, name) not in _KNOWN:
            asked = "".join(c if c.isprintable() else "?" for c in f"{module}.{name}")
            raise _Refused(asked[:80])
        return _KNOWN[module, name]

    def load_build(self):
        state = self.stack.pop()
        if not isinstance(self.stack[-1], _Passive):
            raise pickle.UnpicklingError("a state for something that has none")
        self.stack[-1].state = state

    def load_setitem(self):
        value, key = self.stack.pop(), self.stack.pop()
        self._set_items([key, value])

    def load_setitems(self):
        self._set_items(self.pop_mark())

    def load_dict(self):
        items = self.pop_mark()
        self.append({})
        self._set_items(items)

    def _set_items(self, items):
        """Keys are texts or numbers: hashing a deeply nested tuple would exhaust the C stack."""
        if not isinstance(self.stack[-1], dict) or not all(isinstance(key, (str, int)) for key in items[::2]):
            raise pickle.UnpicklingError("a dictionary with unexpected keys")
        self.stack[-1].update(zip(items[::2], items[1::2], strict=True))

    def load_bytearray8(self):
        (length,) = struct.unpack("<Q", self.read(8))
        if length > self.size:
            raise pickle.UnpicklingError("an array longer than the file")
        self.append(self.read(length))

    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems
    dispatch[pickle.DICT[0]] = load_dict
    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8
    for _opcode in (pickle.PERSID, pickle.BINPERSID, pickle.EMPTY_SET, pickle.ADDITEMS, pickle.FROZENSET, pickle.EXT1,
                    pickle.EXT2, pickle.EXT4, pickle.NEXT_BUFFER, pickle.NEWOBJ_EX):  # fmt: skip
        del dispatch[_opcode[0]]


def _to_array(value) -> np.ndarray:
    """A plain array from a passive record."""
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
