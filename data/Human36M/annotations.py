"""Human3.6M annotations in the published MS COCO style: what the four files of one subject hold, written and read.

`Human36M_subjectN_data.json`, `..._camera.json`, `..._joint_3d.json` and `..._smpl_param.json` (their
content: docs/data.md). Synthetic people and motion capture are written with `write_subject` and read by the same reader.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.camera import Camera, camera_to_pixel, world_to_camera
from lib.errors import UserError
from lib.files import replacing

FILE_PARTS = {
    "data": ("data",),
    "camera": ("camera",),
    "joint_3d": ("joint_3d",),
    "smpl": ("smpl_param", "smpl_camera", "SMPL_NeuralAnnot"),
}
"""The four annotation files of a subject and the endings each is published under."""

MAX_JSON_BYTES = 4 << 30

INFINITE = 1e9
"""No length in mm, focal length in px or angle comes near; such numbers overflow in single precision later on."""
MAX_NUMBER = 1 << 31


@dataclass(frozen=True)
class Motion:
    """One continuous recording of one subject, in world space.

    subject, action_idx (2 and up), subaction_idx (1 and up): positive ints; action_name: text;
    frame_idx (T,) int, increasing; joints (T, 17, 3) mm, Z up, Human3.6M order; pose (T, 72) SMPL axis-angle in
    radians, root first, world; betas (10,); transl (T, 3) metres, SMPL's translation.
    """

    subject: int
    action_idx: int
    subaction_idx: int
    action_name: str
    frame_idx: np.ndarray
    joints: np.ndarray
    pose: np.ndarray
    betas: np.ndarray
    transl: np.ndarray


def write_subject(folder: Path, motions: Iterable[Motion], cameras: dict[int, Camera]) -> int:
    """Write the four files of one subject into `folder` and return the number of images (frames x cameras).

    All motions must be of one subject. A (frame, camera) pair in which any joint is behind the camera or outside
    the image gets no image. Numbers are rounded to 0.001 mm, 0.01 px and 1e-5 rad to keep the files small.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    images, annotations, joints, params, subjects = [], [], {}, {}, set()
    for motion in motions:
        subjects.add(motion.subject)
        key = (str(motion.action_idx), str(motion.subaction_idx))
        joints.setdefault(key[0], {})[key[1]] = {
            str(f): np.round(j, 3).tolist() for f, j in zip(motion.frame_idx, motion.joints, strict=True)
        }
        betas = np.round(motion.betas, 5).tolist()
        params.setdefault(key[0], {})[key[1]] = {
            str(f): {"pose": np.round(p, 5).tolist(), "shape": betas, "trans": np.round(t, 6).tolist()}
            for f, p, t in zip(motion.frame_idx, motion.pose, motion.transl, strict=True)
        }
        for cam_idx, cam in cameras.items():
            camera_space = world_to_camera(motion.joints, cam.R, cam.t)
            pixels = camera_to_pixel(camera_space, cam.f, cam.c)
            low, high = pixels.min(1), pixels.max(1)
            seen = (camera_space[..., 2].min(1) > 100) & (low >= 0).all(1) & (high <= [cam.width, cam.height]).all(1)
            clip = (
                f"s_{motion.subject:02d}_act_{motion.action_idx:02d}_subact_{motion.subaction_idx:02d}_ca_{cam_idx:02d}"
            )
            for frame, lo, hi in zip(motion.frame_idx[seen], low[seen], high[seen], strict=True):
                image_id = motion.subject * 10_000_000 + len(images)
                images.append(
                    {
                        "id": image_id,
                        "file_name": f"{clip}/{clip}_{int(frame):06d}.jpg",
                        "width": cam.width,
                        "height": cam.height,
                        "subject": motion.subject,
                        "action_name": motion.action_name,
                        "action_idx": motion.action_idx,
                        "subaction_idx": motion.subaction_idx,
                        "cam_idx": cam_idx,
                        "frame_idx": int(frame),
                    }
                )
                box = np.round(np.concatenate([lo, hi - lo]), 2).tolist()
                annotations.append({"id": image_id, "image_id": image_id, "category_id": 1, "bbox": box})
    if len(subjects) != 1:
        raise ValueError(f"write_subject takes motions of exactly one subject, got {sorted(subjects)}")
    stem = f"Human36M_subject{subjects.pop()}"
    contents = {
        "data": {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]},
        "camera": {
            str(i): {"R": c.R.tolist(), "t": c.t.tolist(), "f": c.f.tolist(), "c": c.c.tolist()}
            for i, c in cameras.items()
        },
        "joint_3d": joints,
        "smpl": params,
    }
    for part, content in contents.items():
        path = folder / f"{stem}_{FILE_PARTS[part][0]}.json"
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(content, separators=(",", ":")))  # json.dump takes a far slower way
    return len(images)


