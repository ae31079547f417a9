"""Tables kept in folders of memory-mapped arrays, and growing such a folder row by row."""

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np

from lib.files import remove_leftovers
from lib.pose_table import PER_MESH, PER_SMPL, PoseTable

try:
    import fcntl
except ImportError:  # not on every system; entries are then removed by age alone
    fcntl = None

KEPT_DAYS = 30
"""An entry that was not opened for so long is removed, unless a process has it mapped."""

PERMUTED_ROWS = 1 << 16
"""Rows that are put in order at a time."""


class Columns:
    """Arrays that grow by rows: in files of `folder`, so that memory does not hold them, or (None) in memory."""

    def __init__(self, folder: Path | None):
        self.folder = folder
        self.files: dict[str, _GrowingArray] = {}
        self.parts: dict[str, list[np.ndarray]] = {}

    def append(self, name: str, rows: np.ndarray) -> None:
        """Add rows to the array `name`; all of one dtype and row shape."""
        if self.folder is None:
            self.parts.setdefault(name, []).append(rows)
            return
        if name not in self.files:
            self.files[name] = _GrowingArray(self.folder / f"{name}.npy", rows)
        self.files[name].append(rows)

    def finish(self, order: np.ndarray | None, mesh_order: np.ndarray | None) -> dict[str, np.ndarray]:
        """All arrays by name, rows put in `order`, those with a row per mesh in `mesh_order`. Files are complete then."""

        def order_of(name):
            return mesh_order if name.startswith((*PER_MESH, *PER_SMPL)) else order

        if self.folder is None:
            whole = {}
            for name in list(self.parts):
                parts = self.parts.pop(name)
                whole[name] = np.concatenate(parts)
                if order is not None:
                    whole[name] = whole[name][order_of(name)]
            return whole
        for name, file in self.files.items():
            file.close()
            if order is not None:
                _permute(file.path, order_of(name))
        return {name: np.load(file.path, mmap_mode="r", allow_pickle=False) for name, file in self.files.items()}

    def close(self) -> None:
        """Give the files back where the table came to nothing."""
        for file in self.files.values():
            file.file.close()


class _GrowingArray:
    """One .npy file whose header is put right at the end."""

    def __init__(self, path: Path, rows: np.ndarray):
        self.path, self.count, self.dtype, self.shape = path, 0, rows.dtype, rows.shape[1:]
        self.file = path.open("wb")
        self._write_header()
        self.start = self.file.tell()

    def append(self, rows: np.ndarray) -> None:
        assert (rows.dtype, rows.shape[1:]) == (self.dtype, self.shape), self.path.name
        self.file.write(np.ascontiguousarray(rows).data)
        self.count += len(rows)

    def close(self) -> None:
        self.file.seek(0)
        self._write_header()
        assert self.file.tell() == self.start, "the header has grown into the rows"
        self.file.close()

    def _write_header(self) -> None:
        """128 bytes for any number of rows: the format pads to 64 and the longest of ours needs a few more."""
        description = np.lib.format.dtype_to_descr(self.dtype)
        header = {"descr": description, "fortran_order": False, "shape": (self.count, *self.shape)}
        np.lib.format.write_array_header_1_0(self.file, header)


def _permute(path: Path, order: np.ndarray) -> None:
    """Put the rows of an .npy file in another order, some of them in memory at a time."""
    source = np.load(path, mmap_mode="r", allow_pickle=False)
    other = path.with_suffix(".order")
    target = np.lib.format.open_memmap(other, "w+", source.dtype, (len(order), *source.shape[1:]))
    for start in range(0, len(order), PERMUTED_ROWS):
        rows = slice(start, start + PERMUTED_ROWS)
        target[rows] = source[order[rows]]
    target.flush()
    del source, target
    os.replace(other, path)


@contextlib.contextmanager
def new_entry(folder: Path) -> Iterator[Path]:
    """A temporary folder beside `folder` that takes its place when the block ends well.

    OSError where nothing can be written there. What is in the way (an entry that could not be read) is moved aside, not
    deleted: another process may have it mapped.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder.parent)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", suffix=".tmp", dir=folder.parent))
    try:
        yield temporary
        if folder.exists():
            os.replace(folder, temporary.with_name(f".{temporary.name.strip('.')}-old.tmp"))
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def open_entry(folder: Path, key: str) -> PoseTable | None:
    """The table in `folder`, memory-mapped, if it is complete and made for this key; None otherwise.

    Writing to its arrays changes no file. As long as any of them lives, `remove_old_entries` of no process deletes it.
    """
    try:
        meta = json.loads((folder / "meta.json").read_text())
        if meta.pop("key") != key:
            return None
        values = {}
        for f in fields(PoseTable):
            if f.name in PER_MESH:
                values[f.name] = tuple(_map(folder / f"{f.name}_{i}.npy") for i in range(meta["mesh_scales"]))
            elif f.name in meta:
                values[f.name] = tuple(meta[f.name]) if isinstance(meta[f.name], list) else meta[f.name]
            else:
                values[f.name] = _map(folder / f"{f.name}.npy")
        with contextlib.suppress(OSError):
            os.utime(folder / "meta.json")  # the day of its last use
        table = PoseTable(**values)
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return table if _fits_together(table) else None


def _fits_together(table: PoseTable) -> bool:
    values = {f.name: getattr(table, f.name) for f in fields(table)}
    with_mesh = [values.pop(name) for name in PER_SMPL] + [mesh for name in PER_MESH for mesh in values.pop(name)]
    columns = [value for value in values.values() if isinstance(value, np.ndarray)]
    count = int(np.count_nonzero(table.has_mesh))
    return {len(c) for c in columns} == {len(table)} and all(len(c) == count for c in with_mesh)


def _map(path: Path) -> np.ndarray:
    """The array of an .npy file, mapped copy-on-write. A mapping keeps its own duplicate of the open file, and with it the
    shared lock that marks the file as in use."""
    with open(path, "rb") as file:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError(f"{path}: not written by this project")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        if fortran or dtype.hasobject:
            raise ValueError(f"{path}: not written by this project")
        start = file.tell()
        if 0 in shape:
            return np.zeros(shape, dtype)  # nothing to map
        if fcntl is not None:
            with contextlib.suppress(OSError):  # not every file system has locks
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return np.memmap(file, dtype, "c", start, shape)


def remove_old_entries(cache: Path, days: float = KEPT_DAYS) -> None:
    """Remove the entries in `cache` that were not opened for `days`, except those that a process has mapped."""
    for folder in cache.iterdir():
        if folder.name.startswith(".") or not (folder / "meta.json").is_file():
            continue
        with contextlib.suppress(OSError):  # in the way of nothing
            if time.time() - (folder / "meta.json").stat().st_mtime > days * 86400 and not _in_use(folder):
                shutil.rmtree(folder)


def _in_use(folder: Path) -> bool:
    """Whether any process has a file of the entry mapped, as far as the system shows it."""
    if fcntl is None:
        return False
    for path in folder.glob("*.npy"):
        with open(path, "rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
    return False
