import io
import json
import pickle
import re
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import main.predict
from lib.cli import run_command
from lib.lifting import PRETRAINED, quality
from lib.lifting.lifter import Lifter
from tests.films import write_film
from tests.lib.lifting.detectors.test_pose_model import dots, write_model
from tests.stick_person import SIZE, C, F, stick_people
from tests.tiny_weights import save_tiny_weights

SIZE_OPTION = ("--image-size", *SIZE)


@pytest.fixture
def run(monkeypatch, tmp_path, shared_predictors):
    """Run main/predict.py with tiny weights in an empty folder; returns its exit code."""
    monkeypatch.chdir(tmp_path)
    weights = save_tiny_weights(tmp_path / "weights" / "best.pth.tar")

    def start(*arguments) -> int:
        given = [] if "--weights" in arguments else ["--weights", weights]
        monkeypatch.setattr(sys, "argv", ["main/predict.py", *map(str, [*given, *arguments])])
        try:
            run_command(main.predict.main)
        except SystemExit as end:
            return end.code
        return 0

    return start


@pytest.fixture
def samples(repository):
    return repository / "asset" / "samples"


@pytest.mark.parametrize(
    ("sample", "options"),
    [
        ("human36.npy", ("--joint-set", "human36", *SIZE_OPTION)),
        ("coco.npz", ("--joint-set", "coco")),
        ("coco_results.json", SIZE_OPTION),
        ("coco_dataset.json", ()),
        ("openpose", SIZE_OPTION),
        ("mmpose.json", SIZE_OPTION),
        ("alphapose.json", SIZE_OPTION),
        ("human36.csv", SIZE_OPTION),
    ],
)
def test_every_sample_is_lifted(run, samples, tmp_path, capsys, sample, options):
    assert run("--input", samples / sample, *options, "--output", "out.npz") == 0
    with np.load(tmp_path / "out.npz") as z:
        assert z["pose3d"].shape[1:] == (17, 3)
        assert np.isfinite(z["pose3d"]).all()
        assert np.isnan(z["root"]).all()
        assert z["image_size"].tolist() == list(SIZE)
    out = capsys.readouterr().out
    assert re.search(r"person [01]: frames 0-\d+, \d+% of the image's longer side, limb lengths vary by", out)
    assert "positions are relative to each person's pelvis (--camera gives their place)" in out
    assert "image 1280 x 720 px, 25 frames per second (assumed), focal length 1536 px (assumed)" in out


def test_several_outputs_at_once_and_the_chosen_person_only(run, samples, tmp_path):
    code = run("--input", samples / "coco_dataset.json", "--output", "a.json", "b/c.CSV", "d.bvh", "--person", 1)
    assert code == 0
    content = json.loads((tmp_path / "a.json").read_text())
    assert [p["person"] for p in content["persons"]] == [1]
    assert (tmp_path / "b" / "c.CSV").is_file()
    assert (tmp_path / "d.bvh").read_text().startswith("HIERARCHY")


def test_all_files_that_were_written_are_named_and_new_folders_too(run, samples, tmp_path, capsys):
    common = ("--input", samples / "coco_dataset.json", "--output")
    assert run(*common, "new/out.bvh", "out.npz") == 0
    captured = capsys.readouterr()
    assert "written: new/out_person_0.bvh, new/out_person_1.bvh, out.npz\n" in captured.out
    assert "created the folder new\n" in captured.err
    assert {p.name for p in (tmp_path / "new").iterdir()} == {"out_person_0.bvh", "out_person_1.bvh"}
    assert run(*common, "new/out.obj") == 0
    captured = capsys.readouterr()
    assert "created" not in captured.err
    assert re.search(r"new/out_000000\.obj, .*, \.\.\., new/out_000014\.obj \(15 files\)\n", captured.out)


def test_one_absurd_number_is_skipped_with_a_line(run, samples, tmp_path, capsys):
    content = json.loads((samples / "coco_dataset.json").read_text())
    content["annotations"][8]["keypoints"][30] = 1e300
    (tmp_path / "in.json").write_text(json.dumps(content))
    assert run("--input", "in.json", "--output", "o.npz") == 0
    assert "person 0: 1 joint is far outside the image and treated as missing, in frame 4\n" in capsys.readouterr().err
    with np.load("o.npz") as z:
        assert np.isfinite(z["pose3d"]).all()
        assert np.abs(z["pose3d"]).max() < 10


