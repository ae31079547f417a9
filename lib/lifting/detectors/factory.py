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
) -> Detector:
    """The detector for one video.

    spec: `mediapipe` (also None), `rtmlib:MODE`, the path of a MediaPipe model (.task), or of a pose model (.onnx).
    joint_set: for models whose number of joints leaves it open. person_detector: the path of a model (.onnx) that finds the
    people for a top-down model. max_persons: most people to look for, for detectors that have to be told (.task).
    UserError where it cannot be opened, with what to do.
    """
    spec = spec or DEFAULT
    ending = Path(spec).suffix.lower()
    if person_detector is not None:
        if ending != ".onnx":
            raise UserError("--person-detector needs a top-down pose model: --detector MODEL.onnx")
        model = PoseModel(spec, joint_set)
        return TopDown(PersonDetector(OnnxFile(person_detector, "--person-detector", WHOLE_IMAGE)), model)
    if spec == DEFAULT or ending == ".task":
        detector = MediaPipePose() if spec == DEFAULT else MediaPipeTask(spec, max_persons)
        if joint_set not in (None, detector.joint_set):
            raise UserError(f"--joint-set {joint_set}: {detector.name} finds joints of the set {detector.joint_set}")
        return detector
    if spec.startswith(PREFIX):
        return RtmlibPose(spec.removeprefix(PREFIX))
    if ending == ".onnx":
        file = OnnxFile(spec, "--detector", WHOLE_IMAGE)
        # heatmaps are one output of four dimensions, SimCC are two of three
        return (
            MultiPerson(file, joint_set)
            if sorted(file.ranks) in ([3], [3, 4])
            else SinglePerson(PoseModel(spec, joint_set))
        )
    raise UserError(
        f"--detector {spec}: unknown; use {DEFAULT}, {PREFIX}{MODES[1]}, or the path of a model that ends in .onnx or .task"
    )
