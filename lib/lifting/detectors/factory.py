"""The detector that a command line names."""

from pathlib import Path

from lib.errors import UserError
from lib.lifting.detectors.detector import Detector
from lib.lifting.detectors.mediapipe_pose import MediaPipePose, MediaPipeTask
from lib.lifting.detectors.multi_person import DEFAULT_INPUT as WHOLE_IMAGE
from lib.lifting.detectors.multi_person import MultiPerson
from lib.lifting.detectors.onnx_file import OnnxFile
from lib.lifting.detectors.pose_model import PoseModel, SinglePerson
from lib.lifting.detectors.rtmlib_pose import MODES, PREFIX, RtmlibPose
from lib.lifting.detectors.top_down import PersonDetector, TopDown

DEFAULT = "mediapipe"


def open_detector(
    spec: str | None = None,
    joint_set: str | None = None,
    max_persons: int | None = None,
    person_detector: str | None = None,
    heatmap_decoding: str | None = None,
) -> Detector:
    """The detector for one video.

    spec: `mediapipe` (also None), `rtmlib:MODE`, the path of a MediaPipe model (.task), or of a pose model (.onnx).
    joint_set: for models whose number of joints leaves it open. person_detector: the path of a model (.onnx) that finds the
    people for a top-down model. max_persons: most people to look for, for detectors that have to be told (.task).
    heatmap_decoding: see `PoseModel`.
    UserError where it cannot be opened, with what to do.
    """
    spec = spec or DEFAULT
    ending = Path(spec).suffix.lower()
    if person_detector is not None and ending != ".onnx":
        raise UserError("--person-detector needs a top-down pose model: --detector MODEL.onnx")
    if heatmap_decoding is not None and ending != ".onnx":
        raise UserError("--heatmap-decoding is for models with heatmaps: --detector MODEL.onnx")
    if ending == ".onnx":
        return _open_onnx(spec, joint_set, person_detector, heatmap_decoding)
    if spec == DEFAULT:
        detector: Detector = MediaPipePose()
    elif ending == ".task":
        detector = MediaPipeTask(spec, max_persons)
    elif spec.startswith(PREFIX):
        detector = RtmlibPose(spec.removeprefix(PREFIX))
    else:
        raise UserError(
            f"--detector {spec}: unknown; use {DEFAULT}, {PREFIX}{MODES[1]}, or the path of a model that ends in .onnx or "
            ".task"
        )
    if joint_set not in (None, detector.joint_set):
        raise UserError(f"--joint-set {joint_set}: {detector.name} finds joints of the set {detector.joint_set}")
    return detector


def _open_onnx(path: str, joint_set: str | None, person_detector: str | None, heatmap_decoding: str | None) -> Detector:
    """A model of the whole image, or a top-down one with or without a person detector, by the shapes of its outputs."""
    if person_detector is not None:
        model = PoseModel(path, joint_set, heatmap_decoding)
        return TopDown(PersonDetector(OnnxFile(person_detector, "--person-detector", WHOLE_IMAGE)), model)
    file = OnnxFile(path, "--detector", WHOLE_IMAGE)
    # heatmaps are one output of four dimensions, SimCC are two of three
    if heatmap_decoding is None and sorted(file.ranks) in ([3], [3, 4]):
        return MultiPerson(file, joint_set)
    return SinglePerson(PoseModel(path, joint_set, heatmap_decoding))
