"""All samples of a split as arrays, made once from annotations and body model and kept in a memory-mapped cache."""

import json
import os
import shutil
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from hashlib import sha256
from pathlib import Path

import numpy as np
from tqdm import tqdm

from data.Human36M.annotations import FILE_PARTS, SubjectSamples, find_file, read_subject
from lib.camera import camera_to_pixel, pixel_to_normalized, world_to_camera
from lib.errors import UserError
from lib.files import remove_leftovers
from lib.joints import SMPL_24
from lib.pose_table import PoseTable
from smplpytorch.smplpytorch.coarse_body import CoarseBody

CACHE_VERSION = 1

MAX_BETA = 3.0
"""Shapes with any larger |beta| are failed fits; the mean shape replaces them, as in the release."""


@dataclass(frozen=True)
class SplitRule:
    """Which samples make a split: subjects, every frame_stride-th frame, without the dropped (subject, action, subaction)."""

    subjects: tuple[int, ...]
    frame_stride: int
    dropped: tuple[tuple[int, int, int], ...] = ()


@dataclass(frozen=True)
class Source:
    """Where a data set's annotations lie and how they are split; action_names None: as the annotations say."""

    folder: Path
    splits: dict[str, SplitRule]
    action_names: tuple[str, ...] | None = None


def load_table(
    source: Source, split: str, body: CoarseBody, body_key: str, cache: Path, workers: int = 0, progress: bool = True
) -> PoseTable:
    """The split's table from `cache`, built first when the cache is missing or any of its sources changed.

    body_key: identity of the body model and hierarchy behind `body`; workers: processes that read subjects side by
    side (0: in this process), the arrays do not depend on it.
    """
    rule = source.splits[split]
    key = _cache_key(source, rule, body_key)
    folder = cache / f"{split}-{key[:16]}"
    table = _open_cache(folder, key)
    if table is None:
        table = build_table_arrays(source, rule, body, workers, progress)
        if _write_cache(folder, key, table):
            for old in cache.glob(f"{split}-*"):
                if old != folder:
                    shutil.rmtree(old, ignore_errors=True)
            table = _open_cache(folder, key) or table  # another process may have put its own in place just now
    return table


def build_table_arrays(
    source: Source, rule: SplitRule, body: CoarseBody, workers: int = 0, progress: bool = True
) -> PoseTable:
    """Read, convert, pose and pool all samples of a split; UserError when nothing is left."""
    if not rule.subjects:
        raise UserError(
            f"{source.folder}: this split has no subjects; motion capture gets them by "
            "prepare_data.py mocap --train-subjects or --test-subjects"
        )
    jobs = [
        (source.folder, subject, rule.frame_stride, frozenset(d[1:] for d in rule.dropped if d[0] == subject))
        for subject in rule.subjects
    ]
    for folder, subject, *_ in jobs:  # all missing files are told before any is read
        for part in FILE_PARTS:
            find_file(folder, subject, part)
    parts, action_names = [], {}
    with _pool(min(workers, len(jobs))) as pool:
        results = pool.map(_read_job, jobs) if pool else map(_read_job, jobs)
        for samples in tqdm(results, total=len(jobs), desc="reading subjects", disable=not progress):
            for index, name in samples.action_names.items():
                action_names.setdefault(index, name)
            parts.append(_subject_arrays(samples, body))
            _tell_dropped(samples, rule.subjects[len(parts) - 1])
    columns = {name: np.concatenate([p[name] for p in parts]) for name in parts[0] if "meshes" not in name}
    if not len(columns["names"]):
        raise UserError(
            f"{source.folder}: no samples are left for subjects {rule.subjects}, every {rule.frame_stride}th frame"
        )
    order = np.argsort(columns["names"], kind="stable")
    columns = {name: value[order] for name, value in columns.items()}
    for name in ("meshes", "flipped_meshes"):
        columns[name] = tuple(np.concatenate(m)[order] for m in zip(*(p.pop(name) for p in parts), strict=True))
    columns["action_names"], columns["actions"] = _name_actions(columns["actions"], action_names, source)
    return PoseTable(**columns)


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


def _tell_dropped(samples: SubjectSamples, subject: int) -> None:
    if samples.without_smpl:
        tqdm.write(f"subject {subject}: dropped {samples.without_smpl} images without SMPL parameters")
    if samples.bad_boxes:
        tqdm.write(f"subject {subject}: dropped {samples.bad_boxes} images with an invalid box")


def _name_actions(actions: np.ndarray, found: dict[int, str], source: Source) -> tuple[tuple[str, ...], np.ndarray]:
    """Action names and indices into them, renumbered without gaps unless the source fixes the names."""
    if source.action_names is not None:
        if len(actions) and not 0 <= actions.min() <= actions.max() < len(source.action_names):
            raise UserError(f"{source.folder}: action_idx must be 2 to {len(source.action_names) + 1}")
        return source.action_names, actions
    used, renumbered = np.unique(actions, return_inverse=True)
    return tuple(found[int(index)] for index in used), renumbered.reshape(-1)


