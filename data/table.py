"""All samples of a split as arrays, made once from a data set's chunks and a body model and kept in a memory-mapped cache."""

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation
from tqdm import tqdm

from data.cache import Columns, new_entry, open_entry, remove_old_entries
from data.source import Chunk, SmplFrames, Source
from lib.camera import camera_to_pixel, pixel_to_normalized
from lib.errors import UserError
from lib.joints import SMPL_24
from lib.pose_table import PoseTable
from smplpytorch.smplpytorch.coarse_body import CoarseBody

CACHE_VERSION = 4

LEVEL = (0.0, -1.0, 0.0)
"""The vertical in the axes of a level camera."""

Bodies = Mapping[str, CoarseBody]
"""{gender: body}; "neutral" is always there and replaces missing ones."""


def load_table(
    source: Source, split: str, bodies: Bodies, body_key: str, cache: Path, workers: int = 0, progress: bool = True
) -> PoseTable:
    """The split's table from `cache`, built first when the cache is missing or any of its sources changed.

    body_key: identity of the body models and hierarchy behind `bodies`; workers: processes that may read side by side
    (0: this one only), the arrays do not depend on it. If no cache can be written, a warning is printed and the table is
    made in memory.
    """
    key = _cache_key(source, split, body_key)
    folder = cache / f"{split}-{key[:16]}"
    table = open_entry(folder, key)
    if table is not None:
        return table
    try:
        with new_entry(folder) as temporary:
            _, meta = _fill(Columns(temporary), source, split, bodies, workers, progress)
            (temporary / "meta.json").write_text(json.dumps({"key": key, **meta}))
    except OSError as error:
        tqdm.write(f"{folder}: the cache could not be written ({error.strerror}); going on without it")
        return build_table_arrays(source, split, bodies, workers, progress)
    remove_old_entries(cache)
    table = open_entry(folder, key)
    if table is None:  # another process has put its own in place just now, or the disk lost it
        return build_table_arrays(source, split, bodies, workers, progress)
    return table


def build_table_arrays(
    source: Source, split: str, bodies: Bodies, workers: int = 0, progress: bool = True
) -> PoseTable:
    """Read, convert, pose and pool all samples of a split, in memory; UserError when nothing is left."""
    arrays, meta = _fill(Columns(None), source, split, bodies, workers, progress)
    scales = range(meta.pop("mesh_scales"))
    meshes = {name: tuple(arrays.pop(f"{name}_{i}") for i in scales) for name in ("meshes", "flipped_meshes")}
    return PoseTable(**arrays, **meshes, **{k: tuple(v) if isinstance(v, list) else v for k, v in meta.items()})


def _fill(
    columns: Columns, source: Source, split: str, bodies: Bodies, workers: int, progress: bool
) -> tuple[dict[str, np.ndarray], dict]:
    """The table's arrays, through `columns`, and its other fields as plain values."""
    names, actions, has_mesh, action_names, sequence_names = [], [], [], {}, []
    try:
        for chunk in source.chunks(split, workers, progress):
            for note in chunk.notes:
                tqdm.write(note)
            for index, text in chunk.action_names.items():
                action_names.setdefault(int(index), text)
            names.append(chunk.names)
            actions.append(chunk.actions)
            has_mesh.append(np.zeros(len(chunk.names), bool) if chunk.smpl is None else chunk.smpl.frame >= 0)
            for name, rows in _convert(chunk, bodies, len(sequence_names)):
                columns.append(name, rows)
            sequence_names += chunk.sequence_names
        if not sum(map(len, names)):
            raise UserError(f"{source.folder}: no samples are left in the {split} split")
        names, has_mesh = np.concatenate(names), np.concatenate(has_mesh)
        named, numbers = _name_actions(np.concatenate(actions), action_names, source)
        for name, rows in (("names", names), ("actions", numbers), ("has_mesh", has_mesh)):
            columns.append(name, rows)
        arrays = columns.finish(*(_orders(names, has_mesh) if source.sort_by_name else (None, None)))
    finally:
        columns.close()
    return arrays, {
        "action_names": list(named),
        "sequence_names": sequence_names,
        "mesh_scales": len(bodies["neutral"].sizes),
        "input2d": source.input2d,
        "protocol": source.protocol,
    }


