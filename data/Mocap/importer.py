"""A folder of motion capture (.asf/.amc, .bvh) becomes annotations in the Human3.6M format."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from data.Human36M.annotations import Motion, write_subject
from data.Mocap.asf_amc import read_amc, read_asf
from data.Mocap.bvh import read_bvh
from data.Mocap.clean import (
    check_bones,
    glitches,
    guess_unit,
    human36m_joints,
    repair,
    rest_human36m_joints,
    sample_frames,
    scale,
    stand_upright,
)
from data.Mocap.naming import NamedSkeleton, UnusableSkeleton, name_joints
from data.Mocap.retarget import Z_UP, body_distance, fit_betas, smpl_pose, translation
from data.Mocap.skeleton import forward_kinematics
from data.studio import stretches, studio_cameras
from lib.errors import UserError
from lib.files import files_below, replacing
from smplpytorch.smplpytorch.body_model import BodyModel

FIRST_NAMED_SUBJECT = 1001
"""Numbers below belong to subjects whose name is a number, as CMU's."""

MAX_NOTES = 20
"""Lines about single files that a printed report holds."""


@dataclass(frozen=True)
class Recording:
    """A file to import: path, the skeleton's file (.asf) or None, the subject's name, action_idx."""

    path: Path
    asf: Path | None
    subject: str
    action_idx: int


@dataclass(frozen=True)
class Sampled:
    """What is kept of a recording: frame (T,) source indices, joints (T, 17, 3) metres Y up, rotations (T, J, 3, 3)."""

    named: NamedSkeleton
    frame: np.ndarray
    joints: np.ndarray
    rotations: np.ndarray


@dataclass
class ImportReport:
    """What an import did; `str(report)` is its summary.

    files: number of files used; skipped: a line per file that could not be used; repaired, glitches: by file, what was
    repaired and how many sampled frames were dropped; frames, samples (images), distances (mm, mean over the limb
    joints between body and motion capture): by subject; split: the subjects of "train" and "test".
    """

    files: int = 0
    skipped: list[str] = field(default_factory=list)
    repaired: dict[str, str] = field(default_factory=dict)
    glitches: dict[str, int] = field(default_factory=dict)
    frames: dict[str, int] = field(default_factory=dict)
    samples: dict[str, int] = field(default_factory=dict)
    distances: dict[str, float] = field(default_factory=dict)
    split: dict[str, list[str]] = field(default_factory=dict)

    def __str__(self) -> str:
        frames, samples = sum(self.frames.values()), sum(self.samples.values())
        seen = samples / max(1, 4 * frames)
        distance = np.mean(list(self.distances.values()))
        lines = [
            f"{self.files} files read, {len(self.skipped)} skipped; {frames} frames, {samples} samples from four cameras "
            f"({seen:.1%} of the frames are inside the image)",
            "samples per subject: " + ", ".join(f"{name} {n}" for name, n in self.samples.items()),
            f"train: {' '.join(self.split['train']) or '(none)'}; test: {' '.join(self.split['test'])}",
            f"mean distance between the limb joints of the body and of the motion capture: {distance:.0f} mm",
        ]
        if self.glitches:
            lines.append(
                f"{sum(self.glitches.values())} frames with capture glitches dropped in {len(self.glitches)} files"
            )
        notes = [f"repaired {name}: {what}" for name, what in self.repaired.items()]
        notes += [f"skipped {why}" for why in dict.fromkeys(self.skipped)]
        if len(notes) > MAX_NOTES:
            notes[MAX_NOTES:] = [f"... and {len(notes) - MAX_NOTES} more files repaired or skipped"]
        return "\n".join(lines + notes)