@dataclass(frozen=True)
class SubjectSamples:
    """The samples of one subject that a split keeps, in the file's order, as arrays.

    N images show F distinct frames, of which P have SMPL parameters (all of them unless the others are kept, too).
    names (N,) base file names; actions (N,) action_idx - 2; action_names {that: text}; recording (N, 4) int action_idx,
    subaction_idx, cam_idx, frame_idx; frame (N,) index into the frames; camera (N,) index into the cameras; image_size (N, 2)
    int, w and h in px.
    Frames: joints (F, 17, 3) mm world; smpl (F,) index into the parameters, -1 for none.
    Parameters: pose (P, 72), betas (P, 10), transl (P, 3) m world.
    Cameras: R (C, 3, 3), t (C, 3) mm, f (C, 2) px, c (C, 2) px.
    without_smpl, bad_boxes: how many images have no parameters, and how many were dropped for their box.
    """

    names: np.ndarray
    actions: np.ndarray
    action_names: dict[int, str]
    recording: np.ndarray
    frame: np.ndarray
    camera: np.ndarray
    image_size: np.ndarray
    joints: np.ndarray
    smpl: np.ndarray
    pose: np.ndarray
    betas: np.ndarray
    transl: np.ndarray
    R: np.ndarray
    t: np.ndarray
    f: np.ndarray
    c: np.ndarray
    without_smpl: int
    bad_boxes: int


def read_subject(
    folder: Path,
    subject: int,
    frame_stride: int = 1,
    dropped: frozenset[tuple[int, int]] = frozenset(),
    keep_without_smpl: bool = False,
) -> SubjectSamples:
    """Read one subject's files, keeping frames with frame_idx % frame_stride == 0 outside the `dropped` (action, subaction).

    Boxes without area are dropped and counted; so are frames without SMPL parameters, unless keep_without_smpl (then
    their file may be missing, too). UserError, one line with the file's name, for anything else that is missing or malformed.
    """
    paths = find_files(folder, subject, keep_without_smpl)
    data = _read_json(paths["data"])
    images, annotations = data.get("images"), data.get("annotations")
    if not (isinstance(images, list) and isinstance(annotations, list)):
        raise UserError(f"{paths['data']}: is not a COCO-style file (it needs the lists images and annotations)")
    if not annotations:
        raise UserError(f"{paths['data']}: holds no annotations")
    try:
        rows, bad_boxes = _select_images(images, annotations, frame_stride, dropped)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UserError(f"{paths['data']}: is not a COCO-style file of this data set ({_missing(error)})") from None
    del data, images, annotations
    empty = next((row for row in rows if min(row[6:8]) <= 0), None)
    if empty is not None:
        raise UserError(f"{paths['data']}: {empty[0]} has a size of {empty[6]} x {empty[7]} pixels")

    parameters, poses = _collect_smpl(paths["smpl"], rows)
    without_smpl = sum(row[1:4] not in parameters for row in rows)
    if not keep_without_smpl:
        rows = [row for row in rows if row[1:4] in parameters]
    number = {frame: i for i, frame in enumerate(dict.fromkeys(row[1:4] for row in rows))}
    frames = list(number)
    cameras, calibration = _collect_cameras(paths["camera"], rows)
    return SubjectSamples(
        names=np.array([row[0] for row in rows], dtype=np.str_),
        actions=np.array([row[1] - 2 for row in rows], dtype=np.int64),
        action_names={row[1] - 2: row[5] for row in rows},
        recording=np.array([(*row[1:3], row[4], row[3]) for row in rows], dtype=np.int64).reshape(-1, 4),
        frame=np.array([number[row[1:4]] for row in rows], dtype=np.int64),
        camera=np.array([cameras[row[4]] for row in rows], dtype=np.int64),
        image_size=np.array([row[6:8] for row in rows], dtype=np.int64).reshape(-1, 2),
        joints=_collect_joints(paths["joint_3d"], frames),
        smpl=np.array([parameters.get(frame, -1) for frame in frames], dtype=np.int64),
        **poses,
        **calibration,
        without_smpl=without_smpl,
        bad_boxes=bad_boxes,
    )


