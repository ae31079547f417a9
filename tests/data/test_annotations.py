import copy
import json
from pathlib import Path

import numpy as np
import pytest

from data.Human36M.annotations import Motion, find_file, read_subject, write_subject
from lib.camera import camera_to_pixel, look_at, world_to_camera
from lib.errors import UserError
from tests.annotation_files import PARTS, subject_contents, write_annotations, write_contents


def refusal(folder: Path, subject: int = 1, **arguments) -> str:
    """The message of the UserError that reading raises: one line that names a file of the subject."""
    with pytest.raises(UserError) as error:
        read_subject(folder, subject, **arguments)
    message = str(error.value)
    assert len(message.splitlines()) == 1
    assert f"{folder}" in message
    assert f"Human36M_subject{subject}_" in message
    return message


@pytest.fixture
def contents() -> dict[str, dict]:
    """Files of subject 1: actions 2 and 3, cameras 1 and 2, frames 0, 5 and 10."""
    return subject_contents(1, frames=(0, 5, 10))


# ---- writing and reading back


def motion(rng: np.random.Generator, **changed) -> Motion:
    """Four frames of a small person who jumps about the origin."""
    values = {
        "subject": 5, "action_idx": 4, "subaction_idx": 2, "action_name": "Eating", "frame_idx": np.array([0, 5, 10, 20]),
        "joints": rng.normal(0, 200, (4, 17, 3)) + [0, 0, 900], "pose": rng.normal(0, 1, (4, 72)),
        "betas": rng.normal(0, 1, 10), "transl": rng.normal(0, 1, (4, 3)),
    }  # fmt: skip
    return Motion(**values | changed)


def studio() -> dict:
    places = {1: (5000, 0, 1500), 3: (0, -5000, 1200)}
    return {i: look_at(p, (0, 0, 900), (1145, 1144), (512, 515), 1000, 1002) for i, p in places.items()}


def test_what_is_written_is_read_back_within_the_rounding(tmp_path):
    rng = np.random.default_rng(0)
    motions = [motion(rng), motion(rng, action_idx=5, action_name="Greeting", subaction_idx=1)]
    assert write_subject(tmp_path, motions, studio()) == 2 * 4 * 2
    read = read_subject(tmp_path, 5)
    assert (read.without_smpl, read.bad_boxes) == (0, 0)
    assert read.action_names == {2: "Eating", 3: "Greeting"}
    assert len(read.names) == 16
    for name, action, frame, camera, size in zip(
        read.names, read.actions, read.frame, read.camera, read.image_size, strict=True
    ):
        # s_05_act_04_subact_02_ca_01_000010.jpg
        _, _, _, act, _, subact, _, ca, number = name.removesuffix(".jpg").split("_")
        source = next(m for m in motions if m.action_idx == int(act))
        assert (int(subact), action) == (source.subaction_idx, source.action_idx - 2)
        row = source.frame_idx.tolist().index(int(number))
        np.testing.assert_allclose(read.joints[frame], source.joints[row], rtol=0, atol=0.0005 + 1e-9)
        np.testing.assert_allclose(read.pose[frame], source.pose[row], rtol=0, atol=0.5e-5 + 1e-12)
        np.testing.assert_allclose(read.betas[frame], source.betas, rtol=0, atol=0.5e-5 + 1e-12)
        np.testing.assert_allclose(read.transl[frame], source.transl[row], rtol=0, atol=0.5e-6 + 1e-12)
        want = studio()[int(ca)]
        for part in "Rtfc":
            np.testing.assert_array_equal(getattr(read, part)[camera], getattr(want, part))
        assert size.tolist() == [want.width, want.height]


def test_boxes_are_the_joints_extent_in_the_picture(tmp_path):
    source = motion(np.random.default_rng(1))
    write_subject(tmp_path, [source], studio())
    data = json.loads((tmp_path / "Human36M_subject5_data.json").read_text())
    images = {image["id"]: image for image in data["images"]}
    assert len(images) == len(data["annotations"]) == 8
    for annotation in data["annotations"]:
        image = images[annotation["image_id"]]
        camera = studio()[image["cam_idx"]]
        seen = world_to_camera(source.joints[source.frame_idx.tolist().index(image["frame_idx"])], camera.R, camera.t)
        pixels = camera_to_pixel(seen, camera.f, camera.c)
        x, y, w, h = annotation["bbox"]
        np.testing.assert_allclose([[x, y], [x + w, y + h]], [pixels.min(0), pixels.max(0)], rtol=0, atol=0.0101)


