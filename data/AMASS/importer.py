"""A folder of AMASS becomes one file of arrays per person, thinned out; cameras are chosen when a table is made."""

import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import numpy as np
from tqdm import tqdm

from data.AMASS.motion import BODY_COLUMNS, Motion, is_motion_file, read_motion
from lib.errors import UserError
from lib.files import files_below, replacing

SPLIT_FILE = "split.json"
VERSION = 1
"""To be raised whenever the imported files change their meaning."""

TEST_SUBSETS = ("SSM_synced", "SSM", "Transitions_mocap", "Transitions")
"""AMASS's own test split (Mahmood et al., ICCV 2019, and later work), under the names it was published with."""

MAX_NOTES = 20
"""Lines about single files that a printed report holds."""


@dataclass(frozen=True)
class Recording:
    """A file to import and whose motion it holds: person is SUBSET/SUBJECT."""

    path: Path
    person: str


@dataclass
class ImportReport:
    """What an import did; `str(report)` is its summary.

    frames: by person; split: persons of "train" and "test"; seconds: length of all motions; other_shapes: files of
    SMPL-X, whose shapes are not SMPL's; skipped: a line per file that could not be used; missing: frames dropped
    for a NaN.
    """

    files: int = 0
    frames: dict[str, int] = field(default_factory=dict)
    split: dict[str, list[str]] = field(default_factory=dict)
    seconds: float = 0.0
    other_shapes: int = 0
    skipped: list[str] = field(default_factory=list)
    missing: int = 0

    def __str__(self) -> str:
        counts = {part: (len(people), sum(self.frames[p] for p in people)) for part, people in self.split.items()}
        lines = [
            f"{self.files} files, {self.seconds / 3600:.2f} hours, {sum(self.frames.values())} frames kept",
            *(f"{part}: {people} people, {frames} frames" for part, (people, frames) in counts.items()),
        ]
        if self.missing:
            lines.append(f"{self.missing} frames with NaN dropped")
        if self.other_shapes:
            lines.append(
                f"{self.other_shapes} files are of SMPL-X, whose shape parameters mean nothing to SMPL: their people get "
                "SMPL's mean shape"
            )
        lines += [f"skipped {line}" for line in self.skipped[:MAX_NOTES]]
        if len(self.skipped) > MAX_NOTES:
            lines.append(f"... and {len(self.skipped) - MAX_NOTES} more files skipped")
        return "\n".join(lines)


def import_amass(
    input: Path,
    output: Path,
    *,
    fps: float = 10,
    train: list[str] | None = None,
    test: list[str] | None = None,
    seed: int = 0,
    skip_damaged: bool = False,
    drop_nan: bool = False,
    progress: bool = True,
) -> ImportReport:
    """Write output/annotations/person_NNNN.npz and output/split.json from all motions below `input`.

    A file's folder names the subject, the folder above it the sub-set. fps: frames kept per second, nearly, since every
    n-th frame of a recording is kept; train, test: names of sub-sets (CMU), of subjects (01) or of both (CMU/01); a
    side that is not given gets what the other leaves. By default AMASS's own test sub-sets are tested where they are
    there, else the last fifth of the people; a single person is both. seed: of the cameras that tables choose.

    What an earlier import wrote there is replaced when everything has been read. UserError for a damaged file (with
    skip_damaged it is skipped and named in the report, with drop_nan only its frames with NaN are dropped), where there is
    no motion, or for a split that cannot be.
    """
    input, output = Path(input), Path(output)
    if not 0 < fps < float("inf"):
        raise UserError("frame rates must be positive")
    recordings = find_recordings(input)
    people = sorted({r.person for r in recordings})
    report = ImportReport(split=choose_split(people, train, test))
    _refuse_foreign(output)
    partial = output / f".annotations.{uuid4().hex[:8]}.partial"
    partial.mkdir(parents=True)
    try:
        total = sum(r.path.stat().st_size for r in recordings)
        with tqdm(total=total, unit="B", unit_scale=True, desc="AMASS", disable=not progress) as bar:
            for number, person in enumerate(people, start=1):
                motions = _read_person(
                    [r for r in recordings if r.person == person], fps, drop_nan, skip_damaged, report, bar
                )
                report.frames[person] = sum(len(m.frame) for _, m in motions)
                if report.frames[person]:
                    save_person(partial / person_file(number), person, motions)
        split = {"version": VERSION, "seed": seed, "fps": fps}
        for part, names in report.split.items():
            kept = [person for person in names if report.frames[person]]
            split[part] = {person: people.index(person) + 1 for person in kept}
        if not any(report.frames.values()):
            raise UserError(f"{input}: no frame of any motion could be used")
        _put_in_place(partial, output, split)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        with suppress(OSError):  # only where nothing came of it and nothing was there
            output.rmdir()
    return report


