"""Files of other programs, read back; and what can be wrong with them."""

import builtins
import io
import json
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from lib.errors import UserError
from lib.joints import JOINT_SETS
from lib.lifting.keypoints.formats import begins_like_keypoints
from lib.lifting.keypoints.formats.body_parts import joint_names
from lib.lifting.keypoints.readers import read_keypoints
from tests import keypoint_files as files
from tests.films import write_film
from tests.stick_person import SIZE, detections, openpose_frame

COCO, PARTS = files.COCO, files.JOINTS


def saved(folder: Path, data) -> Path:
    path = folder / "input"
    path.write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())
    return path


def assert_people(people, values: np.ndarray, joints, tolerance: float = 1e-3):
    """people hold values (P, T, J, 3) in their joints; what has score 0 is missing."""
    assert len(people) == len(values)
    for k, v in zip(people, values, strict=True):
        rows = k.frames
        missing = v[rows][..., 2] == 0
        np.testing.assert_allclose(
            k.xy[:, joints], np.where(missing[..., None], np.nan, v[rows][..., :2]), atol=tolerance
        )


def without(values: np.ndarray, *frames: int) -> list[int]:
    return [t for t in range(values.shape[1]) if t not in frames]


# --- MediaPipe -------------------------------------------------------------------------------------------------------


def test_mediapipe_frames_of_several_people_know_the_size_and_become_pixels(tmp_path):
    people = read_keypoints(saved(tmp_path, files.mediapipe_json()))
    assert {(k.joint_set, k.image_size) for k in people} == {("mediapipe", SIZE)}
    assert_people(people, files.mediapipe_values(), range(33))


FRAMES = [files.landmarks(p) for p in files.mediapipe_values()[0][:5]]


@pytest.mark.parametrize(
    ("content", "frames"),
    [
        (FRAMES, [0, 1, 2, 3, 4]),
        ([FRAMES[0], None, FRAMES[2], [], FRAMES[4]], [0, 2, 4]),
        ([{"landmark": f} for f in FRAMES], [0, 1, 2, 3, 4]),
        ([{"frame_number": 3 * t, "landmarks": f} for t, f in enumerate(FRAMES)], [0, 3, 6, 9, 12]),
        ([{"pose_landmarks": {"landmark": f}} for f in FRAMES], [0, 1, 2, 3, 4]),
        ({"frames": [{"poseLandmarks": f} for f in FRAMES]}, [0, 1, 2, 3, 4]),
        (FRAMES[0], [0]),
        ({"landmarks": FRAMES[0]}, [0]),
    ],
)
def test_mediapipe_in_the_ways_scripts_save_it(content, frames, tmp_path):
    (k,) = read_keypoints(saved(tmp_path, content), image_size=SIZE)
    assert k.frames.tolist() == frames
    np.testing.assert_allclose(k.xy[0], files.mediapipe_values()[0, 0, :, :2], atol=1e-3)


def test_mediapipe_in_pixels_stays_in_pixels(tmp_path):
    pixels = [[{"x": x, "y": y, "score": s} for x, y, s in p.tolist()] for p in files.mediapipe_values()[0][:3]]
    (k,) = read_keypoints(saved(tmp_path, pixels), image_size=(999, 999))
    np.testing.assert_allclose(k.xy[0], files.mediapipe_values()[0, 0, :, :2])


# --- ViTPose ---------------------------------------------------------------------------------------------------------


def test_easy_vitpose_has_y_first_and_track_ids(tmp_path):
    people = read_keypoints(saved(tmp_path, files.easy_vitpose_json()))
    assert [k.person for k in people] == [3, 4]
    assert_people(people, COCO, range(17))


def test_vitpose_of_transformers_is_followed_without_ids(tmp_path):
    assert_people(read_keypoints(saved(tmp_path, files.transformers_json())), COCO, range(17))


# --- one image's people ----------------------------------------------------------------------------------------------

