"""People in a whole image by one model exported to ONNX: YOLO-pose and RTMO.

What a model writes is recognised by shape, for J joints and K or N candidates:

    YOLO-pose          (1, 5 + 3 J, N): middle x, middle y, width, height, score, then x, y, score of each joint
    YOLO-pose, NMS     (1, K, 6 + 3 J): left, top, right, bottom, score, class, then the joints; built-in suppression
    RTMO               (1, K, 5): left, top, right, bottom, score; and (1, K, J, 3): the joints

all in pixels of the model's input. The image is shrunk into that input as in the model's training (`Letterbox`): YOLO
(Ultralytics 8 and later; Jocher et al., 2023) wants RGB from 0 to 1 in the middle, RTMO (Lu et al., CVPR 2024) BGR from 0 to 255
at the upper left.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from lib.joints import joint_sets_of
from lib.lifting.detectors.onnx_file import OnnxFile

DEFAULT_INPUT = (640, 640)
"""Height and width for models that take any."""

MIN_PERSON = 0.4
"""Score of a person's box from which on they are there."""

MIN_JOINT = 0.3
"""Score of a joint below which it counts as missing."""

MAX_OVERLAP = 0.65
"""Intersection over union of two boxes from which on they are the same person."""

PADDING = 114
"""Grey level of what the image leaves of the input, in the training of both families."""


@dataclass(frozen=True)
class Letterbox:
    """How an image gets into a model's input: shrunk or enlarged in proportion, the rest is grey.

    size: (height, width) of the input; centred: in the middle, else at the upper left; rgb: order of the channels; unit:
    the value of white.
    """

    size: tuple[int, int]
    centred: bool
    rgb: bool
    unit: float

    def place(self, image_shape: tuple[int, int]) -> tuple[float, np.ndarray]:
        """Scale and position (2,), x and y, of an image of (height, width) in the input."""
        scale = min(self.size[0] / image_shape[0], self.size[1] / image_shape[1])
        free = np.array(self.size[::-1]) - [round(n * scale) for n in image_shape[::-1]]
        return scale, free // 2 if self.centred else np.zeros(2, int)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """RGB image (H, W, 3) uint8 to the input (1, 3, height, width) float32."""
        scale, (x, y) = self.place(image.shape[:2])
        width, height = (max(1, round(n * scale)) for n in image.shape[1::-1])
        box = np.full((*self.size, 3), PADDING, np.uint8)
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        box[y : y + height, x : x + width] = cv2.resize(image, (width, height), interpolation=way)
        box = box if self.rgb else box[..., ::-1]
        return np.ascontiguousarray(box.transpose(2, 0, 1)[None], np.float32) * np.float32(self.unit / 255)


class MultiPerson:
    """All people in the image, by a model of the families above. A `Detector`."""

    def __init__(self, file: OnnxFile, joint_set: str | None = None):
        self.name, self._file = file.path.name, file
        self._decode, joints, yolo = self._recognised(file.run(np.zeros((1, 3, *file.input_size), np.float32)))
        self._letterbox = Letterbox(file.input_size, centred=yolo, rgb=yolo, unit=1.0 if yolo else 255.0)
        self.joint_set = file.joint_set_of(joints, joint_set)

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """See `Detector`."""
        boxes, scores, joints = self._decode(self._file.run(self._letterbox(frame)))
        kept = suppressed(boxes, scores)
        scale, place = self._letterbox.place(frame.shape[:2])
        people = joints[kept].astype(np.float64)
        people[..., :2] = (people[..., :2] - place) / scale
        people[..., 2] = np.where(people[..., 2] < MIN_JOINT, 0, np.clip(people[..., 2], 0, 1))
        return people

    def _recognised(self, outputs: list[np.ndarray]):
        """The function that decodes such outputs, the number of joints, and whether it is of the YOLO family."""
        shapes = [output.shape for output in outputs]
        if len(shapes) == 1 and len(shapes[0]) == 3 and shapes[0][0] == 1:
            _, channels, last = shapes[0]
            if _joints_in(channels - 5):
                return decode_yolo, (channels - 5) // 3, True
            if _joints_in(last - 6):
                return decode_yolo_nms, (last - 6) // 3, True
        ordered = sorted(shapes, key=len)
        if [len(s) for s in ordered] == [3, 4] and ordered[0][2] == 5 and ordered[1][3] == 3:
            return decode_rtmo, ordered[1][2], False
        found = ", ".join(map(str, shapes))
        raise self._file.unusable(
            f"it writes {found} instead of YOLO-pose's (1, 5 + 3 J, N) or (1, K, 6 + 3 J), or RTMO's (1, K, 5) and "
            "(1, K, J, 3), for J joints of a known keypoint convention"
        )


def _joints_in(values: int) -> bool:
    """Whether so many values are x, y and score of a known joint set."""
    return values % 3 == 0 and bool(joint_sets_of(values // 3))


def decode_yolo(outputs: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(1, 5 + 3 J, N) to boxes (N, 4) left, top, width, height, scores (N,) and joints (N, J, 3)."""
    rows = outputs[0][0].T
    boxes = np.concatenate([rows[:, :2] - rows[:, 2:4] / 2, rows[:, 2:4]], axis=1)
    return boxes, rows[:, 4], rows[:, 5:].reshape(len(rows), -1, 3)


def decode_yolo_nms(outputs: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(1, K, 6 + 3 J) to boxes (K, 4) left, top, width, height, scores (K,), 0 but for class 0, and joints (K, J, 3)."""
    rows = outputs[0][0]
    boxes = from_corners(rows[:, :4])
    scores = np.where(rows[:, 5] == 0, rows[:, 4], 0)
    return boxes, scores, rows[:, 6:].reshape(len(rows), (rows.shape[1] - 6) // 3, 3)


def decode_rtmo(outputs: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(1, K, 5) and (1, K, J, 3) to boxes (K, 4) left, top, width, height, scores (K,) and joints (K, J, 3)."""
    rows, joints = (output[0] for output in sorted(outputs, key=np.ndim))
    return from_corners(rows[:, :4]), rows[:, 4], joints


def from_corners(corners: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) left, top, right, bottom to left, top, width, height."""
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)


def suppressed(boxes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Indices of the people among candidates, the surest first: boxes (N, 4) left, top, width, height; scores (N,)."""
    sure = np.flatnonzero(np.isfinite(boxes).all(1) & (scores >= MIN_PERSON))
    if not len(sure):
        return sure
    kept = cv2.dnn.NMSBoxes(boxes[sure].tolist(), scores[sure].tolist(), MIN_PERSON, MAX_OVERLAP)
    return sure[np.asarray(kept, int).ravel()]
