"""Names of files for formats that hold one person."""

from pathlib import Path

from lib.lifting.pose_sequence import PoseSequence


def person_files(path: Path, sequences: list[PoseSequence], ending: str = "") -> list[Path]:
    """A file for each person: `path` itself where there is one, else `name_person_N` with the ending of `path`, or this one."""
    if len(sequences) == 1:
        return [path]
    ending = ending or path.suffix
    return [path.with_name(f"{path.name[: -len(ending)]}_person_{s.person}{ending}") for s in sequences]