def test_frames_out_of_a_cameras_sight_get_no_image_of_it(tmp_path):
    source = motion(np.random.default_rng(2))
    source.joints[1] += [8000, 0, 0]  # behind camera 1, far beside the picture of camera 3
    source.joints[2, 4] += [0, 0, 3000]  # one joint above both pictures
    assert write_subject(tmp_path, [source], studio()) == 4
    read = read_subject(tmp_path, 5)
    assert sorted(name[-10:-4] for name in read.names) == ["000000", "000000", "000020", "000020"]


def test_one_call_writes_one_subject(tmp_path):
    rng = np.random.default_rng(3)
    with pytest.raises(ValueError, match=r"exactly one subject, got \[5, 6\]"):
        write_subject(tmp_path, [motion(rng), motion(rng, subject=6)], studio())
    with pytest.raises(ValueError, match="exactly one subject"):
        write_subject(tmp_path, [], studio())
    assert not list(tmp_path.iterdir())


# ---- what is kept


@pytest.mark.parametrize("ending", ["smpl_param", "smpl_camera", "SMPL_NeuralAnnot"])
def test_smpl_parameters_are_found_under_all_published_names(tmp_path, contents, ending):
    contents[ending] = contents.pop("smpl_param")
    write_contents(tmp_path, 1, contents)
    assert find_file(tmp_path, 1, "smpl").name == f"Human36M_subject1_{ending}.json"
    assert len(read_subject(tmp_path, 1).names) == 12


def test_samples_carry_the_numbers_of_their_files(tmp_path, contents):
    write_contents(tmp_path, 1, contents)
    read, images = read_subject(tmp_path, 1), {image["id"]: image for image in contents["data"]["images"]}
    assert len(read.joints) == 2 * 3  # a frame stands once, however many cameras see it
    assert len(read.R) == 2
    for k, annotation in enumerate(contents["data"]["annotations"]):
        image = images[annotation["image_id"]]
        frame = [str(image[key]) for key in ("action_idx", "subaction_idx", "frame_idx")]
        smpl, joints = (contents[p][frame[0]][frame[1]][frame[2]] for p in ("smpl_param", "joint_3d"))
        assert read.names[k] == image["file_name"].split("/")[1]
        assert read.actions[k] == image["action_idx"] - 2
        assert read.image_size[k].tolist() == [image["width"], image["height"]]
        i, camera = read.frame[k], contents["camera"][str(image["cam_idx"])]
        for got, want in (
            (read.joints[i], joints), (read.pose[i], smpl["pose"]), (read.betas[i], smpl["shape"]),
            (read.transl[i], smpl["trans"]), *((getattr(read, p)[read.camera[k]], camera[p]) for p in "Rtfc"),
        ):  # fmt: skip
            np.testing.assert_array_equal(got, want)


def test_frame_stride_keeps_multiples_of_it(tmp_path, contents):
    write_contents(tmp_path, 1, contents)
    kept = {name[-10:-4] for name in read_subject(tmp_path, 1, frame_stride=10).names}
    assert kept == {"000001", "000011"}  # pictures are counted from 1, frames from 0
    assert len(read_subject(tmp_path, 1, frame_stride=5).names) == 12


def test_dropped_recordings_are_left_out_by_action_and_subaction(tmp_path):
    write_annotations(tmp_path, [9], actions=(2, 3), subactions=(1, 2), frames=(0,))
    read = read_subject(tmp_path, 9, dropped=frozenset({(2, 1), (3, 2), (4, 1)}))
    assert {name[5:21] for name in read.names} == {"act_02_subact_02", "act_03_subact_01"}
    assert len(read.joints) == 2