def import_mocap(
    input: Path,
    output: Path,
    body: BodyModel,
    *,
    fps: float = 10,
    train_subjects: list[str] | None = None,
    test_subjects: list[str] | None = None,
    amc_fps: float = 120,
    bvh_unit: float | None = None,
    seed: int = 0,
    progress: bool = True,
) -> ImportReport:
    """Write output/annotations/Human36M_subject*_*.json and output/split.json from all recordings below `input`.

    One file is one action; a long way is cut into subactions, each moved to the middle of the cameras. fps: frames kept
    per second; amc_fps: frame rate of .amc files, which do not state it; bvh_unit: metres per unit of all BVH files,
    None: guessed per file from the length of the legs. Subjects whose name is a number keep it, the others get 1001 and
    up in alphabetical order. Default split: the last fifth of the subjects (at least one) is the test set; a single
    subject is both.

    Files that cannot be used are skipped and named in the report. UserError when none can, or when the split names
    subjects that are not there.
    """
    if not (fps > 0 and amc_fps > 0):
        raise UserError("frame rates must be positive")
    recordings, report = find_recordings(Path(input))
    if not recordings:
        raise UserError(report.skipped[0])
    numbers = number_subjects({r.subject for r in recordings})
    planned = choose_split(
        list(numbers), train_subjects, test_subjects
    )  # before the work, so that a wrong name fails early
    output = Path(output)
    # Without this file the data set counts as missing: an import that was cut short is not mistaken for a whole one.
    (output / "split.json").unlink(missing_ok=True)
    with tqdm(total=len(recordings), desc="importing", disable=not progress) as bar:
        for subject, number in numbers.items():
            kept = []
            for recording in (r for r in recordings if r.subject == subject):
                sampled = _sample(recording, fps, amc_fps, bvh_unit, report)
                if sampled is not None:
                    kept.append((recording, sampled))
                bar.update()
            if kept:
                _write(output / "annotations", subject, number, kept, body, seed, report)
    written = [name for name in numbers if report.samples.get(name)]
    if not written:
        raise UserError(f"{input}: no file could be used; the first: {report.skipped[0]}")
    report.split = choose_split(written, train_subjects, test_subjects)
    if planned["train"] and not report.split["train"]:
        raise UserError(f"{input}: no file of the subjects to train on could be used; the first: {report.skipped[0]}")
    content = {
        part: {"subjects": [numbers[name] for name in names], "frame_stride": 1} for part, names in report.split.items()
    }
    content["subject_numbers"] = {name: numbers[name] for name in written}
    with replacing(output / "split.json") as temporary:
        temporary.write_text(json.dumps(content, indent=1))
    return report


