"""A person detector and a top-down pose model, both exported to ONNX: boxes of people, then the joints in each.

The person detectors are those that MMDeploy exports and RTMPose is published with: YOLOX (Ge et al., 2021) and RTMDet (Lyu et
al., 2022), with suppression built in:

    input    (1, 3, H, W) float32; BGR at the upper left of grey. YOLOX wants 0 to 255, RTMDet minus the ImageNet mean, over
             its standard deviation
    output   (1, K, 5): left, top, right, bottom, score in pixels of the input; and (1, K): the class, 0 for people

Which of the two a file is, is seen from its first layer: YOLOX slices the image into four, RTMDet convolves it.
"""

import numpy as np

from lib.joints import JOINT_SETS
from lib.lifting.detectors.multi_person import Letterbox, from_corners, suppressed
from lib.lifting.detectors.onnx_file import OnnxFile
from lib.lifting.detectors.pose_model import BOX_MARGIN, IMAGENET_MEAN, IMAGENET_STD, PoseModel, scored


class PersonDetector:
    """Boxes of people in an image."""

    def __init__(self, file: OnnxFile):
        self._file = file
        self._letterbox = Letterbox(file.input_size, centred=False, rgb=False, unit=255.0)
        self._normalized = file.first_layer == "Conv"
        outputs = file.run(np.zeros((1, 3, *file.input_size), np.float32))
        shapes = sorted((output.shape for output in outputs), key=len, reverse=True)
        if len(shapes) != 2 or len(shapes[0]) != 3 or shapes[0][2] != 5 or shapes[0][:2] != shapes[1]:
            found = ", ".join(map(str, shapes))
            raise file.unusable(f"it writes {found} instead of boxes (1, K, 5) and classes (1, K)", "person detector")

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """Boxes (K, 4) x, y, width, height in pixels of the RGB frame (H, W, 3) uint8."""
        values = self._letterbox(frame)
        if self._normalized:
            mean, std = (v[::-1].reshape(1, 3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
            values = (values - mean) / std
        outputs = self._file.run(values)
        rows, classes = (output[0] for output in sorted(outputs, key=np.ndim, reverse=True))
        boxes = from_corners(rows[:, :4])
        kept = suppressed(boxes, np.where(classes == 0, rows[:, 4], 0))
        scale, _ = self._letterbox.place(frame.shape[:2])
        return boxes[kept].astype(np.float64) / scale


class TopDown:
    """All people whom a person detector finds, with the joints that a pose model finds in their boxes. A `Detector`."""

    def __init__(self, people: PersonDetector, model: PoseModel):
        self.name, self.joint_set = model.path.name, model.joint_set
        self._people, self._model = people, model

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """See `Detector`."""
        seen = (scored(*self._model.joints_in_box(frame, _enlarged(box))) for box in self._people(frame))
        found = [person for person in seen if person is not None]
        return np.stack(found) if found else np.zeros((0, len(JOINT_SETS[self.joint_set]), 3))


def _enlarged(box: np.ndarray) -> np.ndarray:
    """The box x, y, width, height with the margin of top-down models' training."""
    return np.concatenate([box[:2] - box[2:] * (BOX_MARGIN - 1) / 2, box[2:] * BOX_MARGIN])
