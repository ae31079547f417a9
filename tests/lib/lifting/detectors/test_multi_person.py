import numpy as np
import pytest

from lib.errors import UserError
from lib.lifting.detectors.factory import open_detector
from lib.lifting.detectors.multi_person import Letterbox

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

SIZE = (64, 96)  # height and width of the models' input
FAMILIES = ("yolo", "yolo_nms", "rtmo")


def candidates(joints=17):
    """Boxes (N, 4) left, top, right, bottom in the input, scores (N,), joints (N, J, 3): two people, the first one twice,
    and one below the threshold."""
    boxes = np.array([[8, 4, 28, 60], [9, 4, 29, 60], [50, 8, 80, 56], [2, 2, 9, 9]], np.float32)
    scores = np.array([0.8, 0.9, 0.7, 0.2], np.float32)
    steps = np.linspace(0, 1, joints, dtype=np.float32)[None, :, None]
    xy = boxes[:, None, :2] + steps * (boxes[:, None, 2:] - boxes[:, None, :2])
    sure = np.broadcast_to(np.where(np.arange(joints) == 3, 0.1, 0.9).astype(np.float32)[:, None], (*xy.shape[:2], 1))
    return boxes, scores, np.concatenate([xy, sure], axis=-1)


def outputs_of(family, boxes, scores, joints):
    """The candidates as a model of the family writes them."""
    flat = joints.reshape(len(joints), -1)
    if family == "yolo":
        middle = np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1)
        return {"output0": np.concatenate([middle, scores[:, None], flat], axis=1).T[None]}
    if family == "yolo_nms":
        rows = np.concatenate([boxes, scores[:, None], np.zeros((len(boxes), 1), np.float32), flat], axis=1)
        return {"output0": rows[None]}
    return {"dets": np.concatenate([boxes, scores[:, None]], axis=1)[None], "keypoints": joints[None]}


def write_model(path, outputs, probe=None, input_shape=(1, 3, *SIZE)):
    """A model that writes constants; probe: (output, index, pixel): one of these values is replaced by what the model reads
    at that pixel (channel, y, x) of its input."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    nodes, constants = [], []
    for name, values in outputs.items():
        mask, place = np.zeros(values.shape, np.float32), (0, 0, 0)
        if probe and probe[0] == name:
            values, place = values.copy(), probe[2]
            values[probe[1]], mask[probe[1]] = 0, 1
        arrays = {"values": values.astype(np.float32), "mask": mask}
        arrays |= {"from": np.array([0, *place]), "to": np.array([1, *place]) + [0, 1, 1, 1], "one": np.array([1])}
        constants += [onnx.numpy_helper.from_array(array, f"{name}_{key}") for key, array in arrays.items()]
        nodes += [
            helper.make_node("Slice", ["image", f"{name}_from", f"{name}_to"], [f"{name}_pixel"]),
            helper.make_node("Reshape", [f"{name}_pixel", f"{name}_one"], [f"{name}_read"]),
            helper.make_node("Mul", [f"{name}_mask", f"{name}_read"], [f"{name}_placed"]),
            helper.make_node("Add", [f"{name}_values", f"{name}_placed"], [name]),
        ]
    graph = helper.make_graph(
        nodes,
        "people",
        [helper.make_tensor_value_info("image", kind, list(input_shape))],
        [helper.make_tensor_value_info(name, kind, list(values.shape)) for name, values in outputs.items()],
        constants,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return str(path)


@pytest.mark.parametrize("family", FAMILIES)
def test_everybody_is_found_once_and_where_they_are_in_the_image(tmp_path, family):
    boxes, scores, joints = candidates()
    detector = open_detector(write_model(tmp_path / "m.onnx", outputs_of(family, boxes, scores, joints)))
    people = detector(np.zeros((320, 960, 3), np.uint8))  # shrunk to a tenth: 96 x 32, with 32 rows to spare
    assert detector.joint_set == "coco"
    above = 0 if family == "rtmo" else 16
    wanted = (joints[[1, 2], :, :2] - (0, above)) * 10  # the surer of the two copies first
    np.testing.assert_allclose(people[..., :2], wanted, atol=1e-3)
    assert (people[:, 3, 2] == 0).all()  # a joint that the model is not sure of
    np.testing.assert_allclose(np.delete(people[..., 2], 3, axis=1), 0.9)


@pytest.mark.parametrize("family", FAMILIES)
def test_nobody_is_an_empty_result(tmp_path, family):
    boxes, scores, joints = candidates()
    detector = open_detector(write_model(tmp_path / "m.onnx", outputs_of(family, boxes, 0 * scores, joints)))
    assert detector(np.zeros((64, 96, 3), np.uint8)).shape == (0, 17, 3)


@pytest.mark.parametrize(
    ("family", "channel", "value"),
    [("yolo", 0, 200 / 255), ("yolo_nms", 2, 40 / 255), ("rtmo", 0, 40), ("rtmo", 2, 200)],
)
def test_models_are_shown_colours_as_in_their_training(tmp_path, family, channel, value):
    """YOLO reads red, green, blue from 0 to 1, RTMO blue, green, red from 0 to 255; the model reports what it reads."""
    outputs = outputs_of(family, *candidates())
    name, place = {
        "yolo": ("output0", (0, 5, 1)),
        "yolo_nms": ("output0", (0, 1, 6)),
        "rtmo": ("keypoints", (0, 1, 0, 0)),
    }[family]
    path = write_model(tmp_path / "m.onnx", outputs, (name, place, (channel, 32, 40)))
    image = np.full((640, 960, 3), (200, 120, 40), np.uint8)
    people = open_detector(path)(image)
    np.testing.assert_allclose(people[0, 0, 0], value * 10, rtol=1e-5)  # as an x in the input, a tenth of the image's


def test_a_letterbox_keeps_proportions_and_fills_the_rest_with_grey():
    image = np.zeros((40, 20, 3), np.uint8)
    image[..., 0] = 255
    middle = Letterbox((64, 96), centred=True, rgb=True, unit=255.0)(image)[0]
    assert middle.shape == (3, 64, 96)
    assert (middle[0, :, 32:64] == 255).all()
    assert (middle[:, :, :32] == 114).all()
    assert (middle[:, :, 64:] == 114).all()
    corner = Letterbox((64, 96), centred=False, rgb=False, unit=255.0)(image)[0]
    assert (corner[2, :, :32] == 255).all()
    assert (corner[:, :, 32:] == 114).all()


def test_open_input_sizes_get_640_and_other_joint_sets_are_known_by_their_number(tmp_path):
    outputs = outputs_of("yolo", *candidates(26))
    detector = open_detector(write_model(tmp_path / "m.onnx", outputs, None, (1, 3, "height", "width")))
    assert detector.joint_set == "halpe26"
    people = detector(np.zeros((1280, 1280, 3), np.uint8))
    np.testing.assert_allclose(people[..., :2], candidates(26)[2][[1, 2], :, :2] * 2, atol=1e-3)


def test_other_shapes_are_named_with_what_was_expected(tmp_path):
    outputs = {"output0": np.zeros((1, 84, 100), np.float32)}  # a YOLO that finds things, not joints
    with pytest.raises(UserError, match=r"it writes \(1, 84, 100\) instead of YOLO-pose's \(1, 5 \+ 3 J, N\)"):
        open_detector(write_model(tmp_path / "m.onnx", outputs))