def test_results_that_cannot_be_trusted_carry_warnings(run, samples, monkeypatch, capsys):
    monkeypatch.setattr(quality, "MAX_LIMB_SPREAD", 0.0)
    common = ("--input", samples / "openpose", "--output", "o.json")
    assert run(*common, *SIZE_OPTION) == 0
    assert "warning: person 0: limb lengths vary by" in capsys.readouterr().err
    assert json.loads(Path("o.json").read_text())["persons"][0]["warnings"]
    monkeypatch.setattr(quality, "MAX_LIMB_SPREAD", 10.0)
    assert run(*common, *SIZE_OPTION) == 0
    assert "limb lengths" not in capsys.readouterr().err
    assert run(*common, "--image-size", 40000, 40000) == 0
    assert "warning: the joints use only" in capsys.readouterr().err


def test_the_terminal_need_not_be_able_to_show_the_file_names(run, samples, tmp_path, monkeypatch):
    shown = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", shown)
    assert run("--input", samples / "coco_dataset.json", "--output", "ü.json", "a\udcff.html") == 0
    shown.flush()
    assert b"written: \\xfc.json, a\\udcff.html\n" in shown.buffer.getvalue()
    assert (tmp_path / "ü.json").exists()


def test_the_rate_is_the_users_or_the_default(run, samples, tmp_path):
    for options, rate in ((("--fps", 12.5), 12.5), ((), 25)):
        assert run("--input", samples / "coco_dataset.json", "--output", "o.json", *options) == 0
        assert json.loads((tmp_path / "o.json").read_text())["fps"] == rate


def test_a_camera_gives_every_person_a_place(run, samples, tmp_path, monkeypatch, capsys):
    def truth(lifter, people, fps, camera):
        sequences = untouched(lifter, people, fps, camera)
        for s in sequences:
            pose = np.stack([stick_people()[s.person][name] for name in s.joint_set.names], axis=1)[s.frames]
            s.pose3d[:] = pose - pose[:, :1]
        return sequences

    untouched = Lifter.lift
    monkeypatch.setattr(Lifter, "lift", truth)
    arguments = ["--input", samples / "coco_dataset.json", "--camera", *F, *C, "--output", "o.npz"]
    assert run(*arguments) == 0
    with np.load(tmp_path / "o.npz") as z:
        places = [
            stick_people()[person]["Pelvis"][frame] for person, frame in zip(z["person"], z["frame"], strict=True)
        ]
        np.testing.assert_allclose(z["root"], places, atol=0.03)  # pixels are given to a tenth
    out = capsys.readouterr().out
    assert "relative" not in out
    assert "focal length 1100 px\n" in out


@pytest.mark.parametrize("way", [["--smooth"], ["--smooth", "one-euro"]])
def test_smoothing_calms_the_result(run, samples, tmp_path, way):
    common = ("--input", samples / "human36.csv", *SIZE_OPTION)
    assert run(*common, "--output", "raw.npz") == 0
    assert run(*common, "--output", "smooth.npz", *way) == 0
    raw, smooth = (np.load(tmp_path / name)["pose3d"][:10] for name in ("raw.npz", "smooth.npz"))
    assert np.abs(np.diff(smooth, 2, axis=0)).mean() < np.abs(np.diff(raw, 2, axis=0)).mean()


def test_the_image_size_may_come_from_an_image(run, samples, tmp_path):
    cv2.imwrite("image.png", np.zeros((SIZE[1], SIZE[0], 3), np.uint8))
    assert run("--input", samples / "openpose", "--image", "image.png", "--output", "o.json") == 0
    assert json.loads((tmp_path / "o.json").read_text())["image_size"] == list(SIZE)


