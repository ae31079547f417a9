"""Reading the pickles that data sets are published as (.npz with objects in them, .pkl), without running their content.

Only NumPy's arrays and scalars are admitted, by exact names (smplpytorch.smplpytorch.native.passive_pickle); what a
header promises is compared with what the file holds before memory is asked for.
"""

import io
import math
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from lib.errors import UserError
from smplpytorch.smplpytorch.native.passive_pickle import PassiveUnpickler, Refused, to_plain

MAX_BYTES = 8 << 30
"""Of one key of an .npz, unpacked, or of one .pkl; the largest published one is about 0.5 GiB."""


def read_pickle(path: str | Path) -> object:
    """Nested dictionaries, lists and arrays of a .pkl of Python 2 or 3; UserError for anything else.

    Python 2's texts are read as latin1.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise UserError(f"{path}: {size} bytes are too many for a file of this kind")
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    return _unpickle(content, f"{path}")


def npz_keys(path: str | Path) -> list[str]:
    """The names of the arrays in an .npz, in the file's order."""
    with _open_zip(Path(path)) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist()]


def read_npz(path: str | Path, keys: Iterable[str]) -> dict[str, object]:
    """{key: content} of the named arrays of an .npz, in the order of `keys`; the others are never opened.

    Numbers and texts come as arrays; an array of objects as the list of them, one of no dimensions as its only object
    (what `.item()` gives). UserError, one line with the file's name, where a key is missing or anything is wrong.
    """
    path = Path(path)
    with _open_zip(path) as archive:
        there = set(archive.namelist())
        missing = [key for key in keys if f"{key}.npy" not in there]
        if missing:
            found = ", ".join(sorted(name.removesuffix(".npy") for name in there)[:8])
            raise UserError(f"{path}: has no {' and no '.join(missing)} (it holds {found or 'nothing'})")
        return {key: _read_member(archive, f"{key}.npy", path) for key in keys}


def _open_zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except FileNotFoundError:
        raise UserError(f"{path} is missing; see docs/data.md for where it comes from") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise UserError(f"{path}: is not a complete .npz file ({_one_line(error)}); fetch it again") from None


def _read_member(archive: zipfile.ZipFile, name: str, path: Path) -> object:
    where = f"{path}: {name.removesuffix('.npy')}"
    try:
        info = archive.getinfo(name)
        if info.file_size > MAX_BYTES:
            raise UserError(f"{where}: unpacks to {info.file_size} bytes, too many for a file of this kind")
        with archive.open(info) as file:
            content = _read_up_to(file, info.file_size)
        header = io.BytesIO(content)
        version = np.lib.format.read_magic(header)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read_header(header)
    except UserError:
        raise
    except (ValueError, OSError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{where}: cannot be read ({_one_line(error)}); fetch the file again") from None
    body = memoryview(content)[header.tell() :]
    if dtype.hasobject:
        return _unpickle(body, where)
    if dtype.itemsize == 0 or math.prod(shape) * dtype.itemsize != len(body):
        raise UserError(
            f"{where}: the header promises {' x '.join(map(str, shape))} numbers of {dtype}, the file holds {len(body)} bytes"
        )
    return np.frombuffer(body, dtype).reshape(shape, order="F" if fortran else "C")


def _read_up_to(file, size: int) -> bytes:
    """The member's bytes, never more than its entry in the archive promises."""
    content = file.read(size + 1)
    if len(content) != size:
        raise ValueError(f"{len(content)} bytes where {size} were promised")
    return content


def _unpickle(content: bytes | memoryview, where: str) -> object:
    try:
        return to_plain(PassiveUnpickler(content).load())
    except Refused as refused:
        raise UserError(
            f"{where}: refused: the file asks for {refused}, which data have no need of; do not use it"
        ) from None
    except Exception as error:  # a damaged pickle can raise anything
        raise UserError(f"{where}: is not a complete pickle of arrays ({_one_line(error)}); fetch it again") from None


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())[:120]
    return f"{type(error).__name__} {text}".strip() if isinstance(error, LookupError) or not text else text