def _select_images(images: list, annotations: list, frame_stride: int, dropped: frozenset) -> tuple[list[tuple], int]:
    """[(base name, action, subaction, frame, camera, action name, w, h)] per kept annotation; without boxes."""
    by_id = {image["id"]: image for image in images}
    rows, bad_boxes = [], 0
    for annotation in annotations:
        image = by_id[annotation["image_id"]]
        frame, action, subaction = image["frame_idx"], image["action_idx"], image["subaction_idx"]
        if frame % frame_stride != 0 or (action, subaction) in dropped:
            continue
        x, y, w, h = annotation["bbox"]
        if not (x + w - 1 >= x and y + h - 1 >= y):  # the published rule: no pixel's width or height
            bad_boxes += 1
            continue
        name = image["file_name"].replace("\\", "/").rsplit("/", 1)[-1]
        numbers = (int(action), int(subaction), int(frame), int(image["cam_idx"]))
        size = (int(image["width"]), int(image["height"]))
        if max(map(abs, (*numbers, *size))) > MAX_NUMBER:
            raise ValueError(f"{name}: a number is beyond {MAX_NUMBER}")
        rows.append((name, *numbers, str(image["action_name"]), *size))
    return rows, bad_boxes


def _collect_smpl(path: Path | None, rows: list[tuple]) -> tuple[dict[tuple, int], dict[str, np.ndarray]]:
    """{frame: row} of the distinct frames that have parameters, and their parameters as arrays."""
    tree = {} if path is None else _read_json(path)
    numbers, pose, betas, transl = {}, [], [], []
    for frame in dict.fromkeys(row[1:4] for row in rows):
        entry = _lookup(tree, frame)
        if entry is None:
            continue
        numbers[frame] = len(numbers)
        try:
            pose.append(np.asarray(entry["pose"], np.float64).reshape(72))
            betas.append(np.asarray(entry["shape"], np.float64).reshape(10))
            transl.append(np.asarray(entry["trans"], np.float64).reshape(3))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            where = _frame_name((None, *frame))
            raise UserError(f"{path}: {where}: not pose (72), shape (10), trans (3): {_missing(error)}") from None
    arrays = {"pose": _stack(pose, (72,)), "betas": _stack(betas, (10,)), "transl": _stack(transl, (3,))}
    _check_finite(path, list(numbers), *arrays.values())
    return numbers, arrays


def _collect_joints(path: Path, frames: list[tuple]) -> np.ndarray:
    tree = _read_json(path)
    joints = []
    for frame in frames:
        entry = _lookup(tree, frame)
        if entry is None:
            raise UserError(f"{path}: {_frame_name((None, *frame))} is missing, but the images name it")
        try:
            joints.append(np.asarray(entry, np.float64))
        except (TypeError, ValueError, OverflowError):
            raise UserError(
                f"{path}: {_frame_name((None, *frame))}: the joints are not 17 triples of numbers"
            ) from None
        if joints[-1].shape != (17, 3):
            shape = " x ".join(str(n) for n in joints[-1].shape)
            raise UserError(f"{path}: {_frame_name((None, *frame))}: {shape} numbers, expected 17 joints x 3 (mm)")
    joints = _stack(joints, (17, 3))
    _check_finite(path, frames, joints)
    return joints