def find_recordings(folder: Path) -> list[Recording]:
    """All motion files below `folder`, soft-linked folders too, sorted; UserError where there is none."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    paths = sorted(path for path in files_below(folder) if is_motion_file(path))
    if not paths:
        raise UserError(f"{folder}: holds no motion of AMASS (SUBSET/SUBJECT/..._poses.npz or ..._stageii.npz)")
    whole = [path if path.is_absolute() else Path.cwd() / path for path in paths]
    return [Recording(path, "/".join(full.parent.parts[-2:])) for path, full in zip(paths, whole, strict=True)]


def choose_split(people: list[str], train: list[str] | None, test: list[str] | None) -> dict[str, list[str]]:
    """{"train": people, "test": people} from names of sub-sets, subjects or SUBSET/SUBJECT; see `import_amass`."""

    def named(part: str, wanted: list[str]) -> list[str]:
        chosen = []
        for name in wanted:
            found = [p for p in people if name in (p, *p.split("/"))]
            if not found:
                subsets = ", ".join(dict.fromkeys(p.split("/")[0] for p in people))
                raise UserError(f"{part}: no sub-set or subject is called {name}; the sub-sets are {subsets}")
            chosen += found
        return [p for p in people if p in chosen]

    chosen = {part: named(part, names) for part, names in (("train", train), ("test", test)) if names is not None}
    if not chosen and len(people) == 1:
        return {"train": people, "test": people}
    if not chosen:
        official = [p for p in people if p.split("/")[0] in TEST_SUBSETS]
        fifth = people[-max(1, round(len(people) / 5)) :]
        chosen["test"] = official if 0 < len(official) < len(people) else fifth
    for part, other in (("train", "test"), ("test", "train")):
        if part not in chosen:
            chosen[part] = [p for p in people if p not in chosen[other]]
    both = set(chosen["train"]) & set(chosen["test"])
    if both:
        raise UserError(f"{', '.join(sorted(both)[:5])} would be in both train and test")
    return {part: chosen[part] for part in ("train", "test")}


def person_file(number: int) -> str:
    return f"person_{number:04d}.npz"


def save_person(path: Path, person: str, motions: list[tuple[str, Motion]]) -> None:
    """One person's motions, end to end, as plain arrays.

    pose (F, 66) float32 radians, trans (F, 3) metres, frame (F,) in its recording, recording (F,) int; per recording:
    names, betas (10), gender, model, rate (Hz).
    """
    counts = [len(m.frame) for _, m in motions]
    with open(path, "wb") as file:
        np.savez(
            file,
            person=np.array(person),
            pose=np.concatenate([m.pose[:, :BODY_COLUMNS] for _, m in motions]).astype(np.float32),
            trans=np.concatenate([m.trans for _, m in motions]),
            frame=np.concatenate([m.frame for _, m in motions]).astype(np.int32),
            recording=np.repeat(np.arange(len(motions), dtype=np.int32), counts),
            names=np.array([name for name, _ in motions]),
            betas=np.stack([m.betas for _, m in motions]),
            gender=np.array([m.gender for _, m in motions]),
            model=np.array([m.model for _, m in motions]),
            rate=np.array([m.rate for _, m in motions]),
        )


def _read_person(
    recordings: list[Recording], fps: float, drop_nan: bool, skip_damaged: bool, report: ImportReport, bar: tqdm
) -> list[tuple[str, Motion]]:
    motions = []
    for recording in recordings:
        size = recording.path.stat().st_size
        try:
            motion = read_motion(recording.path, fps, drop_nan)
        except UserError as error:
            if not skip_damaged:
                raise
            report.skipped.append(str(error))
            bar.update(size)
            continue
        report.files += 1
        report.missing += motion.missing
        report.seconds += (motion.frame[-1] if len(motion.frame) else 0) / motion.rate
        report.other_shapes += motion.model == "smplx"
        if len(motion.frame):
            motions.append((recording.path.stem, motion))
        bar.update(size)
    return motions


def _refuse_foreign(output: Path) -> None:
    """An `annotations` folder that no import of AMASS made is not to be replaced."""
    folder = output / "annotations"
    if folder.is_dir() and any(folder.iterdir()) and not (output / SPLIT_FILE).is_file():
        raise UserError(
            f"{folder}: holds files, but there is no {SPLIT_FILE} beside it; remove it or name another --output"
        )


def _put_in_place(partial: Path, output: Path, split: dict) -> None:
    """The finished folder under its name, then the split that names its files; an older import goes first."""
    folder = output / "annotations"
    (output / SPLIT_FILE).unlink(missing_ok=True)  # from here until the end there is no import, rather than half of one
    if folder.exists():
        old = partial.with_suffix(".old")
        folder.rename(old)
        shutil.rmtree(old, ignore_errors=True)
    partial.rename(folder)
    with replacing(output / SPLIT_FILE) as temporary:
        temporary.write_text(json.dumps(split, indent=1) + "\n")


def read_split(output: Path) -> dict:
    """What `import_amass` wrote: {"seed", "fps", "train": {person: number}, "test": {person: number}}."""
    path = output / SPLIT_FILE
    if not path.is_file():
        raise UserError(f"{path} is missing; import AMASS first: python main/prepare_data.py amass --input DIR")
    try:
        split = json.loads(path.read_text())
        if split["version"] != VERSION:
            raise ValueError(f"version {split['version']}")
        return {
            "seed": int(split["seed"]),
            "fps": float(split["fps"]),
            **{part: {str(p): int(n) for p, n in split[part].items()} for part in ("train", "test")},
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: is not a split file of this version ({error}); import AMASS again") from None


def load_person(path: Path) -> Iterator[tuple[str, Motion]]:
    """(name, Motion) of every recording that `save_person` wrote; pose with hands at rest, as (n, 72)."""
    try:
        with np.load(path, allow_pickle=False) as z:
            content = {name: z[name] for name in z.files}
        ends = np.searchsorted(content["recording"], np.arange(len(content["names"]) + 1))
        hands = np.zeros((len(content["pose"]), 6), np.float32)
        pose = np.concatenate([content["pose"], hands], axis=1)
        for i, name in enumerate(content["names"]):
            rows = slice(ends[i], ends[i + 1])
            yield str(name), Motion(
                pose[rows], content["trans"][rows], content["betas"][i], content["frame"][rows],
                float(content["rate"][i]), 0, str(content["gender"][i]), str(content["model"][i]),
            )  # fmt: skip
    except FileNotFoundError:
        raise UserError(f"{path} is missing; import AMASS again") from None
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise UserError(f"{path}: cannot be read ({' '.join(str(error).split())[:100]}); import AMASS again") from None
