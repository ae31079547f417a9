"""Annotation files in Human3.6M's format as a source of samples: Human3.6M itself, motion capture, procedural people."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from data.findings import Finding, check_units, describe_skeleton, leg_lengths, skeleton_measures
from data.Human36M.annotations import FILE_PARTS, SubjectSamples, find_file, find_files, read_subject
from data.source import Chunk, SmplFrames, Source, file_identity
from lib.camera import world_to_camera
from lib.errors import UserError
from lib.joints import HUMAN36M_17
from smplpytorch.smplpytorch.body_model import BodyModel
from smplpytorch.smplpytorch.pytorch.smpl_layer import SMPL_Layer

REGRESSOR = "J_regressor_h36m_correct.npy"
MAX_BETA = 3.0
"""Shapes with any larger |beta| are failed fits; the mean shape replaces them, as in the release."""

PLAUSIBLE_FIT = 60.0
"""Millimetres between annotated joints and those regressed from the SMPL mesh; good fits are around 25 mm."""


@dataclass(frozen=True)
class SplitRule:
    """Which samples make a split: subjects, every frame_stride-th frame, without the dropped (subject, action, subaction)."""

    subjects: tuple[int, ...]
    frame_stride: int
    dropped: tuple[tuple[int, int, int], ...] = ()


@dataclass(frozen=True)
class AnnotationSource(Source):
    """Where a data set's annotation files are and how they are split; action_names None: as in the annotations.

    keep_without_smpl: use frames without SMPL parameters for their skeletons; the release drops them.
    """

    folder: Path
    splits: dict[str, SplitRule]
    action_names: tuple[str, ...] | None = None
    keep_without_smpl: bool = False
    sort_by_name = True

    def identity(self, split: str) -> list:
        rule = self.splits[split]
        files = []
        for subject in rule.subjects:
            paths = find_files(self.folder, subject, self.keep_without_smpl)
            files += [file_identity(path) for path in paths.values() if path is not None]
        return [files, rule.subjects, rule.frame_stride, rule.dropped, self.keep_without_smpl]

    def chunks(self, split: str, workers: int = 0, progress: bool = True) -> Iterator[Chunk]:
        rule = self.splits[split]
        if not rule.subjects:
            raise UserError(
                f"{self.folder}: this split has no subjects; motion capture gets them by "
                "prepare_data.py mocap --train-subjects or --test-subjects"
            )
        jobs = [self._job(rule, subject) for subject in rule.subjects]
        with _pool(min(workers, len(jobs))) as pool:
            results = pool.map(_read_job, jobs) if pool else map(_read_job, jobs)
            subjects = zip(rule.subjects, results, strict=True)
            for subject, samples in tqdm(subjects, total=len(jobs), desc="reading subjects", disable=not progress):
                yield self._chunk(subject, samples)

    def check(self, split: str, label: str, body: BodyModel) -> Iterator[Finding]:
        """One finding a subject, more where units or SMPL parameters do not fit, and one on all skeletons."""
        rule, measures = self.splits[split], []
        if not rule.subjects:
            yield Finding("wrong", f"{label}: has no subjects")
        for subject in rule.subjects:
            name = f"{label} subject {subject}"
            missing = []
            for part in FILE_PARTS:
                try:
                    find_file(self.folder, subject, part)
                except UserError:
                    if part == "smpl" and self.keep_without_smpl:
                        continue
                    missing.append(f"Human36M_subject{subject}_{FILE_PARTS[part][0]}.json")
            if missing:
                verb = "is" if len(missing) == 1 else "are"
                yield Finding("wrong", f"{name}: {', '.join(missing)} {verb} missing in {self.folder}")
                continue
            try:
                samples = read_subject(*self._job(rule, subject))
            except UserError as error:
                yield Finding("wrong", f"{name}: {error}")
                continue
            yield from self._check_subject(name, samples, body)
            measures.append(skeleton_measures(samples.joints))
        if sum(len(m["thigh"]) for m in measures):
            yield describe_skeleton(label, measures)

    def _check_subject(self, name: str, samples: SubjectSamples, body: BodyModel) -> Iterator[Finding]:
        text = f"{name}: {len(samples.names)} samples of {len(samples.joints)} frames, {len(samples.R)} cameras"
        if samples.without_smpl or samples.bad_boxes:
            text += f" ({'; '.join(self._notes(samples))})"
        yield Finding("ok" if len(samples.names) else "wrong", text)
        if len(samples.joints):
            yield from check_units(name, leg_lengths(samples.joints))
        if len(samples.pose):
            yield from _check_fit(name, self.folder.parent / REGRESSOR, samples, body)

    def _job(self, rule: SplitRule, subject: int) -> tuple:
        dropped = frozenset(d[1:] for d in rule.dropped if d[0] == subject)
        return (self.folder, subject, rule.frame_stride, dropped, self.keep_without_smpl)

    def _notes(self, s: SubjectSamples) -> list[str]:
        verb = "kept" if self.keep_without_smpl else "dropped"
        notes = [f"{verb} {s.without_smpl} images without SMPL parameters"] if s.without_smpl else []
        return notes + ([f"dropped {s.bad_boxes} images with an invalid box"] if s.bad_boxes else [])

    def _chunk(self, subject: int, s: SubjectSamples) -> Chunk:
        recordings, sequences = np.unique(s.recording[:, :3], axis=0, return_inverse=True)
        R, t = s.R[s.camera], s.t[s.camera]
        betas = np.where((np.abs(s.betas) > MAX_BETA).any(axis=1, keepdims=True), 0.0, s.betas)
        return Chunk(
            names=s.names,
            actions=s.actions,
            action_names=s.action_names,
            sequences=sequences.reshape(-1),
            sequence_names=tuple(f"{subject}.{a}.{b}.{camera}" for a, b, camera in recordings.tolist()),
            frames=s.recording[:, 3],
            joints=world_to_camera(s.joints[s.frame], R, t),
            camera=np.concatenate([s.f[s.camera], s.c[s.camera]], axis=1),
            image_size=s.image_size,
            smpl=SmplFrames(s.smpl[s.frame], s.pose, betas, s.transl, s.joints[s.smpl >= 0, 0], R),
            notes=tuple(f"subject {subject}: {note}" for note in self._notes(s)),
        )


def _read_job(job: tuple) -> SubjectSamples:
    return read_subject(*job)


class _pool:
    """A process pool of the given size, or None for sizes below two."""

    def __init__(self, size: int):
        self.executor = ProcessPoolExecutor(size) if size > 1 else None

    def __enter__(self):
        return self.executor

    def __exit__(self, *_):
        if self.executor:
            self.executor.shutdown(cancel_futures=True)


def _check_fit(label: str, regressor: Path, samples: SubjectSamples, body: BodyModel) -> Iterator[Finding]:
    """Do annotated joints, SMPL parameters and body model belong together?"""
    matrix = body.joint_regressor
    if matrix is None:
        if not regressor.is_file():
            return
        matrix = np.load(regressor, allow_pickle=False)
        if matrix.shape != (17, len(body.v_template)):
            yield Finding(
                "note", f"{regressor}: shape {matrix.shape} does not fit a body of {len(body.v_template)} vertices"
            )
            return
    rows = np.unique(np.linspace(0, len(samples.pose) - 1, 32).round().astype(int))
    layer = SMPL_Layer(body, torch.float64)
    vertices, _ = layer(*(torch.as_tensor(a[rows]) for a in (samples.pose, samples.betas, samples.transl)))
    fitted = matrix @ vertices.numpy() * 1000
    distances = np.linalg.norm(fitted - samples.joints[samples.smpl >= 0][rows], axis=-1).mean(axis=0)
    state = "ok" if distances.mean() < PLAUSIBLE_FIT else "wrong"
    text = f"{label}: annotated joints are {distances.mean():.1f} mm from the body model's on average ({_by_part(distances)})"
    yield Finding(state, text if state == "ok" else text + "; units, axes or the body model do not belong together")


def _by_part(distances: np.ndarray) -> str:
    """Means over the joints (17,) that data sets place differently, and over the others."""
    parts = {
        "hips": ("R_Hip", "L_Hip"),
        **{name.lower(): (name,) for name in ("Pelvis", "Torso", "Neck", "Nose", "Head")},
    }
    named = {part: [HUMAN36M_17.names.index(name) for name in names] for part, names in parts.items()}
    limbs = sorted(set(range(len(distances))) - {k for rows in named.values() for k in rows})
    return ", ".join(f"{part} {distances[rows].mean():.0f}" for part, rows in (named | {"limbs": limbs}).items())
