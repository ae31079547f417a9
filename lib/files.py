"""Files that are either complete or not there."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ABANDONED_SECONDS = 86400
"""Age from which a temporary file or folder counts as abandoned."""


@contextmanager
def replacing(path: str | Path, previous: Path | None = None) -> Iterator[Path]:
    """A temporary path beside `path`, with the same ending; on success it takes the place of `path`, durably.

    Missing folders are made. When the block raises, the temporary file is removed and `path` stays as it was. At every
    moment `path` is the old file or the complete new one. previous: where the old file is kept, if at all.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        _sync(temporary)
        if previous is not None and path.exists():
            _keep(path, previous)
        os.replace(temporary, path)
        with suppress(OSError):  # not every system can open folders
            _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def files_below(folder: Path) -> Iterator[Path]:
    """All files, those in soft-linked folders too; a folder that is reached twice counts once."""
    seen = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        place = os.path.realpath(root)
        if place in seen:
            folders.clear()
            continue
        seen.add(place)
        folders.sort()  # which way a folder is reached first decides its files' names
        yield from (path for path in (Path(root) / name for name in names) if path.is_file())


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files and folders (.*.tmp*) that killed processes left in a folder long ago."""
    for path in folder.glob(".*.tmp*"):
        with suppress(OSError):  # in the way of nothing
            if time.time() - path.stat().st_mtime <= ABANDONED_SECONDS:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def _sync(path: Path) -> None:
    """Have the system put the file or folder on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _keep(path: Path, previous: Path) -> None:
    """Make `previous` the file at `path`, which stays; a second name where the file system can, else a copy."""
    second = previous.with_name(f".{previous.name}.{os.getpid()}.tmp")
    try:
        try:
            os.link(path, second)
        except OSError:
            shutil.copyfile(path, second)
        os.replace(second, previous)
    finally:
        second.unlink(missing_ok=True)