IMAGES = {
    "OpenPifPaf": files.openpifpaf_image,
    "MMPose": files.mmpose_image,
    "Ultralytics": files.ultralytics_image,
    "MoveNet": files.tensorflow_js_image,
    "PoseNet": files.posenet_image,
}


@pytest.mark.parametrize("image", IMAGES.values(), ids=IMAGES)
def test_an_image_a_list_of_images_lines_and_a_folder_hold_the_same_people(image, tmp_path):
    images = [image(COCO[:, t]) for t in range(COCO.shape[1])]
    (tmp_path / "folder").mkdir()
    for t, content in enumerate(images):
        (tmp_path / "folder" / f"walk_{t:03d}.predictions.json").write_text(json.dumps(content))
    numbered = "\n".join(json.dumps({"frame": t, "predictions": content}) for t, content in enumerate(images))
    ways = {
        "list": json.dumps(images),
        "lines": "\n".join(map(json.dumps, images)) + "\n",
        "numbered": numbered,
    }
    for name, text in ways.items():
        (tmp_path / name).write_text(text)
    for way in ("folder", *ways):
        people = read_keypoints(tmp_path / way, "coco")
        assert_people(people, COCO, range(17))
    alone = read_keypoints(saved(tmp_path, images[0]), "coco")
    assert_people(alone, COCO[:, :1], range(17))


def test_frames_of_nobody_are_gaps(tmp_path):
    images = [files.openpifpaf_image(COCO[:1, t]) if t != 2 else [] for t in range(5)]
    (k,) = read_keypoints(saved(tmp_path, images))
    assert k.frames.tolist() == [0, 1, 3, 4]


def test_frame_numbers_of_lines_and_track_ids_are_kept(tmp_path):
    lines = [{"frame": 10 * t, "predictions": files.openpifpaf_image(COCO[:, t], id_=7)[:1]} for t in range(1, 4)]
    (k,) = read_keypoints(saved(tmp_path, "\n".join(map(json.dumps, lines)).encode()))
    assert (k.person, k.frames.tolist()) == (7, [10, 20, 30])
    people = read_keypoints(saved(tmp_path, [files.ultralytics_image(COCO[:, t]) for t in range(3)]))
    assert [k.person for k in people] == [3, 4]


def test_openposes_25_joints_are_body25_where_geometry_says_nothing(tmp_path):
    values = detections(JOINT_SETS["body25"])[:1, 0]
    values[:, [*range(8, 15), *range(19, 25)], 2] = 0  # a face and arms at a table
    (k,) = read_keypoints(saved(tmp_path, openpose_frame(values)))
    assert k.joint_set == "body25"


BODY_18 = JOINT_SETS["body18"]


@pytest.mark.parametrize("parts", [False, True], ids=["pixels", "parts of the image"])
@pytest.mark.parametrize("folder", [False, True], ids=["list", "folder"])
def test_controlnets_canvas_is_the_images_size(parts, folder, tmp_path):
    values = detections(BODY_18)
    images = [files.controlnet_image(values[:, t], parts) for t in range(values.shape[1])]
    images[3][0]["people"].append({"pose_keypoints_2d": None, "face_keypoints_2d": [1, 2, 1]})
    for t, image in enumerate(images if folder else []):
        (tmp_path / f"{t:03d}.json").write_text(json.dumps(image))
    people = read_keypoints(tmp_path if folder else saved(tmp_path, [image[0] for image in images]))
    assert {(k.joint_set, k.image_size) for k in people} == {("body18", SIZE)}
    assert_people(people, values, range(18))


CONFIDENCES, TRACKS = (0.875, 0.9), (2, 1)


