import json
import zipfile

import numpy as np
import pytest

from data.detections import with_detections
from lib.camera import normalized_to_pixel
from lib.errors import UserError
from lib.joints import JOINT_SETS
from lib.joints.conversion import convert_joints
from tests.tables import random_table

TABLE = random_table(6)
PIXELS = normalized_to_pixel(TABLE.pose2d.astype(np.float64), *TABLE.image_size.astype(np.float64).T)


def entries(pixels=PIXELS, prefix=""):
    return {prefix + str(name): joints.tolist() for name, joints in zip(TABLE.names, pixels, strict=True)}


@pytest.fixture
def write(tmp_path):
    def write(content) -> str:
        path = tmp_path / "detections.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def test_detections_at_the_true_places_give_the_true_input_again(write):
    table = with_detections(TABLE, write(entries()), "human36")
    np.testing.assert_allclose(table.pose2d, TABLE.pose2d, atol=1e-6)
    assert table.pose2d.dtype == np.float32
    assert table.pose3d is TABLE.pose3d


def test_detections_are_found_by_picture_name_whatever_their_order_and_folder(write):
    moved = dict(reversed(entries(PIXELS + 5, "s_01\\clip/").items()))
    moved["of another video.jpg"] = [[0, 0]]
    table = with_detections(TABLE, write(moved), "human36")
    # 5 px of a picture's width w are 10 / w in normalized image coordinates
    shift = np.broadcast_to((10 / TABLE.image_size[:, 0])[:, None, None], TABLE.pose2d.shape)
    np.testing.assert_allclose(table.pose2d - TABLE.pose2d, shift, atol=1e-5)


def test_scores_are_allowed_and_npz_says_the_same_as_json(write, tmp_path):
    scored = np.concatenate([PIXELS, np.full((6, 17, 1), 0.5)], axis=2)
    one = with_detections(TABLE, write(entries(scored)), "human36")
    np.savez(tmp_path / "d.npz", names=TABLE.names, keypoints=scored)
    other = with_detections(TABLE, tmp_path / "d.npz", "human36")
    np.testing.assert_array_equal(one.pose2d, other.pose2d)


def test_another_joint_set_is_converted(write):
    coco = np.random.default_rng(0).uniform(0, 1000, (6, 17, 2))
    table = with_detections(TABLE, write(entries(coco)), "coco")
    want = normalized_to_pixel(table.pose2d.astype(np.float64), *TABLE.image_size.astype(np.float64).T)
    np.testing.assert_allclose(want, convert_joints(coco, "coco")[0], atol=1e-3)


def test_missing_detections_are_counted_and_the_first_few_named(write):
    some = entries()
    for name in TABLE.names[1:]:
        del some[str(name)]
    with pytest.raises(UserError, match="5 of 6 samples have no detection") as raised:
        with_detections(TABLE, write(some), "human36")
    assert all(str(name) in str(raised.value) for name in TABLE.names[1:6])
    assert str(TABLE.names[0]) not in str(raised.value)


def with_first(value):
    return entries() | {str(TABLE.names[0]): value}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is not a detection file"),
        ('{"a": [[1, 2]', "is not a detection file"),
        ("[1, 2]", "image name -> joints"),
        ("[" * 100_000, "is not a detection file"),
        (with_first([[1, 2]] * 16), "same number of joints"),
        (with_first([[1]] * 17), "same number of joints"),
        (with_first("joints"), "same number of joints"),
        (with_first(None), "same number of joints"),
        (with_first({"x": 1}), "same number of joints"),
        (with_first([[10**400, 2]] * 17), "same number of joints"),
        (with_first([[float("nan"), 2]] * 17), "NaN or infinite coordinates, first in picture_000000.jpg"),
        (entries(PIXELS[:, :16]), "16 joints per image, human36 has 17; name their set in DATASET.input_joint_set"),
        (entries(PIXELS[..., :1]), "each x, y and perhaps a score"),
    ],
)
def test_what_cannot_be_used_is_one_line_with_the_file(write, content, words):
    path = write(content)
    with pytest.raises(UserError) as raised:
        with_detections(TABLE, path, "human36")
    message = str(raised.value)
    assert message.startswith(f"{path}: ")
    assert words in message
    assert "\n" not in message


def test_the_joint_set_asked_for_must_fit(write):
    with pytest.raises(UserError, match=f"17 joints per image, body25 has {len(JOINT_SETS['body25'])}"):
        with_detections(TABLE, write(entries()), "body25")


@pytest.mark.parametrize("kind", ["no names", "no array", "lengths differ", "cut", "objects", "text"])
def test_an_unusable_npz_is_one_line_and_runs_nothing(tmp_path, kind):
    path = tmp_path / "d.npz"
    arrays = {"names": TABLE.names, "keypoints": PIXELS}
    if kind == "no names":
        del arrays["names"]
    if kind == "no array":
        arrays["keypoints"] = np.array(3.0)
    if kind == "lengths differ":
        arrays["names"] = TABLE.names[1:]
    if kind == "objects":
        arrays["names"] = np.array([lambda: 1, 2], dtype=object)[1:]
    np.savez(path, **arrays)
    if kind == "cut":
        path.write_bytes(path.read_bytes()[:-40])
    if kind == "text":
        path.write_text("no archive")
    with pytest.raises(UserError) as raised:
        with_detections(TABLE, path, "human36")
    assert str(raised.value).startswith(f"{path}: is not a detection file (")


def test_an_npz_whose_header_promises_more_than_it_holds_is_refused(tmp_path):
    header = np.lib.format.magic(1, 0)
    text = "{'descr': '<f8', 'fortran_order': False, 'shape': (900000000000, 17, 2), }"
    text = text.ljust(117) + "\n"
    path = tmp_path / "d.npz"
    np.savez(path, names=TABLE.names)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("keypoints.npy", header + len(text).to_bytes(2, "little") + text.encode() + bytes(64))
    with pytest.raises(UserError, match="is not a detection file"):
        with_detections(TABLE, path, "human36")


def test_an_npz_that_unpacks_to_gigabytes_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("data.detections.MAX_BYTES", 100_000)
    path = tmp_path / "d.npz"
    np.savez_compressed(path, names=TABLE.names, keypoints=np.zeros((6, 17_000, 2)))
    assert path.stat().st_size < 100_000
    with pytest.raises(UserError, match="unpacks to more than"):
        with_detections(TABLE, path, "human36")


def test_a_missing_file_a_folder_and_too_large_a_file_are_told(tmp_path, write, monkeypatch):
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(UserError, match=r"DATASET\.detection_file cannot be read"):
            with_detections(TABLE, path, "human36")
    monkeypatch.setattr("data.detections.MAX_BYTES", 10)
    with pytest.raises(UserError, match="larger than"):
        with_detections(TABLE, write(entries()), "human36")
