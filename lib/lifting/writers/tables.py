"""Numbers for programs: .npz, .json and .csv. Metres in camera axes (x right, y down, z forward), 2D in pixels."""

import csv
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from lib.files import replacing
from lib.lifting.pose_sequence import MESH_NAMES, PoseSequence
from lib.lifting.quality import Quality

CONVENTIONS = {
    "pose3d": "metres, camera axes: x right, y down, z forward; relative to the root joint; where a floor is given, in its "
    "level axes instead, as root, meshes and the body's root rotation are",
    "root": "metres, camera axes: position of the root joint, to be added to pose3d and meshes; null or NaN if unknown",
    "mesh": "metres, camera axes, relative to the same root joint as pose3d",
    "pose2d": "pixels, x right, y down",
    "body": "only where a body was fitted: pose, K rotation vectors in radians, the root's to camera axes, the others' relative "
    "to the parent; betas, one shape per person; transl, metres: the posed body plus transl is relative to the same root joint "
    "as pose3d; residual, metres: mean distance of the fitted body from the network's joints and mesh nodes",
    "floor": "only where people were put on a floor: rotation, of camera axes to level axes (x right, y down along gravity, z "
    "forward); height, metres along the vertical from the camera to the floor, below 0 under the camera: level = rotation "
    "camera + (0, height, 0), so that the floor is at y = 0; up_sigma, degrees, and height_sigma, metres: standard deviations",
    "contact": "contact_NAME: 1 in frames in which this part of a foot is planted on the floor, else 0",
    "imputed": "true for joints that were not detected and were imputed",
    "camera": "f_x, f_y, c_x, c_y in pixels that the persons were lifted with",
    "assumed": "which of fps and camera were not known but assumed",
    "quality": "per person, before smoothing: limb_spread, coefficient of variation of limb lengths; misfit, distance of "
    "the projected 3D joints from the 2D joints in parts of the person's size; inverted, fraction of frames in which the person "
    "is upside down; jitter, mean acceleration in m/s2; imputed, fraction of imputed joints; null or NaN if unknown",
}
"""Written into the files themselves, so that their meaning need not be guessed."""

QUALITY = tuple(field.name for field in fields(Quality))
"""The numbers of `lib.lifting.quality.Quality`."""

FLOOR = ("rotation", "height", "up_sigma", "height_sigma")
"""The numbers of `lib.lifting.floor.plane.Floor`."""

BODY_ROWS = ("pose", "transl", "residual")
"""What `lib.lifting.fitted_body.FittedBody` has per frame."""


def write_npz(path: Path, sequences: list[PoseSequence]) -> list[Path]:
    """NumPy archive with one row per person and frame: person (N,), frame (N,), pose3d (N, J, 3), pose2d (N, J, 2), ...

    Also root (N, 3), NaN where unknown, scores and imputed (N, J), mesh_coarse / mesh_fine (N, R, 3) with
    faces_coarse / faces_fine, the `extras` of the sequences, joint_names, bones, fps, image_size, camera (4,), assumed,
    `conventions`, a JSON text of units and axes, and the quality of each of the P persons: quality_person and
    quality_limb_spread, quality_misfit, quality_inverted, quality_jitter, quality_imputed, each (P,). Where bodies were
    fitted: body_pose (N, 3 K), body_transl (N, 3), body_residual (N,) and body_betas (P, S). On a floor: floor_rotation (3, 3),
    floor_height, floor_up_sigma, floor_height_sigma, and contacts among the extras. All persons must have the same
    joints, meshes and extras, as one network's predictions have.
    """
    first = sequences[0]
    rows = {
        "person": [np.full(len(s.frames), s.person) for s in sequences],
        "frame": [s.frames for s in sequences],
        "pose3d": [s.pose3d for s in sequences],
        "pose2d": [s.pose2d for s in sequences],
        "root": [np.full((len(s.frames), 3), np.nan) if s.root is None else s.root for s in sequences],
        "scores": [s.scores for s in sequences],
        "imputed": [s.imputed for s in sequences],
    }
    faces = dict(zip(MESH_NAMES, first.faces, strict=False))
    for index, name in enumerate(faces):
        rows[f"mesh_{name}"] = [s.meshes[index] for s in sequences]
    if first.body is not None:
        rows |= {f"body_{name}": [getattr(s.body, name) for s in sequences] for name in BODY_ROWS}
    for name in first.extras:
        rows[name] = [s.extras[name] for s in sequences]
    arrays = {name: _joined(parts) for name, parts in rows.items()}
    arrays |= {f"faces_{name}": np.asarray(f) for name, f in faces.items()}
    arrays |= {"quality_person": np.array([s.person for s in sequences])}
    if first.body is not None:
        arrays["body_betas"] = np.stack([s.body.betas for s in sequences if s.body is not None]).astype(np.float32)
    for name in QUALITY:
        values = [getattr(s.quality, name, None) for s in sequences]
        arrays[f"quality_{name}"] = np.array([np.nan if value is None else value for value in values], np.float64)
    if first.floor is not None:
        arrays |= {f"floor_{name}": np.asarray(getattr(first.floor, name), np.float64) for name in FLOOR}
    # an open file, because NumPy appends .npz to any other name, .NPZ among them
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(
            file,
            **arrays,  # type: ignore[arg-type]  # the stubs also match them with `allow_pickle: bool`
            joint_names=np.array(first.joint_set.names),
            bones=np.array(first.joint_set.bones),
            fps=np.float64(first.fps),
            image_size=np.array(first.image_size),
            camera=np.array([np.nan] * 4 if first.camera is None else first.camera),
            assumed=np.array(first.assumed, np.str_),
            conventions=json.dumps(CONVENTIONS),
        )
    return [path]


