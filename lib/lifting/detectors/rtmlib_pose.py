"""RTMPose (Jiang et al., 2023) as the package rtmlib runs it: it downloads its models when it is first used."""

import contextlib
import io
from types import ModuleType

import numpy as np

from lib.errors import UserError
from lib.joints import COCO_17
from lib.lifting.detectors.pose_model import scored

PREFIX = "rtmlib:"
MODES = ("lightweight", "balanced", "performance")


class RtmlibPose:
    """All people in the image, by rtmlib's person detector and RTMPose. A `Detector`.

    mode: how large the models are, one of MODES.
    """

    joint_set = "coco"

    def __init__(self, mode: str):
        if mode not in MODES:
            raise UserError(f"--detector {PREFIX}{mode}: unknown; use {', '.join(PREFIX + name for name in MODES)}")
        self.name = f"{PREFIX}{mode}"
        rtmlib = _import()
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # it prints where its models are
                self._body = rtmlib.Body(mode=mode, to_openpose=False, backend="onnxruntime", device="cpu")
        except OSError as error:
            raise UserError(
                f"{self.name}: its models cannot be downloaded ({error}); give one with --detector FILE"
            ) from None

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """See `Detector`. If rtmlib finds no person, it looks for joints in the whole image: their scores are low."""
        joints, scores = self._body(np.ascontiguousarray(frame[..., ::-1]))  # it reads images as OpenCV does
        seen = (scored(*person) for person in zip(joints, scores, strict=True))
        found = [person for person in seen if person is not None]
        return np.stack(found) if found else np.zeros((0, len(COCO_17), 3))


def _import() -> ModuleType:
    try:
        import rtmlib
    except ImportError:
        raise UserError("rtmlib is not installed: pip install --no-deps rtmlib") from None
    return rtmlib
