import numpy as np
import pytest

from lib.errors import UserError
from lib.lifting.detectors.people import detect_people
from lib.lifting.detectors.pose_model import PoseModel, SinglePerson, decode_simcc

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def detect(model: PoseModel, frames: list[np.ndarray]):
    """The one person that the model follows through the frames."""
    (person,) = detect_people(SinglePerson(model), enumerate(frames), "video")
    return person


SIZE = (64, 48)  # height and width of the crop

# Joint j is where colour j % 3 is bright. The first step undoes the normalisation of the crop: v std / 255 + mean / 255.
STD, MEAN = np.array([58.395, 57.12, 57.375]) / 255, np.array([123.675, 116.28, 103.53]) / 255


def write_model(path, head: str, joints: int = 17, size=SIZE, input_shape=None):
    """A pose model that finds dots of pure red (joints 0, 3, ...), green (1, 4, ...) and blue (2, 5, ...)."""
    helper, H, W = onnx.helper, *size
    colour = np.arange(joints) % 3
    weight = np.zeros((joints, 3, 1, 1), np.float32)
    weight[np.arange(joints), colour, 0, 0] = STD[colour]
    constants = [
        onnx.numpy_helper.from_array(weight, "weight"),
        onnx.numpy_helper.from_array(MEAN[colour].astype(np.float32), "bias"),
    ]
    nodes = [helper.make_node("Conv", ["picture", "weight", "bias"], ["bright"])]
    if head == "heatmap":
        nodes.append(
            helper.make_node("AveragePool", ["bright"], ["heatmaps"], kernel_shape=[5, 5], strides=[4, 4], pads=[2] * 4)
        )
        outputs = {"heatmaps": [1, joints, H // 4, W // 4]}
    else:
        nodes.append(helper.make_node("ReduceMax", ["bright"], ["x"], axes=[2], keepdims=0))
        nodes.append(helper.make_node("ReduceMax", ["bright"], ["y"], axes=[3], keepdims=0))
        outputs = {"x": [1, joints, W], "y": [1, joints, H]}
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "pose",
        [helper.make_tensor_value_info("picture", kind, input_shape or [1, 3, H, W])],
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in outputs.items()],
        constants,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def dots(size, red, green, blue, width=8) -> np.ndarray:
    """A black picture of (height, width) with a soft dot of each colour at x, y; width: standard deviation in pixels."""
    y, x = np.mgrid[: size[0], : size[1]]
    squared = [(x - u) ** 2 + (y - v) ** 2 for u, v in (red, green, blue)]
    return np.stack([255 * np.exp(-d / (2 * width**2)) for d in squared], axis=-1).round().astype(np.uint8)


@pytest.mark.parametrize("head", ["heatmap", "simcc"])
def test_joints_are_found_where_they_are_in_the_picture(tmp_path, head):
    model = PoseModel(write_model(tmp_path / "m.onnx", head))
    places = np.array([(300.0, 100.0), (350.0, 180.0), (260.0, 290.0)])
    found = detect(model, [dots((480, 640), *places, width=28)] * 2)
    assert found.joint_set == "coco"
    assert found.image_size == (640, 480)
    assert found.frames.tolist() == [0, 1]
    # a crop's pixel is 190 * 1.25 / 64, about 4, of the picture's, a heatmap's cell four times that
    error = np.linalg.norm(found.xy - places[np.arange(17) % 3], axis=-1).max()
    assert error < (12 if head == "heatmap" else 4)
    assert (found.scores > 0.7).all()


def test_a_person_who_walks_is_followed_and_may_leave_and_come_back(tmp_path):
    model = PoseModel(write_model(tmp_path / "m.onnx", "simcc"))
    shape = np.array([(0.0, -50.0), (15.0, 0.0), (-15.0, 50.0)])
    centres = [(100 + 12 * t, 150) for t in range(6)]
    frames = [dots((300, 400), *(shape + c)) for c in centres]
    frames[3] = np.zeros_like(frames[3])
    found = detect(model, frames)
    assert found.frames.tolist() == [0, 1, 2, 4, 5]
    wanted = np.array(centres)[[0, 1, 2, 4, 5], None] + shape[np.arange(17) % 3]
    assert np.linalg.norm(found.xy - wanted, axis=-1).max() < 8


def test_joints_that_the_model_is_not_sure_of_count_as_missing(tmp_path):
    model = PoseModel(write_model(tmp_path / "m.onnx", "simcc"))
    picture = dots((300, 400), (200, 100), (210, 150), (190, 200))
    picture[..., 2] //= 5  # blue at a fifth
    found = detect(model, [picture])
    assert np.isnan(found.xy[0, 2::3]).all()
    assert (found.scores[0, 2::3] == 0).all()
    assert np.isfinite(found.xy[0, 0::3]).all()


def test_a_video_without_people_is_one_clear_line(tmp_path):
    model = PoseModel(write_model(tmp_path / "m.onnx", "heatmap"))
    with pytest.raises(UserError, match=r"video: m\.onnx finds no person"):
        detect(model, [np.zeros((50, 60, 3), np.uint8)])


def test_open_input_shapes_get_the_usual_crop_and_26_joints_are_halpe(tmp_path):
    path = write_model(tmp_path / "m.onnx", "heatmap", 26, (256, 192), ["batch", 3, "height", "width"])
    model = PoseModel(path)
    assert model.input_size == (256, 192)
    assert model.joint_set == "halpe26"


def test_seventeen_joints_are_coco_unless_the_user_says_human36(tmp_path):
    path = write_model(tmp_path / "m.onnx", "heatmap")
    assert PoseModel(path).joint_set == "coco"
    assert PoseModel(path, "human36").joint_set == "human36"


def test_heatmaps_are_decoded_as_the_file_is_named_or_the_user_says(tmp_path):
    """A dot between two cells: only the Gaussian's peak is there, the quarter of a cell is beside it."""
    places = [(25.5, 30.5)] * 3  # cells of 4 x 4 pixels, averaged over 5 x 5
    image = dots(SIZE, *places, width=8)
    offset = {}
    for name, decoding in (("hrnet", None), ("hrnet_dark-8xb64", None), ("other", "dark")):
        model = PoseModel(write_model(tmp_path / f"{name}.onnx", "heatmap"), heatmap_decoding=decoding)
        offset[name] = np.abs(model.joints_in_crop(image)[0] - places[0]).max()
    assert offset["hrnet"] > 0.4
    assert offset["hrnet_dark-8xb64"] == offset["other"] < 0.1


def test_models_without_heatmaps_have_no_decoding(tmp_path):
    path = write_model(tmp_path / "m.onnx", "simcc")
    with pytest.raises(UserError, match=r"m\.onnx: writes no heatmaps, which --heatmap-decoding dark is for"):
        PoseModel(path, heatmap_decoding="dark")


def test_models_that_are_no_pose_models_are_refused_in_one_clear_line(tmp_path):
    with pytest.raises(UserError, match=r"13 joints; the known keypoint conventions are human36 \(17\)"):
        PoseModel(write_model(tmp_path / "odd.onnx", "heatmap", 13))
    with pytest.raises(UserError, match=r"17 joints, --joint-set is body25"):
        PoseModel(write_model(tmp_path / "set.onnx", "heatmap"), "body25")
    with pytest.raises(UserError, match=r"no pose model.*\[1, 4, 8, 8\] instead of one float image"):
        PoseModel(write_model(tmp_path / "input.onnx", "heatmap", input_shape=[1, 4, 8, 8]))
    (tmp_path / "text.onnx").write_text("text")
    with pytest.raises(UserError, match=r"text\.onnx: is no ONNX model"):
        PoseModel(tmp_path / "text.onnx")
    with pytest.raises(UserError, match="no such file"):
        PoseModel(tmp_path / "none.onnx")


def test_outputs_of_other_shapes_are_named(tmp_path):
    helper = onnx.helper
    graph = helper.make_graph(
        [helper.make_node("GlobalAveragePool", ["picture"], ["a"]), helper.make_node("Flatten", ["a"], ["classes"])],
        "classifier",
        [helper.make_tensor_value_info("picture", 1, [1, 3, 32, 32])],
        [helper.make_tensor_value_info("classes", 1, [1, 3])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "c.onnx")
    with pytest.raises(UserError, match=r"it writes \(1, 3\) instead of heatmaps"):
        PoseModel(tmp_path / "c.onnx")


def test_without_onnx_runtime_one_line_says_what_to_install(tmp_path, monkeypatch):
    path = write_model(tmp_path / "m.onnx", "heatmap")
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(UserError, match="pip install onnxruntime"):
        PoseModel(path)


def test_simcc_bins_are_parts_of_the_crop_and_the_lower_score_counts():
    along_x, along_y = np.zeros((1, 96)), np.zeros((1, 128))
    along_x[0, 31], along_y[0, 100] = 0.7, 0.9
    joints, scores = decode_simcc(along_x, along_y, (48, 64))  # two bins per pixel
    np.testing.assert_allclose(joints, [[15.5, 50]])
    np.testing.assert_allclose(scores, [0.7])