def test_a_bad_person_is_skipped_with_a_line_and_the_others_are_written(run, samples, tmp_path, capsys):
    content = json.loads((samples / "coco_dataset.json").read_text())
    for entry in content["annotations"]:
        if entry["track_id"] == 1:
            entry["keypoints"][15:] = [0] * len(entry["keypoints"][15:])  # nothing below the head
    (tmp_path / "in.json").write_text(json.dumps(content))
    assert run("--input", "in.json", "--output", "o.json") == 0
    assert [p["person"] for p in json.loads((tmp_path / "o.json").read_text())["persons"]] == [0]
    assert "skipped: in.json: person 1 (frames 0-14): fewer than 8" in capsys.readouterr().err
    assert run("--input", "in.json", "--output", "o.json", "--person", 1) == 2


def test_a_person_behind_a_table_is_lifted_with_imputed_legs_unless_more_joints_are_asked_for(
    run, samples, tmp_path, capsys
):
    content = json.loads((samples / "coco_dataset.json").read_text())
    for entry in content["annotations"]:
        entry["keypoints"][33:] = [0] * 18  # hips, knees and ankles
    (tmp_path / "in.json").write_text(json.dumps(content))
    assert run("--input", "in.json", "--output", "o.json") == 0
    person = json.loads((tmp_path / "o.json").read_text())["persons"][0]
    assert np.array(person["imputed"])[:, :8].all()
    assert not np.array(person["imputed"])[:, 8:11].any()
    assert "of the joints imputed" in capsys.readouterr().out
    assert run("--input", "in.json", "--output", "o.json", "--min-joints", 10) == 2
    assert "fewer than 10 of 17 joints are seen" in capsys.readouterr().err


def test_max_persons_and_one_person_name_what_they_skip(run, samples, tmp_path, capsys):
    assert run("--input", samples / "coco_dataset.json", "--output", "o.json", "--max-persons", 1) == 0
    assert len(json.loads((tmp_path / "o.json").read_text())["persons"]) == 1
    assert "frames 0-14: not one of the 1 seen most" in capsys.readouterr().err
    assert run("--input", samples / "coco_dataset.json", "--output", "o.json", "--one-person") == 0
    assert json.loads((tmp_path / "o.json").read_text())["persons"][0]["frames"] == list(range(15))
    assert "15 of 30 detections are not the best of their frame: skipped" in capsys.readouterr().err


def test_a_forced_joint_set_is_believed(run, samples, tmp_path):
    arguments = ("--input", samples / "coco.npz", "--output", "o.json", "--joint-set", "human36")
    assert run(*arguments) == 2
    assert run(*arguments, "--force") == 0