@pytest.mark.parametrize(
    ("bbox", "valid"),
    [
        # valid: w h > 0 and, with x2 = x + w - 1 and y2 = y + h - 1, x2 >= x and y2 >= y
        ([10, 20, 30, 40], True),
        ([10, 20, 1, 1], True),
        ([-50, -60, 2000, 3000], True),
        ([10.5, 20.5, 1.25, 300.75], True),
        ([10, 20, 0, 40], False),
        ([10, 20, 30, 0], False),
        ([10, 20, 0.5, 40], False),
        ([10, 20, 30, 0.99], False),
        ([10, 20, -30, 40], False),
        ([10, 20, -30, -40], False),  # the product is positive
        ([10, 20, float("nan"), 40], False),
        ([float("nan"), 20, 30, 40], False),
    ],
)
def test_boxes_without_a_pixel_are_dropped_and_counted(tmp_path, contents, bbox, valid):
    contents["data"]["annotations"][3]["bbox"] = bbox
    write_contents(tmp_path, 1, contents)
    read = read_subject(tmp_path, 1)
    assert (len(read.names), read.bad_boxes) == ((12, 0) if valid else (11, 1))


def test_boxes_of_frames_that_the_stride_skips_are_not_counted(tmp_path, contents):
    images, annotations = contents["data"]["images"], contents["data"]["annotations"]
    for annotation in annotations:
        annotation["bbox"][2] = 0
    for image in images[:5]:
        image["frame_idx"] = 7
    annotations.append({"id": 1, "image_id": images[7]["id"], "bbox": [1, 2, 3, 4]})
    write_contents(tmp_path, 1, contents)
    assert read_subject(tmp_path, 1, frame_stride=5).bad_boxes == 7


@pytest.mark.parametrize("level", [1, 2, 3])
def test_frames_without_smpl_parameters_are_dropped_and_counted(tmp_path, contents, level):
    # A missing action is 3 frames x 2 cameras, a missing frame of one action 2 cameras. Joints are not asked for then.
    for part in ("smpl_param", "joint_3d"):
        path = ["2", "1", "5"][:level]
        tree = contents[part]
        for key in path[:-1]:
            tree = tree[key]
        del tree[path[-1]]
    write_contents(tmp_path, 1, contents)
    read, missing = read_subject(tmp_path, 1), 2 if level == 3 else 6
    assert read.without_smpl == missing
    assert len(read.names) == 12 - missing


@pytest.mark.parametrize("why", ["no SMPL parameters", "invalid boxes", "stride", "dropped"])
def test_a_subject_of_whom_nothing_is_kept_is_empty_and_no_error(tmp_path, contents, why):
    arguments = {}
    if why == "no SMPL parameters":
        contents["smpl_param"] = {}
    elif why == "invalid boxes":
        for annotation in contents["data"]["annotations"]:
            annotation["bbox"] = [0, 0, 0, 0]
    elif why == "stride":
        for image in contents["data"]["images"]:
            image["frame_idx"] += 1
        arguments["frame_stride"] = 50
    else:
        arguments["dropped"] = frozenset({(2, 1), (3, 1)})
    write_contents(tmp_path, 1, contents)
    read = read_subject(tmp_path, 1, **arguments)
    assert len(read.names) == 0
    assert read.joints.shape == (0, 17, 3)
    assert read.image_size.shape == (0, 2)
    assert read.without_smpl == (12 if why == "no SMPL parameters" else 0)
    assert read.bad_boxes == (12 if why == "invalid boxes" else 0)


# ---- what is told


@pytest.mark.parametrize("part", PARTS)
def test_a_missing_file_is_named_together_with_where_to_read_on(tmp_path, contents, part):
    write_contents(tmp_path, 1, contents)
    (tmp_path / f"Human36M_subject1_{part}.json").unlink()
    message = refusal(tmp_path)
    assert f"Human36M_subject1_{part}.json" in message
    assert "is missing" in message
    assert "docs/data.md" in message