@pytest.mark.parametrize(
    ("after", "persons"),
    [((), [0, 1]), ((CONFIDENCES,), [0, 1]), ((TRACKS,), [2, 1]), ((CONFIDENCES, TRACKS), [2, 1])],
    ids=["keypoints", "confidence", "track", "confidence, track"],
)
def test_yolo_labels_with_what_may_follow_the_keypoints(after, persons, tmp_path):
    for t in range(COCO.shape[1]):
        (tmp_path / f"walk_{t}.txt").write_bytes(files.yolo_labels(COCO[:, t], *after))
    people = {k.person: k for k in read_keypoints(tmp_path, image_size=SIZE)}
    assert sorted(people) == sorted(persons)
    assert_people([people[p] for p in persons], COCO, range(17), tolerance=0.01)
    alone = read_keypoints(tmp_path / "walk_0.txt", image_size=SIZE)
    assert len(alone) == 2
    with pytest.raises(UserError, match="coordinates are parts of the image's width and height; give its size"):
        read_keypoints(tmp_path)


def test_sports2ds_pixels_know_their_joints_and_the_frame_rate(tmp_path):
    (k,) = read_keypoints(saved(tmp_path, files.sports2d_trc()))
    assert (k.joint_set, k.fps) == ("coco", 30)
    assert_people([k], COCO[:1][:, :, PARTS], PARTS)


# --- DeepLabCut and SLEAP --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("people", [1, 2])
@pytest.mark.parametrize("make", [files.deeplabcut_csv, files.deeplabcut_h5])
def test_deeplabcut_finds_joints_by_the_names_of_body_parts(make, people, tmp_path):
    if make is files.deeplabcut_h5:
        pytest.importorskip("h5py")
    found = read_keypoints(saved(tmp_path, make(people)))
    assert {k.joint_set for k in found} == {"coco"}
    assert_people(found, COCO[:people][:, :, PARTS], PARTS)
    assert np.isnan(found[0].xy[:, 1]).all()  # L_Eye is no body part there


@pytest.mark.parametrize("make", [files.sleap_csv, files.sleap_h5])
def test_sleap_tracks_are_persons(make, tmp_path):
    if make is files.sleap_h5:
        pytest.importorskip("h5py")
    assert_people(read_keypoints(saved(tmp_path, make())), COCO[:, :, PARTS], PARTS)


WIDE = {  # header of the frame, of the person, and of a joint's numbers; what x, y are multiplied by; whether scores are there
    "movenet script": ("frame", None, "{}_x,{}_y,{}_confidence", (1, 1), True),
    "mediapipe script": ("Frame_Number", None, "{}_x,{}_y,{}_visibility", (1 / SIZE[0], 1 / SIZE[1]), True),
    "sleap-io's instances": ("frame_idx", "track", "{}.x,{}.y,{}.score", (1, 1), True),
    "no scores": ("frame", "person", "{} X,{} Y", (1, 1), False),
    "no frames": (None, None, "{}_x,{}_y,{}_c", (1, 1), True),
}


@pytest.mark.parametrize("case", WIDE)
def test_tables_with_a_column_for_every_number_of_a_joint(case, tmp_path):
    frame, person, numbers, scale, scored = WIDE[case]
    lines = [",".join([*filter(None, (frame, person)), *(numbers.replace("{}", p) for p in files.PARTS)])]
    values = COCO[: 2 if person else 1].copy()
    values[~(values[..., 2] > 0)] = 0
    for t in range(values.shape[1]):
        for i, v in enumerate(values[:, t, PARTS]):
            cells = [*([t] if frame else []), *([f"p{i}"] if person else [])]
            lines.append(",".join(map(str, [*cells, *(v * [*scale, 1])[:, : 3 if scored else 2].ravel().tolist()])))
    people = read_keypoints(saved(tmp_path, "\n".join(lines).encode()), image_size=SIZE)
    assert_people(people, values[:, :, PARTS], PARTS)


