"""2D joints from images by a third-party pose model, exported to ONNX, through ONNX Runtime.

Models are top-down or single-person: they read one person's crop and find its joints. What a model reads and writes is
recognised by shape:

    input    (1, 3, H, W) float32, RGB, minus the ImageNet mean, over its standard deviation; where the file leaves H
             and W open, 256 x 192
    output   heatmaps (1, J, h, w), or SimCC (1, J, X) and (1, J, Y): scores of every joint along x and along y
             (Li et al., ECCV 2022; RTMPose)

J decides the joint set (docs/joints.md). `heatmaps` has how heatmaps become joints.
"""

from pathlib import Path

import cv2
import numpy as np

from lib.errors import UserError
from lib.joints import JOINT_SETS
from lib.lifting.detectors.heatmaps import DECODERS, decoder_of
from lib.lifting.detectors.onnx_file import OnnxFile

IMAGENET_MEAN = np.array([123.675, 116.28, 103.53], np.float32)
IMAGENET_STD = np.array([58.395, 57.12, 57.375], np.float32)
DEFAULT_INPUT = (256, 192)
"""Height and width of the crop for models that take any."""

BOX_MARGIN = 1.25
"""The crop is this much larger than the box of the joints, as in the training of top-down models."""

MIN_SCORE = 0.3
"""Joints below count as missing; a frame whose mean score is below is a frame without a person."""


class PoseModel:
    """An exported pose model: `joint_set`, a key of `lib.joints.JOINT_SETS`, and the way from images to joints.

    joint_set: needed only where several sets have as many joints as the model and the usual one (coco) is not meant.
    heatmap_decoding: a key of `heatmaps.DECODERS`, by default the one that the file's name tells; for heatmaps alone.
    """

    def __init__(self, path: str | Path, joint_set: str | None = None, heatmap_decoding: str | None = None):
        self._file = OnnxFile(path, "--detector", DEFAULT_INPUT)
        if heatmap_decoding is not None and not {0, 4} & set(self._file.ranks):
            raise UserError(f"{path}: writes no heatmaps, which --heatmap-decoding {heatmap_decoding} is for")
        self.heatmap_decoding = heatmap_decoding or decoder_of(self._file.path.stem)
        self.path, self.input_size = self._file.path, self._file.input_size
        # What it writes is looked at, not believed: many files leave the output shapes open.
        _, scores = self.joints_in_crop(np.zeros((*self.input_size, 3), np.uint8))
        self.joint_set = self._file.joint_set_of(len(scores), joint_set)

    def joints_in_crop(self, crop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Joints (J, 2), pixels of the crop, and scores (J,) for an RGB crop (H, W, 3) uint8 of the input's size."""
        values = ((crop.astype(np.float32) - IMAGENET_MEAN) / IMAGENET_STD).transpose(2, 0, 1)[None]
        outputs = self._file.run(values)
        height, width = self.input_size
        shapes: list[tuple[int, ...]] = [getattr(o, "shape", ()) for o in outputs]
        if len(outputs) >= 1 and len(shapes[0]) == 4 and shapes[0][0] == 1 and min(shapes[0]) > 0:
            return DECODERS[self.heatmap_decoding](outputs[0][0], (width, height))
        if (
            len(outputs) == 2
            and all(len(s) == 3 and s[0] == 1 and min(s) > 0 for s in shapes)
            and (shapes[0][1] == shapes[1][1] and shapes[0][2] * height == shapes[1][2] * width)
        ):
            return decode_simcc(outputs[0][0], outputs[1][0], (width, height))
        found = ", ".join(str(tuple(s)) for s in shapes)
        raise self._file.unusable(f"it writes {found} instead of heatmaps (1, J, h, w) or SimCC (1, J, X), (1, J, Y)")

    def joints_in_box(self, picture: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Joints (J, 2), pixels of the RGB image (H, W, 3), and scores (J,), in a box (x, y, width, height)."""
        height, width = self.input_size
        scale = max(box[2] / width, box[3] / height)  # pixels of the image per pixel of the crop
        origin = box[:2] + box[2:] / 2 - scale * (np.array([width, height]) - 1) / 2
        # Warping alone would skip pixels where it shrinks; averages of k x k pixels first.
        k = max(int(scale), 1)
        small = cv2.resize(picture, None, fx=1 / k, fy=1 / k, interpolation=cv2.INTER_AREA) if k > 1 else picture
        start = (origin + 0.5) / k - 0.5
        to_small = np.array([[scale / k, 0, start[0]], [0, scale / k, start[1]]])
        crop = cv2.warpAffine(small, to_small, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        joints, scores = self.joints_in_crop(crop)
        return joints * scale + origin, scores


class SinglePerson:
    """One person by a top-down model, without a person detector. A `Detector`.

    The person is looked for in the whole frame first, then in the last frame's box, as long as the model is sure.
    """

    def __init__(self, model: PoseModel):
        self.name, self.joint_set = model.path.name, model.joint_set
        self._model = model
        self._box: np.ndarray | None = None

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """See `Detector`; K is at most 1."""
        found = _look(self._model, frame, self._box) if self._box is not None else None
        if found is None:
            found = _look(self._model, frame, np.array([0, 0, *frame.shape[1::-1]], np.float64))
            if found is not None:  # the whole frame's crop is coarse: look again, nearer
                found = _look(self._model, frame, _box_of(*found))
        self._box = None if found is None else _box_of(*found)
        person = None if found is None else scored(*found)
        return np.zeros((0, len(JOINT_SETS[self.joint_set]), 3)) if person is None else person[None]


def scored(joints: np.ndarray, scores: np.ndarray) -> np.ndarray | None:
    """Joints (J, 2) and scores (J,) to (J, 3) as a `Detector` returns them, or None if no person is found."""
    if scores.mean() < MIN_SCORE:
        return None
    return np.column_stack([joints, np.where(scores >= MIN_SCORE, np.minimum(scores, 1), 0)])


def _look(model: PoseModel, picture: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """`joints_in_box`, or None if the model finds no person."""
    joints, scores = model.joints_in_box(picture, box)
    return (joints, scores) if scores.mean() >= MIN_SCORE else None


def decode_simcc(along_x: np.ndarray, along_y: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """SimCC vectors (J, X) and (J, Y) to joints (J, 2) in pixels of the crop (width, height), and scores (J,).

    Every vector covers the crop's side with bins of equal width; the score is the lower one of the two.
    """
    cells = np.stack([along_x.argmax(1), along_y.argmax(1)], axis=-1)
    scores = np.minimum(along_x.max(1), along_y.max(1)).astype(np.float64)
    return cells * np.array([size[0] / along_x.shape[1], size[1] / along_y.shape[1]]), scores


def _box_of(joints: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """(x, y, width, height) around the joints that are sure, enlarged by BOX_MARGIN."""
    sure = joints[scores >= MIN_SCORE]
    low, high = sure.min(0), sure.max(0)
    extent = np.maximum((high - low) * BOX_MARGIN, 32.0)
    return np.concatenate([(low + high - extent) / 2, extent])