def test_an_unknown_subject_and_a_missing_folder_name_the_file_looked_for(tmp_path, contents):
    write_contents(tmp_path, 1, contents)
    assert "Human36M_subject3_data.json is missing" in refusal(tmp_path, 3)
    assert "Human36M_subject1_data.json is missing" in refusal(tmp_path / "nowhere", 1)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda text: "", "not valid JSON (it is empty)"),
        (lambda text: text[:1], "not valid JSON"),
        (lambda text: text[: len(text) // 2], "not valid JSON"),
        (lambda text: text[:-1], "not valid JSON"),
        (lambda text: "<html>\n<body>Please log in</body>\n</html>", "not valid JSON"),
        (lambda text: "\ufeff" + text, "not valid JSON"),
        (lambda text: "[" * 200_000, "not valid JSON"),
        (lambda text: "[1, 2, 3]", "expected a JSON object, found list"),
        (lambda text: '"text"', "expected a JSON object, found str"),
        (lambda text: "null", "expected a JSON object, found NoneType"),
    ],
)
def test_files_that_are_no_json_objects_are_told_by_name(tmp_path, contents, part, damage, words):
    write_contents(tmp_path, 1, contents)
    path = tmp_path / f"Human36M_subject1_{part}.json"
    path.write_text(damage(path.read_text()))
    message = refusal(tmp_path)
    assert message.startswith(f"{path}: ")
    assert words in message


@pytest.mark.parametrize("part", PARTS)
def test_bytes_that_are_no_text_are_told_by_name(tmp_path, contents, part):
    write_contents(tmp_path, 1, contents)
    path = tmp_path / f"Human36M_subject1_{part}.json"
    path.write_bytes(b"\x80\x04\xff\xfe" * 20)
    assert refusal(tmp_path).startswith(f"{path}: is not valid JSON")


@pytest.mark.parametrize("part", PARTS)
def test_a_folder_in_place_of_a_file_counts_as_missing(tmp_path, contents, part):
    write_contents(tmp_path, 1, contents)
    path = tmp_path / f"Human36M_subject1_{part}.json"
    path.unlink()
    path.mkdir()
    assert path.name in refusal(tmp_path)


def changed(path: tuple, value: object):
    """Edit of contents: the value at `path` replaced, or deleted when `value` is `DELETED`."""

    def edit(contents):
        for key in path[:-1]:
            contents = contents[key]
        if value is DELETED:
            del contents[path[-1]]
        else:
            contents[path[-1]] = value

    return edit


DELETED = object()
FRAME = ("2", "1", "5")
NAN17 = [[0.0, 0.0, 0.0]] * 16 + [[0.0, float("nan"), 0.0]]