def test_empty_likelihoods_throughout_are_unknown_not_missing(tmp_path):
    lines = [line.split(",") for line in files.deeplabcut_csv().decode().splitlines()]
    for line in lines[3:]:
        line[3::3] = [""] * 13
    (k,) = read_keypoints(saved(tmp_path, "\n".join(map(",".join, lines)).encode()))
    assert_people([k], COCO[:1][:, :, PARTS], PARTS)


@pytest.mark.parametrize("columns", [1, 3])
def test_labels_of_deeplabcut_name_their_images(columns, tmp_path):
    lines = files.deeplabcut_csv().decode().splitlines()
    images = [",".join(["labeled-data", "walk", f"img{t:03d}.png"]) for t in range(COCO.shape[1])]
    header = [line.replace(",", "," * columns, 1) for line in lines[:3]]
    body = [image.replace(",", "/" if columns == 1 else ",") + line[line.index(",") :]
            for image, line in zip(images, lines[3:], strict=True)]  # fmt: skip
    (k,) = read_keypoints(saved(tmp_path, "\n".join(header + body).encode()))
    assert k.frames.tolist() == list(range(COCO.shape[1]))
    assert_people([k], COCO[:1][:, :, PARTS], PARTS)


@pytest.mark.slow
def test_a_table_that_pandas_wrote_is_read(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("tables")
    columns = pandas.MultiIndex.from_tuples([("net", p, c) for p in files.PARTS for c in ("x", "y", "likelihood")])
    frame = pandas.DataFrame(COCO[0][:, PARTS].reshape(30, -1), columns=columns)
    frame.to_hdf(tmp_path / "a.h5", key="df_with_missing", mode="w", format="table")
    assert_people(read_keypoints(tmp_path / "a.h5"), COCO[:1][:, :, PARTS], PARTS)


def test_blank_lines_before_a_table_are_skipped(tmp_path):
    assert_people(read_keypoints(saved(tmp_path, b"\n\r\n" + files.sleap_csv())), COCO[:, :, PARTS], PARTS)


def test_body_parts_that_are_no_joints_are_skipped_with_a_line(tmp_path):
    data = files.deeplabcut_csv().replace(b"right_ankle", b"racket")
    notes = []
    (k,) = read_keypoints(saved(tmp_path, data), notes=notes)
    assert np.isnan(k.xy[:, 16]).all()
    assert notes == [f"{tmp_path / 'input'}: no joints of coco, so skipped: racket"]


@pytest.mark.parametrize(
    ("parts", "joints"),
    [
        (["left_shoulder", "LShoulder", "shoulder_L", "L_Shoulder", "leftShoulder"], ["L_Shoulder"] * 5),
        (["RIGHT_KNEE", "right knee", "rknee", "KneeRight"], ["R_Knee"] * 4),
        (
            ["nose", "Head_Top", "mid_hip", "bigtoe_r", "left_foot_index"],
            ["Nose", "Head", "Pelvis", "R_BigToe", "L_BigToe"],
        ),
        (["tail", "left_wing", "lear", "rear"], [None, None, "L_Ear", "R_Ear"]),
        (["knee1", "elbow"], [None, None]),
    ],
)
def test_names_of_body_parts(parts, joints):
    assert joint_names(parts) == joints


def test_deeplabcuts_human_model_numbers_the_right_side_1():
    parts = ["ankle1", "knee1", "hip1", "hip2", "knee2", "ankle2", "wrist1", "elbow1", "shoulder1", "shoulder2", "elbow2",
             "wrist2", "chin", "forehead"]  # fmt: skip
    assert joint_names(parts)[:4] == ["R_Ankle", "R_Knee", "R_Hip", "L_Hip"]
    assert joint_names(parts)[-2:] == ["UpperNeck", "Head"]
    assert set(joint_names(parts)) <= set(JOINT_SETS["mpii"].names)


# --- VideoPose3D -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nested", [False, True])
def test_detectrons_archive_of_the_in_the_wild_script(nested, tmp_path):
    people = read_keypoints(saved(tmp_path, files.detectron_npz(nested=nested)))
    assert {(k.joint_set, k.image_size) for k in people} == {("coco", SIZE)}
    assert [k.frames.tolist() for k in people] == [without(COCO, 2)] * 2
    assert_people(people, COCO, range(17))


def test_the_custom_set_made_from_it(tmp_path):
    (k,) = read_keypoints(saved(tmp_path, files.custom_npz()))
    assert (k.joint_set, k.image_size) == ("coco", SIZE)
    np.testing.assert_allclose(k.xy, COCO[0, :, :, :2], atol=1e-3)


# --- what can be wrong -----------------------------------------------------------------------------------------------


def h5(**arrays) -> bytes:
    import h5py

    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        for name, array in arrays.items():
            file[name] = array
    return out.getvalue()


def lost_tracks() -> bytes:
    """A name that leads nowhere, as in a damaged file."""
    import h5py

    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        file["node_names"] = np.array([b"nose"])
        file["tracks"] = h5py.SoftLink("/nowhere")
    return out.getvalue()


def twice() -> bytes:
    import warnings
    import zipfile

    one, out = io.BytesIO(), io.BytesIO()
    np.save(one, np.arange(30))
    body = io.BytesIO()
    np.save(body, COCO)
    with zipfile.ZipFile(out, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr("keypoints.npy", body.getvalue())
        for _ in range(2):
            archive.writestr("frames.npy", one.getvalue())
    return out.getvalue()


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


CSV = files.deeplabcut_csv()
SLEAP = files.sleap_csv()

ERRORS = {
    "trc 3d": (files.sports2d_trc(z=1.5), "markers in 3D; 2D keypoints are needed"),
    "trc metres": (files.sports2d_trc(scale=0.002), r"look like metres; give Sports2D's file in pixels \(_px\)"),
    "trc cut off": (files.sports2d_trc()[:90], "five header lines, this one 2 lines; is the file complete"),
    "trc word": (files.sports2d_trc() + b"30\tx\n", "'x' is not a number"),
    "bvh": (b"HIERARCHY\nROOT Hips\n", "motion in 3D, which needs no lifting; main/prepare_data.py mocap imports it"),
    "sleap project h5": (lambda: h5(pred_points=np.ones(3)), "a SLEAP project; export its tracks"),
    "pifpaf half a joint": ([{"keypoints": [1.0] * 50}], "keypoints of person 0 of frame 0 holds 50 numbers"),
    "pifpaf then not": ([[{"keypoints": [1.0] * 51}], 3], "not one image's people as OpenPose"),
    "pifpaf broken line": (b'{"frame": 1, "predictions": []}\n{"frame": 2, "pre', "nor JSON line by line"),
    "ultralytics counts": (
        [{"keypoints": {"x": [1] * 17, "y": [1] * 16}}],
        "person 0 of frame 0 has 17 x, 16 y and 17 visible",
    ),
    "ultralytics not numbers": ([{"keypoints": {"x": ["a"], "y": [1]}}], "holds something that is not a number"),
    "ultralytics later list": (
        [{"keypoints": {"x": [1], "y": [1]}}, {"keypoints": []}],
        "keypoints of person 1 of frame 0 must be an object with x and y",
    ),
    "tensorflow.js text": ([{"keypoints": [{"x": "a", "y": 1}]}], "holds something that is not a number"),
    "tensorflow.js later": ([{"keypoints": [{"x": 1, "y": 1}, 3]}], "must be a list of JSON objects"),
    "controlnet sizes": (
        [{"people": [], "canvas_width": w, "canvas_height": 9} for w in (5, 6)],
        "images of different sizes",
    ),
    "controlnet half size": ([{"people": [], "canvas_width": 5.5, "canvas_height": 9}], "must be whole numbers"),
    "yolo word": (files.yolo_labels(COCO[:, 0]) + b"x", "labels hold something that is not a number"),
    "yolo boxes after": (files.yolo_labels(COCO[:1, 0]) + b"0 0.5 0.5 0.1 0.1", "people with 0 and 17 joints"),
    "npz twice": (twice, "holds 'frames' 2 times"),
    "mediapipe words": ([[{"x": "a", "y": 1}] * 33], "landmarks of frame 0 hold something that is not a number"),
    "mediapipe mixed": ([FRAMES[0], {"x": 3}], "frame 1 holds no landmarks"),
    "mediapipe hand": ([f[:21] for f in FRAMES], "21 joints per person; the known keypoint conventions"),
    "mediapipe size": (
        {"width": 1.5, "height": 2, "frames": FRAMES},
        r"width and height must be whole numbers, found '1\.5'",
    ),
    "vitpose list": ({"keypoints": [[1]], "skeleton": {}}, "'keypoints' must be a list with an object"),
    "vitpose few": ({"keypoints": [{"0": [1, 2]}], "skeleton": {}}, "person 0 of frame 0 holds 2 numbers"),
    "vitpose labels": (
        [[{"keypoints": [[1, 2], [3, 4]], "scores": [1, 1], "labels": [0, 5]}]],
        "person 0 of image 0 lacks joints .its labels are not 0, 1, 2",
    ),
    "vitpose other": ([[{"keypoints": [], "scores": []}], 3], "has 0 numbers in 'keypoints' and 0 in 'scores'"),
    "deeplabcut header": (b"scorer,a\nfoo,b\n1,2\n", "needs the header rows scorer, bodyparts and coords"),
    "deeplabcut header only": (b"\n".join(CSV.split(b"\n")[:3]), "no frame holds a person: a table with a header only"),
    "deeplabcut short line": (CSV + b"\n31,1,2", "line 34 has 2 numbers, the header 39 columns"),
    "deeplabcut word": (CSV.replace(b"\n1,", b"\n1,word,", 1).replace(b",0.86\n", b"\n", 1), "line 5"),
    "deeplabcut frame": (CSV.replace(b"\n1,", b"\nimg01.png,", 1), "frame numbers must be whole numbers"),
    "deeplabcut twice": (CSV.replace(b"left_hip", b"left_knee"), "a body part is there twice"),
    "deeplabcut same joint": (CSV.replace(b"left_hip", b"LKnee"), "body parts LKnee, left_knee are one joint"),
    "deeplabcut animal": (
        CSV.replace(b"left", b"paw").replace(b"right", b"ear"),
        "too few body parts are joints of a person .*left_shoulder, right_knee",
    ),
    "deeplabcut coordinate": (CSV.replace(b"likelihood", b"z"), "is called 'z'; x, y and likelihood are needed"),
    "sleap line": (SLEAP + b"\ntrack_0,31", "not all lines have the 42 columns of the header"),
    "detectron plain": (
        lambda: _npz(boxes=np.ones((3, 2)), keypoints=np.ones((3, 17, 3))),
        r"keypoints of shape \(3, 17, 3\) beside 'boxes'",
    ),
    "detectron size": (lambda: files.detectron_npz({"w": "x", "h": 3}), "the image size must be whole numbers"),
    "custom two": (lambda: files.custom_npz(2), r"holds 2 sequences \(clip0.mp4, clip1.mp4\); save each"),
    "custom empty": (lambda: _npz(positions_2d=files.objects({})), "positions_2d holds no sequence"),
    "h5 other": (lambda: h5(a=np.ones(3)), "an HDF5 file with a; 'tracks' and 'node_names'"),
    "h5 broken": (lambda: files.sleap_h5()[:3000], "broken HDF5 file"),
    "h5 lost": (lost_tracks, "broken HDF5 file"),
    "h5 long names": (
        lambda: files.sleap_h5(node_names=np.array([b"\n" * 900] * 13)),
        r"too few body parts are joints of a person \(\?{30}, ",
    ),
    "sleap shape": (lambda: files.sleap_h5(tracks=np.ones((2, 3, 13, 30))), r"tracks have shape \(2, 3, 13, 30\)"),
    "sleap scores": (lambda: files.sleap_h5(point_scores=np.ones((2, 13))), r"point_scores have shape \(2, 13\)"),
    "deeplabcut h5 names": (lambda: files.deeplabcut_h5(kind=pickle.dumps([1, 2], 0)), "its columns are not"),
    "deeplabcut h5 count": (
        lambda: files.deeplabcut_h5(kind=pickle.dumps([("a", "nose", "x")], 0)),
        r"1 columns are named, the table has shape \(30, 39\)",
    ),
}


def _npz(**arrays) -> bytes:
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


@pytest.mark.parametrize("case", ERRORS)
def test_bad_files_are_refused_in_one_line_that_names_the_file(case, tmp_path):
    if "h5" in case or case in ("sleap shape", "sleap scores"):
        pytest.importorskip("h5py")
    data, message = ERRORS[case]
    path = saved(tmp_path, data() if callable(data) else data)
    with pytest.raises(UserError, match=message) as caught:
        read_keypoints(path, image_size=SIZE)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_parts_of_the_image_need_its_size(tmp_path):
    path = saved(tmp_path, FRAMES)
    with pytest.raises(UserError, match="parts of the image's width and height; give its size with --image-size W H"):
        read_keypoints(path)


def test_pickles_inside_are_never_executed(tmp_path):
    pytest.importorskip("h5py")
    trap = Trap(tmp_path / "sprung")
    for data in (
        files.detectron_npz({"w": trap, "h": 1}),
        _npz(positions_2d=files.objects({"a": {"custom": [trap]}})),
        files.deeplabcut_h5(kind=pickle.dumps([trap], 0)),
    ):
        with pytest.raises(UserError):
            read_keypoints(saved(tmp_path, data))
    assert not (tmp_path / "sprung").exists()


def test_hdf5_that_refers_to_other_files_is_refused(tmp_path):
    h5py = pytest.importorskip("h5py")
    (tmp_path / "secret").write_bytes(np.ones(2 * 2 * 13 * 30).tobytes())
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["node_names"] = np.array([p.encode() for p in files.PARTS])
        file.create_dataset("tracks", (2, 2, 13, 30), "f8", external=[(str(tmp_path / "secret"), 0, 12480)])
    with pytest.raises(UserError, match="tracks refers to other files"):
        read_keypoints(tmp_path / "a.h5")


def test_without_h5py_one_line_says_how_to_get_it(tmp_path, monkeypatch):
    path = saved(tmp_path, b"\x89HDF\r\n\x1a\n" + bytes(99))
    real = builtins.__import__

    def without_h5py(name, *a, **k):
        if name == "h5py":
            raise ImportError(name)
        return real(name, *a, **k)

    monkeypatch.setattr(builtins, "__import__", without_h5py)
    with pytest.raises(UserError, match="h5py reads HDF5 files; install it: python -m pip install h5py"):
        read_keypoints(path)


def test_keypoints_are_told_from_images_and_videos_by_how_the_file_begins(repository, tmp_path):
    samples = repository / "asset" / "samples"
    assert all(begins_like_keypoints(path) for path in samples.rglob("*"))
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    for ending in (".png", ".jpg", ".bmp", ".webp", ".tiff"):
        cv2.imwrite(str(tmp_path / f"image{ending}"), image)
    for ending, codec in ((".mp4", "mp4v"), (".avi", "MJPG")):
        write_film(tmp_path / f"video{ending}", [image], codec=codec)
    Image.fromarray(image).save(tmp_path / "image.gif")
    found = list(tmp_path.iterdir())
    assert len(found) == 8
    assert not any(begins_like_keypoints(path) for path in found)