def _orders(names: np.ndarray, has_mesh: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Orders of the samples and of those with meshes that sort by name, equal names in their order."""
    order = np.argsort(names, kind="stable")
    row = np.cumsum(has_mesh) - 1
    return order, row[order][has_mesh[order]]


def _name_actions(actions: np.ndarray, found: dict[int, str], source: Source) -> tuple[tuple[str, ...], np.ndarray]:
    """Action names and indices into them, renumbered without gaps unless the source fixes the names."""
    if source.action_names is not None:
        if len(actions) and not 0 <= actions.min() <= actions.max() < len(source.action_names):
            raise UserError(f"{source.folder}: action_idx must be 2 to {len(source.action_names) + 1}")
        return source.action_names, actions
    used, renumbered = np.unique(actions, return_inverse=True)
    return tuple(found[int(index)] for index in used), renumbered.reshape(-1)


def _convert(chunk: Chunk, bodies: Bodies, sequences_before: int) -> Iterator[tuple[str, np.ndarray]]:
    """The table's columns for one chunk, by name; meshes with rows for the samples that have some."""
    joints, pixels = chunk.joints, chunk.pixels
    if pixels is None:
        behind = joints[..., 2].min(axis=1) <= 0
        if behind.any():
            raise UserError(
                f"{chunk.names[behind.argmax()]}: a joint is behind its camera; are R, t and the joints in mm?"
            )
        pixels = camera_to_pixel(joints, chunk.camera[:, :2], chunk.camera[:, 2:])
    yield "sequences", (chunk.sequences + sequences_before).astype(np.int32)
    yield "frames", chunk.frames.astype(np.int32)
    yield "pose2d", pixel_to_normalized(pixels, *chunk.image_size.T).astype(np.float32)
    yield "pose3d", ((joints - joints[:, :1]) / 1000).astype(np.float32)
    yield "root", (joints[:, 0] / 1000).astype(np.float32)
    yield "camera", chunk.camera.astype(np.float32)
    yield "image_size", chunk.image_size.astype(np.float32)
    yield (
        "up",
        (np.tile(LEVEL, (len(joints), 1)) if chunk.smpl is None else chunk.smpl.R @ np.array(chunk.smpl.up)).astype(
            np.float32
        ),
    )
    if chunk.smpl is None:
        coarse = bodies["neutral"]
        yield "smpl_pose", np.zeros((0, 3 * len(coarse.parents)), np.float32)
        yield "smpl_betas", np.zeros((0, coarse.num_betas), np.float32)
        for name in ("meshes", "flipped_meshes"):
            for i, size in enumerate(bodies["neutral"].sizes):
                yield f"{name}_{i}", np.zeros((0, size, 3), np.float32)
        return
    yield from _parameters(chunk.smpl)
    for name, meshes in _meshes(chunk.smpl, bodies.get(chunk.smpl.gender, bodies["neutral"])):
        for i, mesh in enumerate(meshes):
            yield f"{name}_{i}", mesh


def _meshes(s: SmplFrames, body: CoarseBody) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Coarse meshes of the samples that have SMPL parameters, and of the mirrored person.

    A frame is posed once in world space and then turned into each camera: the release's translation
    R trans + t - J0 + R J0 for the body posed with root rotation R R_root is R (body + trans) + t, a rigid motion.
    """
    has = s.frame >= 0
    frame, R = s.frame[has], s.R[has]
    pelvis = s.pelvis[:, None] / 1000
    mirror = np.array([-1.0, 1.0, 1.0])
    root = body.root_joint(s.betas)
    yield "meshes", [_turn(m - pelvis, frame, R) for m in body(s.pose, s.betas, s.transl)]
    flipped = body(mirror_pose(s.pose), s.betas, mirror * (root + s.transl) - root)
    mirrored_R = mirror[:, None] * R * mirror  # world mirrored in x, seen so that the camera's x is mirrored
    yield "flipped_meshes", [_turn(m - pelvis * mirror, frame, mirrored_R) for m in flipped]


def _parameters(s: SmplFrames) -> Iterator[tuple[str, np.ndarray]]:
    """SMPL parameters of the samples that have some, the root's rotation in camera axes."""
    has = s.frame >= 0
    frame = s.frame[has]
    root = np.zeros((0, 3))
    if len(frame):  # SciPy 1.11 knows no empty rotations
        root = (Rotation.from_matrix(s.R[has]) * Rotation.from_rotvec(s.pose[frame, :3])).as_rotvec()
    yield "smpl_pose", np.concatenate([root, s.pose[frame, 3:]], axis=1).astype(np.float32)
    yield "smpl_betas", s.betas[frame].astype(np.float32)


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


def _cache_key(source: Source, split: str, body_key: str) -> str:
    """Identity of everything a table is made of."""
    fixed = (CACHE_VERSION, source.action_names, source.sort_by_name, source.input2d, source.protocol, body_key)
    return sha256(json.dumps((fixed, source.identity(split))).encode()).hexdigest()
