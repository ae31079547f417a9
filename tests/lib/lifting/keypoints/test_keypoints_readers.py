"""Every format read back, who is who without track ids, and one line for each thing a user can get wrong."""

import io
import json
import pickle
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lib.errors import UserError
from lib.joints import BODY_25, COCO_17, HALPE_26, HUMAN36M_17
from lib.lifting.keypoints.formats import detections as limits
from lib.lifting.keypoints.readers import read_keypoints
from lib.lifting.tracking import MAX_GAP
from tests.stick_person import (
    FRAMES,
    OPENPOSE_FRAMES,
    SIZE,
    alphapose,
    coco_dataset,
    coco_results,
    detections,
    mmpose,
    openpose_frame,
    write_csv,
    write_samples,
)

SAMPLES = Path(__file__).resolve().parents[4] / "asset" / "samples"
COCO = detections(COCO_17)


def assert_person(person, values: np.ndarray, score_tolerance=1e-6):
    """person holds values (T, J, 3), with NaN and score 0 where the score is 0."""
    missing = values[..., 2] == 0
    assert person.frames.tolist() == list(range(len(values)))
    np.testing.assert_allclose(person.xy, np.where(missing[..., None], np.nan, values[..., :2]), atol=1e-4)
    np.testing.assert_allclose(person.scores, values[..., 2], atol=score_tolerance)


def write(path: Path, content) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def npy(array: np.ndarray, **options) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def npz(**arrays) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


# --- the samples in the repository -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "asked", "joint_set", "people", "frames", "size"),
    [
        ("human36.npy", "human36", HUMAN36M_17, [0], FRAMES, None),
        ("coco.npz", "coco", COCO_17, [0, 1], FRAMES, SIZE),
        ("coco_results.json", None, COCO_17, [0, 1], FRAMES, None),
        ("mmpose.json", None, COCO_17, [0, 1], FRAMES, None),
        ("alphapose.json", None, HALPE_26, [1, 2], 20, None),
        ("openpose", None, BODY_25, [0, 1], OPENPOSE_FRAMES, None),
    ],
)
def test_samples_hold_the_stick_people(name, asked, joint_set, people, frames, size):
    found = read_keypoints(SAMPLES / name, asked)
    assert [k.person for k in found] == people
    for k, values in zip(found, detections(joint_set), strict=False):
        assert (k.image_size, k.source) == (size, str(SAMPLES / name))
        assert_person(k, values[:frames])


def test_csv_sample_names_its_joints_so_the_set_is_known():
    (k,) = read_keypoints(SAMPLES / "human36.csv")
    assert k.joint_set == "human36"
    assert_person(k, detections(HUMAN36M_17)[1])


def test_coco_dataset_sample_turns_visibility_into_scores_and_knows_the_picture_size():
    found = read_keypoints(SAMPLES / "coco_dataset.json")
    assert [k.person for k in found] == [0, 1]
    for k, values in zip(found, COCO[:, :15], strict=True):
        assert (k.joint_set, k.image_size) == ("coco", SIZE)
        s = values[..., 2:]
        assert_person(k, np.concatenate([values[..., :2], np.where(s > 0.9, 1, np.where(s > 0, 0.5, 0))], axis=-1))


def test_samples_are_what_their_generator_writes_and_small(tmp_path):
    write_samples(tmp_path)
    names = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    captured = {"lunge.npy"}  # motion of a person, not of a generator (asset/samples of CMU motion capture)
    assert names == sorted({str(p.relative_to(SAMPLES)) for p in SAMPLES.rglob("*") if p.is_file()} - captured)
    assert sum((SAMPLES / n).stat().st_size for n in names) < 200_000
    for name in {n.split("/")[0] for n in names}:
        asked = {"human36.npy": "human36", "coco.npz": "coco"}.get(name)
        for a, b in zip(read_keypoints(SAMPLES / name, asked), read_keypoints(tmp_path / name, asked), strict=True):
            # Other processors may round a tenth of a pixel the other way.
            np.testing.assert_allclose(a.xy, b.xy, atol=0.11)
            np.testing.assert_allclose(a.scores, b.scores, atol=0.51 if name == "coco_dataset.json" else 0.011)