def write_json(path: Path, sequences: list[PoseSequence]) -> list[Path]:
    """One object: conventions, joint_names, bones, fps, image_size and `persons`, a list with the arrays of each.

    Lengths are rounded to 0.1 mm and pixels to 0.01. Arrays are written row by row: as text in memory, an hour of one person
    takes gigabytes.
    """
    first = sequences[0]
    persons = [
        {
            "person": s.person,
            "frames": s.frames.tolist(),
            "pose3d": _Rows(s.pose3d, 4),
            "root": None if s.root is None else _Rows(s.root, 4),
            "pose2d": _Rows(s.pose2d, 2),
            "scores": _Rows(s.scores, 3),
            "imputed": s.imputed.tolist(),
            "quality": None if s.quality is None else {name: _number(getattr(s.quality, name)) for name in QUALITY},
            "warnings": [] if s.quality is None else s.quality.warnings(),
            **{name: _Rows(values, 6) for name, values in s.extras.items()},
            "body": None
            if s.body is None
            else {name: _Rows(getattr(s.body, name), 5) for name in (*BODY_ROWS, "betas")},
            "meshes": {
                name: {"vertices": _Rows(vertices, 4), "faces": np.asarray(faces).tolist()}
                for name, vertices, faces in zip(MESH_NAMES, s.meshes, s.faces, strict=False)
            },
        }
        for s in sequences
    ]
    content = {
        "conventions": CONVENTIONS,
        "joint_names": first.joint_set.names,
        "bones": first.joint_set.bones,
        "fps": first.fps,
        "image_size": first.image_size,
        "camera": first.camera,
        "assumed": first.assumed,
        "floor": None if first.floor is None else {n: np.asarray(getattr(first.floor, n)).tolist() for n in FLOOR},
        "persons": persons,
    }
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        _dump(content, file)
    return [path]


def write_csv(path: Path, sequences: list[PoseSequence]) -> list[Path]:
    """One line per person and frame; every column is named with its unit, such as `R_Hip_x_m` or `R_Hip_u_px`.

    x, y, z: metres, camera axes, root-relative; u, v: pixels; root columns are empty where the position is unknown.
    """
    names = sequences[0].joint_set.names
    header = ["person", "frame", "time_s", "root_x_m", "root_y_m", "root_z_m"]
    header += [f"{name}_{axis}_m" for name in names for axis in "xyz"]
    header += [f"{name}_{axis}_px" for name in names for axis in "uv"]
    header += [f"{name}_score" for name in names] + [f"{name}_imputed" for name in names]
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for s in sequences:
            for t, frame in enumerate(s.frames.tolist()):
                root = ["", "", ""] if s.root is None else _rounded(s.root[t], 4)
                writer.writerow(
                    [s.person, frame, round(frame / s.fps, 4), *root]
                    + _rounded(s.pose3d[t].ravel(), 4)
                    + _rounded(s.pose2d[t].ravel(), 2)
                    + _rounded(s.scores[t], 3)
                    + s.imputed[t].astype(int).tolist()
                )
    return [path]


@dataclass(frozen=True)
class _Rows:
    """An array for JSON, rounded to `digits` decimals."""

    values: np.ndarray
    digits: int


def _dump(content: Any, file: TextIO) -> None:
    """Write dicts, lists, plain values and `_Rows` as JSON without spaces; ValueError for what is not finite."""
    if isinstance(content, dict):
        opening, closing = "{", "}"
        parts = [(f"{json.dumps(str(key))}:", value) for key, value in content.items()]
    elif isinstance(content, list) and any(isinstance(value, dict) for value in content):
        opening, closing, parts = "[", "]", [("", value) for value in content]
    elif isinstance(content, _Rows):
        file.write("[")
        for i, row in enumerate(content.values):
            file.write("," * (i > 0) + _text(_rounded(row, content.digits)))
        file.write("]")
        return
    else:
        file.write(_text(content))
        return
    file.write(opening)
    for i, (key, value) in enumerate(parts):
        file.write("," * (i > 0) + key)
        _dump(value, file)
    file.write(closing)


def _text(content: Any) -> str:
    return json.dumps(content, separators=(",", ":"), allow_nan=False)


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    """The rows of all persons, real numbers as float32; no copy of one person's rows that are float32."""
    parts = [part.astype(np.float32, copy=False) if part.dtype.kind == "f" else part for part in parts]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _number(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _rounded(values: np.ndarray, digits: int) -> list:
    # + 0.0 turns -0.0 into 0.0
    return (np.round(np.asarray(values, np.float64), digits) + 0.0).tolist()
