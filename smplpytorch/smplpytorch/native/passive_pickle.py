"""Unpickling without running anything that the file contains.

An unpickler that knows exact (module, name) pairs and maps each to a passive record of ours: no code of NumPy or of any
other package takes part, and every size is checked against the bytes that are really there.
"""

import io
import pickle
import struct
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np


class Refused(Exception):
    """The file names a class or function that it has no need of."""


class Passive:
    """A record that keeps the constructor arguments and state of something unpickled, and does nothing."""

    def __init__(self, *args):
        self.args = args
        self.state: Any = None


class Array(Passive):
    """numpy.ndarray: state = (version, shape, dtype, Fortran order, bytes)."""


class Dtype(Passive):
    """numpy.dtype: args = (name such as "f8", ...), state = (version, byte order, ...)."""


class Scalar(Passive):
    """A NumPy scalar: args = (dtype, bytes)."""


class Marker:
    """A class named only as an argument (object, ndarray)."""


def _reconstruct_array(*_):
    return Array()


def _array_from_buffer(data, dtype, shape, order):
    """numpy's _frombuffer, which protocol 5 writes for arrays."""
    array = Array()
    array.state = (1, shape, dtype, order == "F", bytes(data))
    return array


def _encode(text, encoding="latin1"):
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError("a text in an unexpected encoding")
    return text.encode("latin1")


def _empty_bytes():
    """What protocol 2 makes of no bytes: a call of bytes, here without the size that it would take."""
    return b""


ARRAY_NAMES: Mapping[tuple[str, str], Callable] = {
    ("numpy", "ndarray"): Marker,
    ("numpy", "dtype"): Dtype,
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _empty_bytes,
    ("builtins", "bytes"): _empty_bytes,
    **{
        (f"{package}.{module}", name): record
        for package in ("numpy.core", "numpy._core")  # NumPy 1 and 2
        for module, name, record in (
            ("multiarray", "_reconstruct", _reconstruct_array),
            ("multiarray", "scalar", Scalar),
            ("numeric", "_frombuffer", _array_from_buffer),
        )
    },
}
"""What NumPy arrays and scalars in a pickle of any protocol are made of."""


class PassiveUnpickler(pickle._Unpickler):
    """Python's own unpickler with fewer powers; known: {(module, name): what stands in for it}.

    The pure-Python one, because its memo is a dictionary (the C one allocates what a file's largest index asks for), it
    reads Python 2's byte strings as such, and single opcodes can be replaced.
    """

    dispatch: ClassVar = dict(pickle._Unpickler.dispatch)

    def __init__(self, content: bytes, known: Mapping[tuple[str, str], Callable] = ARRAY_NAMES):
        super().__init__(io.BytesIO(content), encoding="latin1")
        self.size = len(content)
        self.known = known

    def find_class(self, module, name):
        if (module, name) not in self.known:
            asked = "".join(c if c.isprintable() else "?" for c in f"{module}.{name}")
            raise Refused(asked[:80])
        return self.known[module, name]

    def load_build(self):
        state = self.stack.pop()
        if not isinstance(self.stack[-1], Passive):
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


def to_array(value: Array) -> np.ndarray:
    """The numbers or texts of a passive record as an array in native byte order; ValueError where it holds objects."""
    _, shape, dtype, fortran, data = value.state
    return _from_bytes(data, _plain_dtype(dtype)).reshape(shape, order="F" if fortran else "C")


def to_plain(value: object) -> object:
    """Nested dictionaries, lists and tuples with arrays, numbers and texts in place of all records.

    An array of objects becomes the list of them, one of no dimensions its only object. What is referred to several times
    is converted once.
    """
    return _plain(value, {})


def _plain(value, done: dict[int, object]):
    if id(value) in done:
        return done[id(value)]
    result: Any
    if isinstance(value, dict):
        result = {key: _plain(entry, done) for key, entry in value.items()}
    elif isinstance(value, (list, tuple)):
        result = type(value)(_plain(entry, done) for entry in value)
    elif isinstance(value, Scalar):
        dtype, data = value.args
        result = _from_bytes(data, _plain_dtype(dtype)).reshape(())[()]
    elif isinstance(value, Array) and str(value.state[2].args[0])[0] == "O":
        _, shape, _, _, objects = value.state
        if not isinstance(objects, list):
            raise ValueError("an array of objects without a list of them")
        result = _plain(objects, done)
        if shape == ():
            (result,) = result
    elif isinstance(value, Array):
        result = to_array(value)
    elif value is None or isinstance(value, (str, bytes, bytearray, bool, int, float, complex)):
        result = value
    else:
        raise ValueError(f"a {type(value).__name__} instead of numbers")
    done[id(value)] = result
    return result


def _plain_dtype(dtype) -> np.dtype:
    order: Any = dtype.state[1] if dtype.state else "="
    kind = str(dtype.args[0])
    if kind[0] not in "fiubSU" or order not in "<>=|":
        raise ValueError(f"array of type {kind}")
    return np.dtype(kind).newbyteorder(order)


def _from_bytes(data: bytes | str, dtype: np.dtype) -> np.ndarray:
    data = data.encode("latin1") if isinstance(data, str) else data  # Python 2's bytes
    array = np.frombuffer(data, dtype)
    return array.astype(dtype.newbyteorder("="), copy=not dtype.isnative)