# --- formats by content ----------------------------------------------------------------------------------------------

CONTENTS = {
    "npy": (npy(COCO), COCO),
    "npz": (npz(keypoints=COCO), COCO),
    "coco results": (coco_results(COCO), COCO),
    "mmpose": (mmpose(COCO), COCO),
    "mmpose frames": (mmpose(COCO)["instance_info"], COCO),
    "alphapose": (alphapose(COCO), COCO),
    "one picture of mmpose": (mmpose(COCO[:1])["instance_info"][0]["instances"], COCO[:1, :1]),
    "one openpose file": (openpose_frame(detections(BODY_25)[:, 0]), detections(BODY_25)[:, :1]),
}


@pytest.mark.parametrize("content", CONTENTS)
def test_formats_are_recognised_whatever_the_file_is_called(content, tmp_path):
    data, values = CONTENTS[content]
    asked = "body25" if "openpose" in content else "coco"
    found = read_keypoints(write(tmp_path / "data.txt", data), asked)
    assert len(found) == len(values)
    for k, v in zip(found, values, strict=True):
        assert_person(k, v)


def test_csv_round_trip_without_person_and_score_columns(tmp_path):
    write_csv(tmp_path / "full.csv", COCO[:1], COCO_17.names)
    lines = [line.split(",") for line in (tmp_path / "full.csv").read_text().splitlines()]
    (tmp_path / "short.csv").write_text("\n".join(",".join([c[0], c[2], c[3], c[4]]) for c in lines))
    (k,) = read_keypoints(tmp_path / "short.csv")
    assert k.joint_set == "coco"
    np.testing.assert_allclose(k.xy, COCO[0, ..., :2], atol=1e-4)
    assert (k.scores == 1).all()


def test_csv_worked_example_with_a_missing_joint_and_a_byte_order_mark(tmp_path):
    text = "\ufeffframe,joint,y,x\n4,Nose,20,10\n4,Pelvis,,\n6,Nose,21,11\n"
    (k,) = read_keypoints(write(tmp_path / "a.csv", text.encode()), "human36")
    assert k.frames.tolist() == [4, 6]
    assert k.xy[:, 9].tolist() == [[10, 20], [11, 21]]
    assert np.isfinite(k.xy[..., 0]).sum() == 2


def test_two_columns_mean_score_one_and_origin_means_missing(tmp_path):
    values = np.full((2, 26, 2), 5.0)
    values[1, 3] = 0
    (k,) = read_keypoints(write(tmp_path / "a", npy(values)))
    assert k.joint_set == "halpe26"
    assert k.scores.sum() == 51
    assert k.scores[1, 3] == 0


def test_frames_without_the_person_are_left_out(tmp_path):
    values = np.full((4, 25, 3), 5.0)
    values[1], values[2, :, 2] = np.nan, 0
    (k,) = read_keypoints(write(tmp_path / "a", npz(keypoints=values, frames=np.array([3, 4, 5, 9]))), "body25")
    assert k.frames.tolist() == [3, 9]
    assert (k.scores == 1).all()  # scores above 1 are cut off


def test_an_archive_may_know_its_frame_rate(tmp_path):
    values = np.full((2, 25, 3), 5.0)
    (timed,) = read_keypoints(write(tmp_path / "a", npz(keypoints=values, fps=np.array(12.5))), "body25")
    (untimed,) = read_keypoints(write(tmp_path / "b", npz(keypoints=values)), "body25")
    assert (timed.fps, untimed.fps) == (12.5, None)


def test_null_in_json_is_a_missing_joint(tmp_path):
    content = coco_results(COCO[:1, :2])
    content[0]["keypoints"][3:6] = [None, None, 0.9]
    (k,) = read_keypoints(write(tmp_path / "a", content))
    assert np.isnan(k.xy[0, 1]).all()
    assert k.scores[0, 1] == 0


