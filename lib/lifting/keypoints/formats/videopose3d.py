"""The .npz of VideoPose3D's in-the-wild scripts (Pavllo et al., CVPR 2019): detections, and the set made from them."""

from pathlib import Path

import numpy as np

from lib.errors import UserError
from lib.joints import COCO_17
from lib.lifting.keypoints.formats.detections import Detections, Found, detections_of, whole_numbers

_LAYOUTS = {"coco": "coco", "h36m": "human36"}


def read_detectron(path: Path, archive: dict) -> Detections:
    """Detectron's detections: keypoints [frame][class][person] (4, J) x, y, logit, score; people are the last class.

    metadata {'w', 'h'} is the image size. No identities.
    """
    keypoints, size = archive["keypoints"], _size(path, archive.get("metadata"))
    if isinstance(keypoints, np.ndarray):
        raise _shape(path, keypoints.shape)
    frames = _pairs(keypoints)
    if frames is None:
        raise _shape(path, (len(keypoints),) if isinstance(keypoints, list) else ())
    found = []
    for frame, (_, people) in enumerate(frames):
        for person in people if people is not None else ():
            try:
                values = np.asarray(person, np.float64)
            except (TypeError, ValueError):
                raise UserError(f"{path}: keypoints of frame {frame} hold something that is not a number") from None
            if values.ndim != 2 or values.shape[0] not in (3, 4) or not values.size:
                raise UserError(f"{path}: a person in frame {frame} has shape {values.shape} instead of (4, joints)")
            found.append(Found(frame, None, values[[0, 1, -1]].T))
    return detections_of(
        path, found, joint_set="coco" if found and len(found[0].values) == len(COCO_17) else None, image_size=size
    )


def read_custom(path: Path, archive: dict) -> Detections:
    """A custom 2D set: positions_2d {video: {action: [(T, J, 2)]}}, metadata {layout_name, video_metadata {video: w, h}}.

    One video with one action and camera only; every array is one person.
    """
    positions, metadata = archive["positions_2d"], archive.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    sequences = []
    for video, actions in positions.items() if isinstance(positions, dict) else ():
        for arrays in actions.values() if isinstance(actions, dict) else ():
            sequences += [(video, array) for array in arrays]
    if not sequences:
        raise UserError(
            f"{path}: positions_2d holds no sequence; {{video: {{action: [(frames, joints, 2)]}}}} is needed"
        )
    if len(sequences) > 1:
        videos = ", ".join(sorted({str(v) for v, _ in sequences})[:6])
        raise UserError(f"{path}: holds {len(sequences)} sequences ({videos}); save each in an .npz of its own")
    video, xy = sequences[0]
    try:
        xy = np.asarray(xy, np.float64)
    except (TypeError, ValueError):
        raise UserError(f"{path}: positions_2d holds something that is not a number") from None
    if xy.ndim != 3 or xy.shape[-1] < 2:
        raise UserError(f"{path}: positions_2d of {video} has shape {xy.shape}; (frames, joints, 2) is needed")
    sizes = metadata.get("video_metadata")
    size = _size(path, sizes.get(video) if isinstance(sizes, dict) else None)
    values = np.concatenate([xy[..., :2], np.ones_like(xy[..., :1])], axis=-1)
    persons = np.zeros(len(xy), np.int64)
    return Detections(
        np.arange(len(xy)), persons, values, _LAYOUTS.get(str(metadata.get("layout_name"))), image_size=size
    )


def _pairs(frames: object) -> list | None:
    """[[class 0, class 1]] * T; NumPy flattens the pairs of a (T, 2) array of objects to a list of 2 T."""
    if not isinstance(frames, list):
        return None
    if all(isinstance(f, list | tuple) and len(f) == 2 for f in frames) and frames:
        return frames
    if len(frames) % 2 == 0 and all(isinstance(f, list | np.ndarray) for f in frames):
        return list(zip(frames[::2], frames[1::2], strict=True))
    return None


def _size(path: Path, metadata: object) -> tuple[int, int] | None:
    if not isinstance(metadata, dict) or not {"w", "h"} <= set(metadata):
        return None
    return tuple(whole_numbers(path, [_plain(metadata["w"]), _plain(metadata["h"])], "the image size").tolist())


def _plain(number: object) -> object:
    return number.item() if isinstance(number, np.generic) else number


def _shape(path: Path, shape: tuple) -> UserError:
    return UserError(f"{path}: keypoints of shape {shape} beside 'boxes'; Detectron's (frames, classes) are needed")