def find_recordings(folder: Path) -> tuple[list[Recording], ImportReport]:
    """All .amc and .bvh files below `folder`, sorted by name, and a report that names the .amc files without .asf.

    The .asf of a motion is beside it and has the first part of its name (01.asf for 01_02.amc), or is the only one.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; --input takes a folder of .asf/.amc or .bvh files")
    files = sorted(files_below(folder), key=lambda p: (p.name.lower(), str(p)))
    skeletons = [p for p in files if p.suffix.lower() == ".asf"]
    motions = [p for p in files if p.suffix.lower() in (".amc", ".bvh")]
    if not motions:
        raise UserError(f"{folder}: holds no .amc or .bvh file")
    report, recordings = ImportReport(), []
    for action_idx, path in enumerate(motions, start=2):
        asf = None
        if path.suffix.lower() == ".amc":
            beside = [p for p in skeletons if p.parent == path.parent]
            fitting = [p for p in beside if f"{path.stem}_".lower().startswith(f"{p.stem}_".lower())]
            asf = max(fitting, key=lambda p: len(p.stem), default=beside[0] if len(beside) == 1 else None)
            if asf is None:
                report.skipped.append(f"{path}: there is no skeleton such as {path.stem.split('_')[0]}.asf beside it")
                continue
        recordings.append(Recording(path, asf, subject_name((asf or path).stem), action_idx))
    return recordings, report


def subject_name(stem: str) -> str:
    """The subject in a file name: its first part before `_`, after a leading name of the data base (cmu, hdm).

    94_04 -> 94, cmu_12_01_walk -> 12, HDM_bd -> bd; numbers get at least two digits (1 -> 01).
    """
    parts = [p for p in stem.split("_") if p] or [stem]
    if len(parts) > 1 and parts[0].lower() in ("cmu", "hdm", "hdm05"):
        parts = parts[1:]
    return f"{int(parts[0]):02d}" if parts[0].isascii() and parts[0].isdigit() else parts[0]


def number_subjects(names: set[str]) -> dict[str, int]:
    """{name: number}, ordered by number: a name that is a number from 1 to 1000 keeps it, the others follow from 1001."""
    numeric = {n: int(n) for n in names if n.isascii() and n.isdigit() and 0 < int(n) < FIRST_NAMED_SUBJECT}
    named = {n: i for i, n in enumerate(sorted(names - set(numeric)), start=FIRST_NAMED_SUBJECT)}
    return dict(sorted((numeric | named).items(), key=lambda item: item[1]))


def choose_split(names: list[str], train: list[str] | None, test: list[str] | None) -> dict[str, list[str]]:
    """{"train": names, "test": names}; a side that is not given gets the subjects that the other leaves.

    That may be none for training, for recordings that are only to be tested on.
    """
    chosen = {}
    for part, wanted in (("train", train), ("test", test)):
        if wanted is not None:
            chosen[part] = [subject_name(n) for n in wanted]
            unknown = [n for n in chosen[part] if n not in names]
            if unknown or not wanted:
                raise UserError(f"{part} subjects {' '.join(unknown) or '(none)'}: choose among {' '.join(names)}")
    if not chosen and len(names) == 1:
        return {"train": names, "test": names}
    if not chosen:
        chosen["test"] = names[-max(1, round(len(names) / 5)) :]
    for part, other in (("train", "test"), ("test", "train")):
        if part not in chosen:
            chosen[part] = [n for n in names if n not in chosen[other]]
            if part == "test" and not chosen[part]:
                raise UserError(f"no subject is left to test on; choose fewer to train on among {' '.join(names)}")
    both = set(chosen["train"]) & set(chosen["test"])
    if both:
        raise UserError(f"subjects {' '.join(sorted(both))} are in both train and test")
    return {part: chosen[part] for part in ("train", "test")}


def _sample(
    recording: Recording, fps: float, amc_fps: float, bvh_unit: float | None, report: ImportReport
) -> Sampled | None:
    """Read, repair and thin out one file; None, and the reason in the report, when it cannot be used."""
    path = recording.path
    try:
        if recording.asf is not None:
            clip = stand_upright(read_amc(path, read_asf(recording.asf), amc_fps))
        else:
            clip = stand_upright(read_bvh(path))
            clip = scale(clip, bvh_unit or guess_unit(clip))
        clip, repaired = repair(clip)
        named = name_joints(clip.skeleton)
        check_bones(named)
    except UserError as error:
        report.skipped.append(str(error))
        return None
    except UnusableSkeleton as error:
        report.skipped.append(f"{path}: {error}")
        return None
    positions, rotations = forward_kinematics(clip)
    joints = human36m_joints(named, positions, rotations)
    frame = sample_frames(len(joints), clip.fps, fps)
    bad = glitches(joints, clip.fps)[frame]
    if bad.all():
        report.skipped.append(f"{path}: every frame is beside a capture glitch")
        return None
    report.files += 1
    if repaired:
        report.repaired[path.name] = f"{', '.join(repaired)} (lost by the converter amc2bvh)"
    if bad.any():
        report.glitches[path.name] = int(bad.sum())
    frame = frame[~bad]
    return Sampled(named, frame, joints[frame], rotations[frame])


def _write(
    folder: Path,
    subject: str,
    number: int,
    kept: list[tuple[Recording, Sampled]],
    body: BodyModel,
    seed: int,
    report: ImportReport,
) -> None:
    """Fit the body to a subject and write all the subject's motions."""
    betas = fit_betas(np.stack([rest_human36m_joints(sampled.named) for _, sampled in kept]), body)
    motions, distances = [], []
    for recording, sampled in kept:
        pose = smpl_pose(sampled.named, sampled.rotations, sampled.joints, body, betas)
        joints = sampled.joints @ Z_UP.T
        for subaction, rows in enumerate(stretches(joints[:, 0, :2] * 1000), start=1):
            ground = joints[rows, 0, :2]
            shift = np.array([*(ground.min(0) + ground.max(0)) / 2, 0.0])
            moved = joints[rows] - shift
            transl = translation(pose[rows], moved[:, 0], body, betas)
            motions.append(
                Motion(
                    number, recording.action_idx, subaction, recording.path.stem, sampled.frame[rows],
                    moved * 1000, pose[rows], betas, transl,
                )
            )  # fmt: skip
            distances.append(1000 * body_distance(pose[rows], transl, moved, body, betas))
    report.frames[subject] = sum(len(m.frame_idx) for m in motions)
    report.samples[subject] = write_subject(folder, motions, studio_cameras(seed * FIRST_NAMED_SUBJECT + number))
    if not report.samples[subject]:
        report.skipped.append(f"subject {subject}: no frame is inside the images; is the file's floor at height 0?")
    report.distances[subject] = float(np.concatenate(distances).mean())