@pytest.mark.parametrize(
    ("ids", "frames"),
    [
        ([7, 3], [7, 3]),
        (["clip_000007.jpg", "clip_000003.jpg"], [7, 3]),
        (["2024/cam1_x.jpg", "2024/cam1_a.jpg"], [1, 0]),  # the same last number: sorted names are counted
        (["b.jpg", "a.jpg"], [1, 0]),
    ],
)
def test_frame_numbers_come_from_ids_or_names(ids, frames, tmp_path):
    content = coco_results(COCO[:1, :2])
    for entry, image_id in zip(content, ids, strict=True):
        entry["image_id"] = image_id
    (k,) = read_keypoints(write(tmp_path / "a", content))
    assert k.frames.tolist() == sorted(frames)
    by_frame = dict(zip(k.frames.tolist(), k.xy[:, 0].tolist(), strict=True))
    assert by_frame == {f: COCO[0, t, 0, :2].tolist() for t, f in enumerate(frames)}


def test_frame_id_of_a_coco_datasets_image_wins_over_its_id(tmp_path):
    content = coco_dataset(COCO[:1, :2])
    for image, frame in zip(content["images"], (40, 41), strict=True):
        image["frame_id"] = frame
    (k,) = read_keypoints(write(tmp_path / "a", content))
    assert k.frames.tolist() == [40, 41]


def test_mmpose_names_its_data_set(tmp_path):
    content = {**mmpose(detections(HUMAN36M_17)), "meta_info": {"dataset_name": "h36m"}}
    assert {k.joint_set for k in read_keypoints(write(tmp_path / "a", content))} == {"human36"}


# --- who is who without track ids ------------------------------------------------------------------------------------


def test_people_without_ids_are_followed_when_their_order_in_the_file_changes(tmp_path):
    content = coco_results(COCO)
    for t in range(1, FRAMES, 2):
        content[2 * t], content[2 * t + 1] = content[2 * t + 1], content[2 * t]
    found = read_keypoints(write(tmp_path / "a", content))
    for k, values in zip(found, COCO, strict=True):
        assert_person(k, values)


def test_a_detection_far_away_is_somebody_new_and_a_short_pause_is_not(tmp_path):
    content = coco_results(COCO)
    del content[2 * 8 + 1 : 2 * 12 + 1 : 2]  # the second person is away in frames 8-11
    stranger = COCO[1, 20].copy()
    stranger[:, 0] += 300
    content.append({"image_id": 20, "keypoints": stranger.ravel().tolist(), "score": 0.2})
    found = read_keypoints(write(tmp_path / "a", content))
    assert [len(k.frames) for k in found] == [30, 26, 1]
    assert found[2].frames.tolist() == [20]


@pytest.mark.parametrize(
    ("change", "people"), [({"shift": 300}, 3), ({"shift": 0}, 2), ({"pause": int(25 * MAX_GAP)}, 4)]
)
def test_a_jump_or_a_long_pause_begins_somebody_new(change, people, tmp_path):
    values = COCO.copy()
    values[1, 15:, :, 0] += change.get("shift", 0)
    content = coco_results(values)
    for entry in content[30:]:
        entry["image_id"] += change.get("pause", 0)
    assert len(read_keypoints(write(tmp_path / "a", content))) == people


def test_one_detection_per_frame_is_one_person_however_far_it_jumps(tmp_path):
    content = coco_results(COCO[:1, :3])
    content[1]["keypoints"] = [v + 500 for v in content[1]["keypoints"]]
    assert len(read_keypoints(write(tmp_path / "a", content))) == 1


def test_track_ids_win_over_positions(tmp_path):
    content = coco_results(COCO[:, :2])
    for entry, track in zip(content, [5, 9, 9, 5], strict=True):
        entry["track_id"] = track
    found = read_keypoints(write(tmp_path / "a", content))
    assert [k.person for k in found] == [5, 9]
    assert found[0].xy[:, 0].tolist() == [COCO[0, 0, 0, :2].tolist(), COCO[1, 1, 0, :2].tolist()]