def test_a_video_is_lifted_with_a_detector(run, tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    write_model(tmp_path / "pose.onnx", "simcc")
    dotted("video.mp4", 4, step=5)
    assert run("--video", "video.mp4", "--detector", "pose.onnx", "--output", "o.json") == 0
    assert "time: 4 frames searched at" in capsys.readouterr().err
    content = json.loads((tmp_path / "o.json").read_text())
    assert content["fps"] == 20
    assert content["image_size"] == [320, 240]
    assert content["persons"][0]["frames"] == [0, 1, 2, 3]
    nose = np.array(content["persons"][0]["pose2d"])[:, content["joint_names"].index("Nose")]
    np.testing.assert_allclose(nose, [(150 + 5 * t, 60) for t in range(4)], atol=8)
    assert run("--video", "video.mp4", "--detector", "pose.onnx", "--embed-video", "--output", "o.html", "o.png") == 0
    assert re.search(r"o\.html: \d\.\d+ MB with images of the video", capsys.readouterr().err)
    assert (tmp_path / "o.html").read_text().count('"/9j/') == 4  # JPEG images, one per frame
    assert run("--video", "video.mp4", "--detector", "pose.onnx", "--clip", 0.05, 0.11, "--output", "o.json") == 0
    assert json.loads((tmp_path / "o.json").read_text())["persons"][0]["frames"] == [1, 2]


def dotted(path, frames, codec="mp4v", dark=(), step=2):
    """A video of the coloured dots that the test's pose model finds, black in some frames; the red one moves by `step` pixels."""
    images = [dots((240, 320), (150 + step * t, 60), (170, 120), (130, 190), width=14) for t in range(frames)]
    for t in dark:
        images[t][:] = 0
    return write_film(path, images, codec=codec)


def test_what_a_long_video_needs_is_said_before_it_is_searched(run, tmp_path, capfd, monkeypatch):
    """Ten hours at 25 frames per second: 900,000 frames of 5,500 bytes."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    write_model(tmp_path / "pose.onnx", "simcc")
    options = ("--video", dotted(tmp_path / "v.mp4", 3), "--detector", "pose.onnx", "--output", "o.json")
    assert run(*options) == 0
    assert "memory" not in capfd.readouterr().err
    monkeypatch.setattr("lib.lifting.lift_file.frame_count", lambda path: 900_000)
    assert run(*options) == 0
    first = capfd.readouterr().err.splitlines()[0]
    assert first.endswith("v.mp4: a long video; needs about 5.0 GB of memory per person (--clip takes a part)")


@pytest.mark.slow
def test_faulty_videos_are_used_as_far_as_they_go_or_named_in_one_line(run, tmp_path, capfd):
    """Black in the middle, black throughout, no frame rate, damaged in the middle, cut off at the end."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    write_model(tmp_path / "pose.onnx", "simcc")

    def lifted(path):
        code = run("--video", path, "--detector", "pose.onnx", "--output", "o.json")
        content = json.loads((tmp_path / "o.json").read_text()) if code == 0 else None
        return content, capfd.readouterr().err

    content, _ = lifted(dotted(tmp_path / "gap.mp4", 12, dark=range(4, 8)))
    assert content["persons"][0]["frames"] == [0, 1, 2, 3, 8, 9, 10, 11]

    content, errors = lifted(dotted(tmp_path / "black.mp4", 5, dark=range(5)))
    assert content is None
    assert "black.mp4: pose.onnx finds no person in any of 5 frames; " in errors
    assert "try another --detector" in errors
    assert errors.count("\n") == 1

    data = bytearray(dotted(tmp_path / "zero.avi", 6, "MJPG").read_bytes())
    header, stream = data.index(b"avih") + 8, data.index(b"strh") + 8
    data[header : header + 4] = data[stream + 24 : stream + 28] = bytes(4)  # microseconds per frame, frames per unit
    (tmp_path / "zero.avi").write_bytes(data)
    content, _ = lifted(tmp_path / "zero.avi")
    assert content["persons"][0]["frames"] == list(range(6))
    assert content["fps"] == 25  # which FFmpeg assumes itself

    data = bytearray(dotted(tmp_path / "damaged.mp4", 40).read_bytes())
    begin, end = (data.index(b"mdat") + int(part * len(data)) for part in (0.3, 0.5))
    data[begin:end] = np.random.default_rng(0).integers(0, 255, end - begin, np.uint8).tobytes()
    (tmp_path / "damaged.mp4").write_bytes(data)
    content, errors = lifted(tmp_path / "damaged.mp4")
    assert content["persons"][0]["frames"][-1] == 39
    assert re.search(r"damaged\.mp4: only \d+ of 40 frames can be read; the file is damaged", errors)

    data = dotted(tmp_path / "cut.avi", 40, "MJPG").read_bytes()
    (tmp_path / "cut.avi").write_bytes(data[: len(data) // 2])
    content, errors = lifted(tmp_path / "cut.avi")
    assert content["persons"][0]["frames"][0] == 0
    assert re.search(r"cut\.avi: only \d+ of 40 frames can be read", errors)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--input", "none.json", "--output", "o.npz"), "none.json: no such file"),
        (("--input", "none.json", "--output", "o.npz", "o.pdf"), "o.pdf: unknown ending '.pdf' for an output"),
        (("--input", "SAMPLES/openpose", "--output", "o.npz"), "the image size is unknown; give it with --image-size W H"),
        (("--input", "SAMPLES/coco.npz", "--joint-set", "human36", "--output", "o.npz"), "give --joint-set coco, or --force"),
        (("--input", "SAMPLES/coco.npz", "--output", "o.npz", "--max-persons", 0), "--max-persons 0: must be 1 or more"),
        (("--input", "SAMPLES/coco.npz", "--output", "o.npz", "--min-joints", 18), "--min-joints 18: must be 3 to 17"),
        (("--input", "SAMPLES/coco_dataset.json", "--output", "o.npz", "--person", 7), "no person 7; there are 0 (frames"),
        (("--input", "SAMPLES/coco_dataset.json", "--output", "o.npz", "--weights", "none"), "no .pth.tar file at none"),
        (("--input", "SAMPLES/coco_dataset.json", "--output", "o.npz", "--fps", 0), "--fps 0: must be 0.01 to 10000"),
        (("--input", "SAMPLES/coco_dataset.json", "--output", "o.mp4", "--fps", 1e300), "--fps 1e+300: must be 0.01 to"),
        (("--input", "SAMPLES/openpose", "--output", "o.npz", "--image-size", 10**22, 720), "width and height must be 1 to"),
        (("--input", "SAMPLES/openpose", "--output", "o.npz", "--image-size", 1280, 0), "width and height must be 1 to"),
        (("--input", "", "--output", "o.npz"), "--input: the path is empty"),
        (("--video", "", "--detector", "d.onnx", "--output", "o.npz"), "--video: the path is empty"),
        (("--input", "SAMPLES/coco_dataset.json", "--output", ""), "--output: the path is empty"),
        (("--input", "SAMPLES/coco_dataset.json", "--output", "a.npz", "x/../a.npz"), "--output: a.npz is named twice"),
        (("--input", "SAMPLES/coco_dataset.json", "--output", "d.npz/"), "--output: d.npz is a folder; name a file"),
        (("--input", "one_point.npy", *SIZE_OPTION, "--joint-set", "coco", "--output", "o.npz"), "all joints are within 4"),
        (("--input", "SAMPLES/coco_dataset.json", "--output", "o.npz", "--weights", "bad.pth.tar"), "bad.pth.tar: is not a"),
        (("--input", "SAMPLES/coco_dataset.json", "--output", "o.npz", "--camera", 0, 1, 2, 3), "--camera FX FY CX CY"),
        (("--input", "SAMPLES/coco.npz", "--detector", "d.onnx", "--output", "o.npz"), "--detector belongs to --video"),
        (("--input", "SAMPLES/coco.npz", "--embed-video", "--output", "o.html"), "--embed-video belongs to --video, which"),
        (("--video", "v.mp4", "--embed-video", 0, "--output", "o.html"), "--embed-video 0: must be above 0 and at most 500"),
        (("--input", "SAMPLES/coco.npz", "--mesh", "body", "--output", "o.html"), "--mesh body shows a fitted body; add --fit"),
        (("--input", "SAMPLES/coco.npz", "--up", "camera", "--output", "o.npz"), "--up belongs to --floor, which is not given"),
        (("--input", "SAMPLES/coco.npz", "--floor", "--up", 0, 1, "--output", "o.npz"), "--up: give three numbers that are not"),
        (("--input", "SAMPLES/coco.npz", "--floor", "--up", "sky", "--output", "o.npz"), "--up: give three numbers that are not"),
        (("--input", "SAMPLES/coco.npz", "--height", 17, "--output", "o.npz"), "--height 17: must be 0.3 to 3 metres"),
        (("--input", "SAMPLES/coco.npz", "--fit-smoothness", "--output", "o.npz"), "--fit-smoothness belongs to --fit-body"),
        (("--input", "SAMPLES/coco.npz", "--fit-body", "--fit-smoothness", 2, "--output", "o.npz"), "must be 0 to 1 second"),
        (("--video", "v.mp4", "--clip", 3, 2, "--output", "o.npz"), "--clip START END: two times in seconds, the second"),
        (("--video", "v.mp4", "--detector", "yolo", "--output", "o.npz"), "--detector yolo: unknown; use mediapipe, rtm"),
        (("--input", "SAMPLES/coco.npz", "--image", "weights/best.pth.tar", "--output", "o.npz"), "neither as an image nor as"),
    ],
)  # fmt: skip
def test_what_the_user_can_mend_is_one_line_and_code_2(run, samples, tmp_path, capfd, recwarn, arguments, line):
    (tmp_path / "d.npz").mkdir()
    np.save("one_point.npy", np.full((30, 17, 3), 300.0))
    (tmp_path / "bad.pth.tar").write_bytes(pickle.dumps({"model_state_dict": {}}, protocol=4)[:-1])
    assert run(*(str(a).replace("SAMPLES", str(samples)) for a in arguments)) == 2
    errors = capfd.readouterr().err
    assert line in errors
    assert errors.count("\n") == 1
    assert not [w for w in recwarn if "pickle" in str(w.message)]
    assert not (tmp_path / "o.npz").exists()


def test_a_body_is_fitted_only_where_the_weights_meshes_are_its_own(run, samples, capsys):
    assert run("--input", samples / "coco.npz", "--joint-set", "coco", "--fit-body", "--output", "o.npz") == 2
    err = capsys.readouterr().err
    assert "error: " in err
    assert "not trained on the built-in body" in err or "belong neither" in err
    assert not Path("o.npz").exists()


@pytest.mark.slow
def test_bodies_of_two_people_are_written_and_reported(run, samples, tmp_path, capsys):
    code = run(
        "--weights", PRETRAINED, "--input", samples / "coco.npz", "--joint-set", "coco", "--fit-body",
        "--smooth", "one-euro", "--output", "o.npz", "o.json", "o.html",
    )  # fmt: skip
    assert code == 0
    shown = capsys.readouterr()
    assert len(re.findall(r"body: residual \d+\.\d mm, \d+\.\d mm in the worst frame, height 1\.", shown.out)) == 2
    assert re.search(r"o\.html: 0\.\d+ MB\n", shown.err)
    assert (tmp_path / "o.html").read_text().count('"body":{"model":0') == 2  # --fit-body alone shows the skin
    persons = json.loads((tmp_path / "o.json").read_text())["persons"]
    with np.load(tmp_path / "o.npz") as z:
        rows = len(z["frame"])
        assert z["body_pose"].shape == (rows, 72)
        assert z["body_betas"].shape == (2, 10)
        assert z["body_residual"].max() < 0.03
        np.testing.assert_allclose(z["body_betas"][1], persons[1]["body"]["betas"], atol=1e-4)
        pose = np.concatenate([person["body"]["pose"] for person in persons])
        np.testing.assert_allclose(z["body_pose"], pose, atol=1e-4)


def test_two_people_are_put_on_one_floor_with_the_numbers_in_the_files(run, samples, tmp_path, capsys):
    arguments = ("--input", samples / "coco.npz", "--joint-set", "coco", "--floor", "--up", "camera", "--height", 1.8)
    assert run("--weights", PRETRAINED, *arguments, "--output", "o.npz", "o.json") == 0
    assert "vertical 0 degrees from the camera's (given), floor " in capsys.readouterr().out
    content = json.loads((tmp_path / "o.json").read_text())
    np.testing.assert_allclose(content["floor"]["rotation"], np.eye(3), atol=1e-12)
    assert content["floor"]["up_sigma"] == 0
    with np.load(tmp_path / "o.npz") as z:
        assert np.isfinite(z["root"]).all()
        assert z["floor_height"] == pytest.approx(content["floor"]["height"])
        ankles = (z["pose3d"] + z["root"][:, None])[:, [3, 6]]
        planted = np.stack([z["contact_R_Ankle"], z["contact_L_Ankle"]], 1) > 0
    assert planted.any()
    assert ankles[planted][:, 1] == pytest.approx(-0.055 * 1.8, abs=0.03)  # y down, ankles over their soles


@pytest.mark.slow
def test_fitted_bodies_stand_on_the_floor(run, samples, tmp_path, capsys):
    arguments = ("--input", samples / "coco.npz", "--joint-set", "coco", "--fit-body", "--floor", "--height", 1.6)
    assert run("--weights", PRETRAINED, *arguments, "--fit-smoothness", "--output", "o.json", "o_poses.npz") == 0
    assert len(re.findall(r"height 1\.60 m", capsys.readouterr().out)) == 2
    persons = json.loads((tmp_path / "o.json").read_text())["persons"]
    assert {f"contact_{side}_{part}" for side in "RL" for part in ("Heel", "Toe")} <= set(persons[0])
    with np.load(tmp_path / "o_person_0_poses.npz") as z:
        assert z["trans"][:, 2].min() > 0.5  # Z up, the floor at 0: the pelvis is over it