def _collect_cameras(path: Path, rows: list[tuple]) -> tuple[dict, dict[str, np.ndarray]]:
    """{cam_idx: row} and the calibrations R, t, f, c of the cameras that the rows use."""
    tree = _read_json(path)
    numbers, calibration = {}, {"R": [], "t": [], "f": [], "c": []}
    shapes = {"R": (3, 3), "t": (3,), "f": (2,), "c": (2,)}
    for row in rows:
        if row[4] in numbers:
            continue
        entry = tree.get(str(row[4]))
        if not isinstance(entry, dict):
            raise UserError(f"{path}: camera {row[4]} is missing, but {row[0]} was taken by it")
        numbers[row[4]] = len(numbers)
        for name, shape in shapes.items():
            try:
                value = np.asarray(entry[name], np.float64).reshape(shape)
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                raise UserError(
                    f"{path}: camera {row[4]}: {name} must have {shape} numbers: {_missing(error)}"
                ) from None
            if not (np.abs(value) < INFINITE).all():
                raise UserError(f"{path}: camera {row[4]}: {name} holds NaN or infinite numbers")
            calibration[name].append(value)
    return numbers, {name: _stack(values, shapes[name]) for name, values in calibration.items()}


def _read_json(path: Path) -> dict:
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise UserError(f"{path}: larger than {MAX_JSON_BYTES >> 30} GiB, which no annotation file is")
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        reason = "it is empty" if path.stat().st_size == 0 else " ".join(str(error).split())[:100]
        raise UserError(f"{path}: is not valid JSON ({reason}); it may be cut short, fetch it again") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a JSON object, found {type(content).__name__}")
    return content


def _lookup(tree: dict, frame: tuple) -> object:
    """tree[action][subaction][frame], keys as text; None where any of them is missing."""
    for key in frame:
        tree = tree.get(str(key)) if isinstance(tree, dict) else None
    return tree


def _check_finite(path: Path, frames: list[tuple], *arrays: np.ndarray) -> None:
    for array in arrays:
        bad = ~(np.abs(array) < INFINITE).all(axis=tuple(range(1, array.ndim)))
        if bad.any():
            first = _frame_name((None, *frames[int(bad.argmax())]))
            raise UserError(f"{path}: NaN or infinite numbers in {int(bad.sum())} frames, the first is {first}")


def _stack(arrays: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    return np.stack(arrays) if arrays else np.zeros((0, *shape))


def _frame_name(row: tuple) -> str:
    return f"action {row[1]} subaction {row[2]} frame {row[3]}"


def _missing(error: Exception) -> str:
    return f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else " ".join(str(error).split())[:100]


def find_files(folder: Path, subject: int, keep_without_smpl: bool = False) -> dict[str, Path | None]:
    """{part: file} of a subject; UserError where one is missing, but for the SMPL parameters (None) when they need not be."""
    paths = {}
    for part in FILE_PARTS:
        try:
            paths[part] = find_file(folder, subject, part)
        except UserError:
            if not (part == "smpl" and keep_without_smpl):
                raise
            paths[part] = None
    return paths


def find_file(folder: Path, subject: int, part: str) -> Path:
    """The subject's file of this part under any of its published names; UserError that names what was looked for."""
    candidates = [Path(folder) / f"Human36M_subject{subject}_{ending}.json" for ending in FILE_PARTS[part]]
    for path in candidates:
        if path.is_file():
            return path
    names = " or ".join(p.name for p in candidates)
    raise UserError(f"{folder}: {names} is missing; see docs/data.md for where it comes from")