# --- what users get wrong --------------------------------------------------------------------------------------------

ENTRY = coco_results(COCO[:1, :1])[0]
DATASET = coco_dataset(COCO[:1, :2])
PERSON = {"pose_keypoints_2d": [5.0] * 75}
CSV = b"frame,person,joint,x,y,score\n"


def changed(content, **values):
    return {**content, **values}


ERRORS = {
    "empty file": (b" \n", "the file is empty"),
    "binary": (b"\xff\xd8\xff\xe0 picture", "neither .npy, .npz, HDF5 nor text in UTF-8"),
    "plain text": (b"hello\n", r"neither JSON nor CSV .* \(lacking: frame, joint, x, y\)"),
    "broken json": (b'[{"image_id": 1, "keyp', r"not valid JSON \(.*\); is the file complete\?"),
    "deep json": (b"[" * 200_000, "(nested too deeply|not valid JSON)"),
    "empty list": ([], "an empty JSON list, zero frames"),
    "list of numbers": ([1, 2], "a JSON list of int values is none of the known formats"),
    "list of others": ([{"b": 1, "a": 2}], "a JSON list of objects with the keys a, b is none"),
    "other object": ({"version": 1}, "a JSON object with the keys version is none of the known formats"),
    "mixed list": ([ENTRY, 3], "the file must be a list of JSON objects"),
    "no image_id": ([ENTRY, {"keypoints": ENTRY["keypoints"]}], "entry 1 has no 'image_id'"),
    "not triples": ([changed(ENTRY, keypoints=[1, 2])], "keypoints of entry 0 holds 2 numbers; x, y, score"),
    "not numbers": (
        [changed(ENTRY, keypoints=["a", 1, 2])],
        "keypoints of entry 0 holds something that is not a number",
    ),
    "ragged": ([changed(ENTRY, keypoints=[[1, 2], [1, 2, 3]])], "holds something that is not a number"),
    "half frame": ([changed(ENTRY, image_id=1.5)], r"frame and image ids must be whole numbers, found '1\.5'"),
    "nan frame": (b'[{"image_id": NaN, "keypoints": [1, 2, 3]}]', "ids must be whole numbers, found 'nan'"),
    "mixed counts": ([ENTRY, changed(ENTRY, keypoints=[5] * 75)], "people with 17 and 25 joints in one file"),
    "wrong count": (
        [changed(ENTRY, keypoints=[5] * 60)],
        r"20 joints per person; the known keypoint conventions are "
        r"human36 \(17\), coco \(17\), coco19 \(19\), body18 \(18\), body25 \(25\), body25b",
    ),
    "same person twice": (
        [changed(ENTRY, track_id=3), changed(ENTRY, track_id=3)],
        "person 3 is there twice in frame 0; track ids must be unique",
    ),
    "all scores zero": (
        [changed(ENTRY, keypoints=[5, 5, 0] * 17)],
        "no frame holds a person: every score is 0 or missing; where scores are unknown, write 1",
    ),
    "no coordinates": ([changed(ENTRY, keypoints=[None, None, 1] * 17)], "no coordinate is a finite number"),
    "openpose nobody": ({"people": []}, "no frame holds a person$"),
    "openpose no list": ({"people": 3}, "'people' must be a list of JSON objects"),
    "openpose no body": ({"people": [{}]}, "person 0 of frame 0 has no 'pose_keypoints_2d'"),
    "mmpose counts": (
        {"instance_info": [{"instances": [{"keypoints": [[1, 2, 3]], "keypoint_scores": [1]}]}]},
        "instance 0 of frame 0 has 3 numbers in 'keypoints' and 1 in 'keypoint_scores'",
    ),
    "dataset of boxes": (
        changed(DATASET, annotations=[{"image_id": 0, "bbox": [0, 0, 1, 1]}]),
        "zero frames: a COCO dataset in which no annotation has keypoints",
    ),
    "dataset lost image": (
        changed(DATASET, images=DATASET["images"][:1]),
        "annotation 1 is of image 1, which 'images'",
    ),
    "dataset mixed sizes": (
        changed(DATASET, images=[DATASET["images"][0], changed(DATASET["images"][1], width=640, height=480)]),
        r"images of different sizes \(1280 x 720, 640 x 480\)",
    ),
    "dataset zero size": (coco_dataset(COCO, (0, 720)), "image size 0 x 720 must be positive"),
    "npy ambiguous": (
        npy(np.random.default_rng(0).uniform(1, 99, (9, 17, 3))),
        "17 joints may be human36 or coco; choose one with --joint-set",
    ),
    "npy shape": (npy(np.ones((17, 2))), r"keypoints have shape \(17, 2\); needed is \(frames, joints, 2 or 3\)"),
    "npy last axis": (npy(np.ones((5, 17, 4))), r"shape \(5, 17, 4\); needed is"),
    "npy no frames": (npy(np.ones((0, 25, 3))), "no frame holds a person"),
    "npy pickled": (
        npy(np.array([{}]), allow_pickle=True),
        "the file holds pickled Python objects, which are not read",
    ),
    "npy text": (npy(np.array(["a"])), "the file is an array of type <U1, numbers are needed"),
    "npy cut off": (npy(COCO)[:-8], "shorter than in its header"),
    "npy header": (b"\x93NUMPY\x01\x00\x04\x00abcd", "broken .npy header"),
    "npy header open bracket": (npy(COCO).replace(b"), }  ", b"), } ("), "broken .npy header"),
    "npy huge claim": (
        npy(np.ones((1, 25, 3))).replace(b"(1, 25, 3), }         ", b"(10000000, 25, 3), }  "),
        "shorter than in its header",
    ),
    "npy empty but huge": (
        npy(np.ones((0, 25, 3))).replace(b"(0, 25, 3), }            ", b"(0, 10000000000, 3), }   "),
        "shorter than in its header",
    ),
    "npz other names": (npz(pose=np.ones(3)), "no array 'keypoints' in this .npz, it has pose"),
    "npz of a result": (
        npz(pose2d=np.ones((1, 17, 2)), pose3d=np.ones((1, 17, 3))),
        "it has pose2d, pose3d; it is a result: give the keypoints that it was made from",
    ),
    "npz broken": (npz(keypoints=COCO)[:500], "broken .npz"),
    "npz directory": (npz(keypoints=COCO).replace(b"PK\x05\x06", b"PK\x05\x07"), r"broken \.npz \(.*\); save it again"),
    "npz scores": (
        npz(keypoints=np.ones((4, 25, 2)), scores=np.ones((3, 25))),
        r"scores have shape \(3, 25\), which does not fit keypoints of shape \(4, 25, 2\)",
    ),
    "npz rate": (npz(keypoints=COCO, fps=np.array(np.nan)), "fps is nan; must be "),
    "npz rates": (npz(keypoints=COCO, fps=np.ones(4)), r"fps have shape \(4,\), which does not fit"),
    "csv header only": (CSV, "zero frames: a CSV file with a header only"),
    "csv not a number": (
        CSV + b"0,0,Nose,1,2,1\n0,0,Head,x,2,1\n",
        "line 3 does not fit the header frame,person,joint",
    ),
    "csv short line": (CSV + b"0,0,Nose\n", "line 2 does not fit the header"),
    "csv joints": (CSV + b"0,0,Tail,1,2,1\n", "no keypoint convention has the joints Tail"),
    "csv twice": (
        CSV + b"0,0,R_Heel,1,2,1\n0,0,Head,1,2,1\n0,0,R_Heel,1,2,1\n",
        "R_Heel of person 0 is there twice in frame 0",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_bad_files_are_refused_in_one_line_that_names_the_file(case, tmp_path):
    data, message = ERRORS[case]
    path = write(tmp_path / "input", data)
    with pytest.raises(UserError, match=message) as caught:
        read_keypoints(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="no such file or folder"):
        read_keypoints(tmp_path / "nothing.json")


def test_a_joint_set_with_another_count_is_refused_with_those_that_fit(tmp_path):
    path = write(tmp_path / "a", npy(COCO))
    with pytest.raises(UserError, match=r"but the convention body25 has 25; 17 fits human36 or coco$"):
        read_keypoints(path, "body25")


def test_a_csv_joint_outside_the_asked_set_is_refused(tmp_path):
    path = write(tmp_path / "a", CSV + b"0,0,R_Heel,1,2,1\n")
    with pytest.raises(UserError, match="the convention coco has no joint 'R_Heel'"):
        read_keypoints(path, "coco")


def test_another_picture_size_than_the_files_is_refused_and_the_same_is_not():
    path = SAMPLES / "coco_dataset.json"
    read_keypoints(path, image_size=SIZE)
    with pytest.raises(UserError, match="the file's images are 1280 x 720, --image-size is 10 x 20"):
        read_keypoints(path, image_size=(10, 20))


def test_the_callers_picture_size_is_used_where_the_file_has_none():
    assert read_keypoints(SAMPLES / "openpose", image_size=(3, 4))[0].image_size == (3, 4)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no .json or .txt files in this folder; it must hold one file per image"),
        ({"a.json": [ENTRY]}, r"a\.json: not one image's people as OpenPose, MMPose"),
        ({"a.txt": b"hello\n"}, r"a\.txt: no labels of YOLO-pose"),
        (
            {"a.json": {"people": []}, "b.json": openpose_frame(COCO[:, 0]), "c.json": [{"keypoints": [5.0] * 51}]},
            r"c\.json: OpenPifPaf's, while others in .* are OpenPose's; use one format",
        ),
        ({"a1.json": {"people": []}}, "no frame holds a person"),
    ],
)
def test_bad_folders_are_refused(files, message, tmp_path):
    for name, content in files.items():
        write(tmp_path / name, content)
    with pytest.raises(UserError, match=message):
        read_keypoints(tmp_path)


