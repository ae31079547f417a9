import numpy as np
import pytest

from lib.errors import UserError
from lib.lifting.detectors.factory import open_detector
from lib.lifting.detectors.onnx_file import OnnxFile
from lib.lifting.detectors.top_down import PersonDetector
from tests.lib.lifting.detectors.test_pose_model import dots
from tests.lib.lifting.detectors.test_pose_model import write_model as write_pose_model

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

SIZE = (64, 96)


def write_detector(path, boxes, classes=None, *, rtmdet=False, pixel=None, size=SIZE):
    """A person detector that writes constant boxes (K, 5); its first layer is YOLOX's or RTMDet's. pixel (channel, y, x): the
    first left edge is what it reads there."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    boxes = np.array(boxes, np.float32)[None]
    classes = np.zeros(boxes.shape[:2], np.int64) if classes is None else np.array([classes])
    mask = np.zeros(boxes.shape, np.float32)
    if pixel:
        boxes[0, 0, 0], mask[0, 0, 0] = 0, 1
    begin = np.array([0, *(pixel or (0, 0, 0))])
    arrays = {"values": boxes, "mask": mask, "classes": classes, "from": begin, "to": begin + 1, "one": np.array([1])}
    arrays |= {
        "identity": np.eye(3, dtype=np.float32)[..., None, None],
        "zero": np.zeros(4, int),
        "all": np.full(4, 10**6),
    }
    first = ("Conv", ["image", "identity"]) if rtmdet else ("Slice", ["image", "zero", "all"])
    nodes = [
        helper.make_node(first[0], first[1], ["seen"]),
        helper.make_node("Slice", ["seen", "from", "to"], ["pixel"]),
        helper.make_node("Reshape", ["pixel", "one"], ["read"]),
        helper.make_node("Mul", ["mask", "read"], ["placed"]),
        helper.make_node("Add", ["values", "placed"], ["dets"]),
        helper.make_node("Identity", ["classes"], ["labels"]),
    ]
    graph = helper.make_graph(
        nodes,
        "people",
        [helper.make_tensor_value_info("image", kind, [1, 3, *size])],
        [
            helper.make_tensor_value_info("dets", kind, list(boxes.shape)),
            helper.make_tensor_value_info("labels", onnx.TensorProto.INT64, list(classes.shape)),
        ],
        [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return str(path)


def open_boxes(path):
    return PersonDetector(OnnxFile(path, "--person-detector", SIZE))


def test_joints_are_found_in_every_persons_own_box(tmp_path):
    """Two people, each three dots; boxes are in the detector's input, a fifth of the image at the upper left."""
    first, second = (np.array([(70, 60), (90, 120), (50, 200)]) + (x, 0) for x in (0, 220))
    image = np.maximum(dots((320, 480), *first, width=6), dots((320, 480), *second, width=6))
    boxes = [
        [8, 10, 20, 42, 0.9],
        [52, 10, 64, 42, 0.8],
        [52, 11, 64, 43, 0.7],
        [0, 0, 9, 9, 0.1],
        [70, 10, 90, 50, 0.9],
    ]
    people = write_detector(tmp_path / "people.onnx", boxes, [0, 0, 0, 0, 2])  # the last one is a car
    pose = write_pose_model(tmp_path / "pose.onnx", "simcc")
    found = open_detector(str(pose), person_detector=people)(image)
    assert found.shape == (2, 17, 3)
    for person, places in zip(found, (first, second), strict=True):
        assert np.linalg.norm(person[:, :2] - places[np.arange(17) % 3], axis=-1).max() < 4


def test_whoever_has_no_joints_in_their_box_is_nobody(tmp_path):
    people = write_detector(tmp_path / "people.onnx", [[8, 10, 20, 42, 0.9]])
    pose = write_pose_model(tmp_path / "pose.onnx", "simcc")
    assert open_detector(str(pose), person_detector=people)(np.zeros((320, 480, 3), np.uint8)).shape == (0, 17, 3)


@pytest.mark.parametrize(
    ("rtmdet", "channel", "value"), [(False, 0, 40), (False, 2, 200), (True, 0, (40 - 103.53) / 57.375)]
)
def test_yolox_reads_plain_and_rtmdet_normalized_bgr(tmp_path, rtmdet, channel, value):
    path = write_detector(tmp_path / "d.onnx", [[0, 10, 500, 42, 0.9]], rtmdet=rtmdet, pixel=(channel, 32, 40))
    boxes = open_boxes(path)(np.full((640, 960, 3), (200, 120, 40), np.uint8))
    np.testing.assert_allclose(boxes[0, 0], value * 10, rtol=1e-4)


def test_what_does_not_fit_is_one_line(tmp_path):
    pose = str(write_pose_model(tmp_path / "pose.onnx", "simcc"))
    with pytest.raises(
        UserError, match=r"is no person detector that can be used: it writes .* instead of boxes \(1, K, 5\)"
    ):
        open_boxes(pose)
    with pytest.raises(UserError, match="--person-detector needs a top-down pose model: --detector MODEL"):
        open_detector(None, person_detector=pose)
    with pytest.raises(UserError, match=r"none\.onnx: no such file; --person-detector needs"):
        open_detector(pose, person_detector=str(tmp_path / "none.onnx"))