@pytest.mark.parametrize(
    ("part", "edit", "words"),
    [
        ("data", changed(("images",), DELETED), "not a COCO-style file"),
        ("data", changed(("annotations",), DELETED), "not a COCO-style file"),
        ("data", changed(("images",), {}), "not a COCO-style file"),
        ("data", changed(("annotations",), []), "holds no annotations"),
        ("data", changed(("images",), []), "is missing"),
        ("data", changed(("images", 0, "file_name"), DELETED), "'file_name' is missing"),
        ("data", changed(("images", 0, "frame_idx"), DELETED), "'frame_idx' is missing"),
        ("data", changed(("images", 0, "width"), DELETED), "'width' is missing"),
        ("data", changed(("annotations", 0, "bbox"), DELETED), "'bbox' is missing"),
        ("data", changed(("annotations", 0, "bbox"), [1, 2, 3]), "not a COCO-style file"),
        ("data", changed(("annotations", 0), "text"), "not a COCO-style file"),
        ("data", changed(("images", 0, "width"), 0), "has a size of 0 x"),
        ("data", changed(("images", 0, "height"), 0), "x 0 pixels"),
        ("data", changed(("images", 0, "height"), -5), "x -5 pixels"),
        ("camera", changed(("2",), DELETED), "camera 2 is missing, but s_01_act_0"),
        ("camera", changed(("2",), None), "camera 2 is missing"),
        ("camera", changed(("2", "R"), DELETED), "camera 2: R must have (3, 3) numbers: 'R' is missing"),
        ("camera", changed(("2", "R"), [1, 2, 3]), "camera 2: R must have (3, 3) numbers"),
        ("camera", changed(("2", "t"), [1, 2]), "camera 2: t must have (3,) numbers"),
        ("camera", changed(("2", "f"), ["a", "b"]), "camera 2: f must have (2,) numbers"),
        ("camera", changed(("2", "c"), [1, float("nan")]), "camera 2: c holds NaN"),
        ("camera", changed(("2", "t"), [1, 2, float("inf")]), "camera 2: t holds NaN or infinite"),
        ("joint_3d", changed(FRAME, DELETED), "action 2 subaction 1 frame 5 is missing"),
        ("joint_3d", changed(FRAME[:2], DELETED), "action 2 subaction 1 frame"),
        ("joint_3d", changed(FRAME, [[0, 0, 0]] * 16), "action 2 subaction 1 frame 5: 16 x 3 numbers, expected 17"),
        ("joint_3d", changed(FRAME, [[0, 0, 0]] * 32), "32 x 3 numbers, expected 17 joints"),
        ("joint_3d", changed(FRAME, [[0, 0]] * 17), "17 x 2 numbers"),
        ("joint_3d", changed(FRAME, [[0, 0, 0]] * 16 + [[0, 0]]), "the joints are not 17 triples of numbers"),
        ("joint_3d", changed(FRAME, "text"), "the joints are not 17 triples of numbers"),
        (
            "joint_3d",
            changed(FRAME, NAN17),
            "NaN or infinite numbers in 1 frames, the first is action 2 subaction 1 frame 5",
        ),
        (
            "smpl_param",
            changed((*FRAME, "pose"), DELETED),
            "frame 5: not pose (72), shape (10), trans (3): 'pose' is missing",
        ),
        ("smpl_param", changed((*FRAME, "pose"), [0.0] * 69), "action 2 subaction 1 frame 5: not pose (72)"),
        ("smpl_param", changed((*FRAME, "shape"), [0.0] * 16), "not pose (72), shape (10)"),
        ("smpl_param", changed((*FRAME, "trans"), [0.0, "a", 0.0]), "action 2 subaction 1 frame 5"),
        ("smpl_param", changed((*FRAME, "trans"), [0, 0, float("nan")]), "NaN or infinite numbers in 1 frames"),
        ("smpl_param", changed(FRAME, [1, 2]), "action 2 subaction 1 frame 5"),
    ],
)
def test_wrong_contents_are_told_with_file_and_place(tmp_path, contents, part, edit, words):
    edit(contents[part])
    write_contents(tmp_path, 1, contents)
    message = refusal(tmp_path)
    assert f"Human36M_subject1_{part}.json" in message
    assert words in message
    assert len(message) < len(str(tmp_path)) + 250


def places(content: object, path: tuple = ()) -> list[tuple]:
    """Paths to every value of nested JSON, of lists the first element only."""
    children = (
        content.items() if isinstance(content, dict) else enumerate(content[:1]) if isinstance(content, list) else ()
    )
    return [p for key, value in children for p in (path + (key,), *places(value, path + (key,)))]


SMALL = subject_contents(1, cameras=(1,), frames=(0,))
PLACES = {part: places(SMALL[part]) for part in PARTS}


def told(folder: Path) -> str | None:
    """The UserError's message when reading subject 1 raises one."""
    try:
        read_subject(folder, 1)
    except UserError as error:
        return str(error)
    return None


def assert_read_or_told(tmp_path: Path, part: str, values: list) -> None:
    """Whatever stands at any place of the part, reading either works or raises one line that names a file."""
    write_contents(tmp_path, 1, SMALL)
    for path in PLACES[part]:
        for value in values:
            contents = copy.deepcopy(SMALL[part])
            changed(path, value)(contents)
            write_contents(tmp_path, 1, {part: contents})
            message, what = told(tmp_path), f"{value!r} at {part} {'.'.join(map(str, path))}"
            assert message is None or str(tmp_path / "Human36M_subject1_") in message, what
            assert message is None or len(message.splitlines()) == 1, what


@pytest.mark.parametrize("part", PARTS)
def test_any_value_of_a_wrong_kind_is_read_or_told(tmp_path, part):
    values = [None, True, -1, 0, 1.5, "", "text", [], [1], [[1]], {}, {"a": 1}, float("nan"), DELETED]
    assert_read_or_told(tmp_path, part, values)


@pytest.mark.parametrize("part", PARTS)
def test_any_number_that_is_too_large_is_read_or_told(tmp_path, part):
    assert_read_or_told(tmp_path, part, [1e30, 10**30, float("inf"), float("-inf")])