def test_size_limit_is_checked_before_reading_and_before_unpacking(tmp_path, monkeypatch):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("keypoints.npy", npy(np.zeros((2000, 25, 3))))
    files = {"a": packed.getvalue(), "b": npy(COCO) + bytes(5000)}
    monkeypatch.setattr(limits, "MAX_BYTES", 20_000)
    assert len(files["a"]) < 20_000
    with pytest.raises(UserError, match="what it unpacks to has"):
        read_keypoints(write(tmp_path / "a", files["a"]))
    with pytest.raises(UserError, match=r"b: the file has .* more than"):
        read_keypoints(write(tmp_path / "b", files["b"]))
    (tmp_path / "many").mkdir()
    for t in range(3):
        write(tmp_path / "many" / f"{t}.json", {"people": [], "text": "x" * 9000})
    with pytest.raises(UserError, match=r"many: the folder has .* more than"):
        read_keypoints(tmp_path / "many")


def test_a_pickle_is_never_executed(tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    for name, data in {
        "a": npy(np.array([Trap()], dtype=object), allow_pickle=True),
        "b": npz(keypoints=np.array([Trap()], dtype=object)),
        "c": pickle.dumps(Trap()),
    }.items():
        with pytest.raises(UserError):
            read_keypoints(write(tmp_path / name, data))
    assert not (tmp_path / "sprung").exists()


def test_damaged_files_never_end_in_anything_but_a_user_error(tmp_path):
    rng = np.random.default_rng(0)
    sources = [p for p in sorted(SAMPLES.iterdir()) if p.is_file()] + [
        SAMPLES / "openpose" / "walk_000000000003_keypoints.json"
    ]
    lines = []
    for source in sources:
        original = source.read_bytes()
        for _ in range(12):
            data = bytearray(original)
            for place in rng.integers(0, min(len(data), 1500), 3):
                data[place] = rng.choice(list(b'0,[]{}":-. xnul9'))
            try:
                read_keypoints(write(tmp_path / "damaged", bytes(data)), "coco")
            except UserError as error:
                lines.append(str(error))
    assert len(lines) > 30
    assert all(re.match(rf"{re.escape(str(tmp_path))}.*: ", line) for line in lines)