def _subject_arrays(s: SubjectSamples, body: CoarseBody) -> dict:
    """The table's columns for one subject.

    A frame is posed once in world space and then turned into each camera: the release's translation
    R trans + t - J0 + R J0 for the body posed with root rotation R R_root is R (body + trans) + t, a rigid motion.
    """
    R, t, f, c = s.R[s.camera], s.t[s.camera], s.f[s.camera], s.c[s.camera]
    camera_joints = world_to_camera(s.joints[s.frame], R, t)
    if len(camera_joints) and camera_joints[..., 2].min() <= 0:
        behind = int((camera_joints[..., 2].min(1) <= 0).argmax())
        raise UserError(f"{s.names[behind]}: a joint lies behind its camera; are R, t and the joints in mm?")
    width, height = s.image_size.T
    betas = np.where((np.abs(s.betas) > MAX_BETA).any(axis=1, keepdims=True), 0.0, s.betas)
    pelvis = s.joints[:, :1] / 1000
    mirror = np.array([-1.0, 1.0, 1.0])
    root = body.root_joint(betas)
    meshes = [m - pelvis for m in body(s.pose, betas, s.transl)]
    flipped = [m - pelvis * mirror for m in body(mirror_pose(s.pose), betas, mirror * (root + s.transl) - root)]
    mirrored_R = mirror[:, None] * R * mirror  # world mirrored in x, seen so that the camera's x is mirrored
    return {
        "names": s.names,
        "actions": s.actions,
        "pose2d": pixel_to_normalized(camera_to_pixel(camera_joints, f, c), width, height).astype(np.float32),
        "pose3d": ((camera_joints - camera_joints[:, :1]) / 1000).astype(np.float32),
        "root": (camera_joints[:, 0] / 1000).astype(np.float32),
        "meshes": tuple(_turn(m, s.frame, R) for m in meshes),
        "flipped_meshes": tuple(_turn(m, s.frame, mirrored_R) for m in flipped),
        "camera": np.concatenate([f, c], axis=1).astype(np.float32),
        "image_size": s.image_size.astype(np.float32),
    }


def mirror_pose(pose: np.ndarray) -> np.ndarray:
    """SMPL pose parameters (F, 72) of the mirrored person: left and right change places, x stays, y and z turn round."""
    joints = pose.reshape(len(pose), pose.shape[1] // 3, 3)[:, SMPL_24.flip_permutation]
    return (joints * [1.0, -1.0, -1.0]).reshape(pose.shape)


def _turn(nodes: np.ndarray, frame: np.ndarray, R: np.ndarray, batch: int = 8192) -> np.ndarray:
    """Nodes per frame (F, R, 3) float64 to nodes per sample (N, R, 3) float32: R (N, 3, 3) @ nodes[frame]."""
    turned = np.empty((len(frame), *nodes.shape[1:]), np.float32)
    for i in range(0, len(frame), batch):
        rows = slice(i, i + batch)
        turned[rows] = nodes[frame[rows]] @ np.swapaxes(R[rows], 1, 2)
    return turned


def _cache_key(source: Source, rule: SplitRule, body_key: str) -> str:
    """Identity of everything a table is made of; files count by name, size and time of change."""
    files = []
    for subject in rule.subjects:
        for part in FILE_PARTS:
            path = find_file(source.folder, subject, part)
            status = path.stat()
            files.append((path.name, status.st_size, status.st_mtime_ns))
    parts = (CACHE_VERSION, files, rule.subjects, rule.frame_stride, rule.dropped, source.action_names, body_key)
    return sha256(json.dumps(parts).encode()).hexdigest()


def _write_cache(folder: Path, key: str, table: PoseTable) -> bool:
    """Write the arrays beside their final place and rename; False (and one line) where that cannot be done."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder.parent)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", suffix=".tmp", dir=folder.parent))
    except OSError as error:
        tqdm.write(
            f"{folder.parent}: no cache can be kept here ({error.strerror}); the next start reads everything again"
        )
        return False
    try:
        for f in fields(table):
            value = getattr(table, f.name)
            values = {f"{f.name}_{i}": v for i, v in enumerate(value)} if "meshes" in f.name else {f.name: value}
            for name, array in values.items():
                if isinstance(array, np.ndarray):
                    np.save(temporary / f"{name}.npy", array)
        meta = {"key": key, "action_names": table.action_names, "mesh_scales": len(table.meshes)}
        (temporary / "meta.json").write_text(json.dumps(meta))
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(temporary, folder)
        return True
    except OSError as error:
        tqdm.write(f"{folder}: the cache could not be written ({error.strerror}); going on without it")
        return False
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _open_cache(folder: Path, key: str) -> PoseTable | None:
    try:
        meta = json.loads((folder / "meta.json").read_text())
        if meta["key"] != key:
            return None

        def column(name):
            return np.load(folder / f"{name}.npy", mmap_mode="c", allow_pickle=False)

        values = {
            f.name: column(f.name) for f in fields(PoseTable) if not (f.name == "action_names" or "meshes" in f.name)
        }
        for name in ("meshes", "flipped_meshes"):
            values[name] = tuple(column(f"{name}_{i}") for i in range(meta["mesh_scales"]))
        return PoseTable(action_names=tuple(meta["action_names"]), **values)
    except (OSError, EOFError, ValueError, KeyError, TypeError):
        return None
