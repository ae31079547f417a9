import shutil
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

import main.predict
import main.web.sessions
from lib.lifting.floor.plane import Floor
from main.web.sessions import Choices, Sessions, Settings
from tests.films import write_film
from tests.lib.lifting.detectors.test_pose_model import dots, write_model
from tests.stick_person import SIZE
from tests.tiny_weights import save_tiny_weights

TABS = ("one tab", "another tab")


@pytest.fixture
def weights(tmp_path):
    return save_tiny_weights(tmp_path / "weights" / "best.pth.tar")


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def sessions(root, weights, shared_predictors):
    return Sessions(root, [weights], Settings(gpu="cpu"))


@pytest.fixture
def upload(root, repository):
    """Puts a file where uploads are, in a folder of its own."""

    def put(source: Path | str) -> Path:
        source = repository / "asset" / "samples" / source
        folder = root / f"upload_{source.name}"
        folder.mkdir(exist_ok=True)
        return Path(shutil.copy(source, folder))

    return put


def left(root: Path) -> set[str]:
    """Names of all files below a folder."""
    return {path.name for path in root.rglob("*") if path.is_file()}


def test_an_upload_becomes_a_page_lines_and_the_chosen_files(sessions, upload):
    result = sessions.run(TABS[0], upload("coco_dataset.json"), Choices([".npz", ".bvh", ".html"]))
    assert result.error == ""
    assert result.page.startswith("<!doctype html>")
    assert "<title>coco_dataset_3d</title>" in result.page
    names = [
        "coco_dataset_3d.html",
        "coco_dataset_3d.npz",
        "coco_dataset_3d_person_0.bvh",
        "coco_dataset_3d_person_1.bvh",
    ]
    assert [path.name for path in result.files] == names
    assert all(path.is_file() for path in result.files)
    assert any(line.startswith("person 0: frames 0-14, ") for line in result.lines)
    assert any(line.startswith("image 1280 x 720 px, 25 frames per second (assumed)") for line in result.lines)


def test_the_files_are_those_of_the_command(sessions, upload, weights, repository, tmp_path, monkeypatch):
    result = sessions.run(TABS[0], upload("human36.csv"), Choices([".npz"], image_size=SIZE, fps=12.5, smooth=True))
    source = str(repository / "asset" / "samples" / "human36.csv")
    options = ["--image-size", *map(str, SIZE), "--fps", "12.5", "--smooth", "--weights", str(weights)]
    monkeypatch.setattr(sys, "argv", ["predict.py", "--input", source, *options, "--output", str(tmp_path / "o.npz")])
    main.predict.main()
    with np.load(result.files[1]) as ours, np.load(tmp_path / "o.npz") as theirs:
        assert ours.files == theirs.files
        for name in ours.files:
            np.testing.assert_array_equal(ours[name], theirs[name])


def test_choices_about_people_and_images_are_followed(sessions, upload):
    file = upload("coco_dataset.json")
    for choices in (Choices([".npz"], max_persons=1), Choices([".npz"], one_person=True)):
        with np.load(sessions.run(TABS[0], file, choices).files[1]) as z:
            assert len(set(z["person"])) == 1
    error = sessions.run(TABS[0], upload("coco.npz"), Choices(joint_set="human36")).error
    assert error.startswith("coco.npz: ")
    assert "give --joint-set coco" in error


def test_a_body_is_fitted_on_request(sessions, upload, monkeypatch):
    fitted = []
    for lifter in sessions._lifters.values():
        monkeypatch.setattr(lifter, "require_body", lambda: None)
        monkeypatch.setattr(lifter, "fit", lambda sequence, *_: (fitted.append(sequence.person), sequence)[1])
    for wanted in (False, True):
        assert sessions.run(TABS[0], upload("coco_dataset.json"), Choices(fit_body=wanted)).error == ""
    assert fitted == [0, 1]


def test_people_are_put_on_the_floor_on_request(sessions, upload, monkeypatch):
    def on_floor(people, up):
        assert up is None
        return [replace(person, floor=Floor(np.array([0.0, -1.0, 0.0]), -1.4)) for person in people], []

    for lifter in sessions._lifters.values():
        monkeypatch.setattr(lifter, "on_floor", on_floor)
    for wanted in (False, True):
        result = sessions.run(TABS[0], upload("coco_dataset.json"), Choices([".npz"], floor=wanted))
        assert result.error == ""
        assert any("floor 1.40 m below the camera" in line for line in result.lines) == wanted
        with np.load(result.files[1]) as z:
            assert ("floor_height" in z) == wanted


@pytest.mark.slow
def test_one_of_several_networks_is_chosen(root, upload, tmp_path, weights, monkeypatch):
    other = save_tiny_weights(tmp_path / "other.pth.tar")
    sessions = Sessions(root, [weights, other], Settings(gpu="cpu"))
    assert sessions.weights == ["best.pth.tar", "other.pth.tar"]
    used = []
    for name, lifter in sessions._lifters.items():
        lift = lifter.lift
        monkeypatch.setattr(lifter, "lift", lambda *given, name=name, lift=lift: (used.append(name), lift(*given))[1])
    for choice in ("other.pth.tar", None):
        sessions.run(TABS[0], upload("coco_dataset.json"), Choices(weights=choice))
    assert used == ["other.pth.tar", "best.pth.tar"]
    copy = save_tiny_weights(tmp_path / "copy" / "other.pth.tar")
    assert Sessions(root, [other, copy], Settings(gpu="cpu")).weights == [str(other), str(copy)]


@pytest.mark.parametrize(
    ("name", "content", "choices", "line"),
    [
        ("in.json", b'{"a": 1}', Choices(), "in.json: a JSON object with the keys a is none of the known formats"),
        ("in.json", b"", Choices(), "in.json: the file is empty"),
        ("in.mp4", bytes(100), Choices(), "in.mp4: OpenCV can read it neither as an image nor as a video"),
        ("in.json", b"[]", Choices([".npz"], fps=0.0), "--fps 0: must be 0.01 to 10000"),
        ("in.json", b"[]", Choices(image_size=(1280, 0)), "--image-size: width and height must be 1 to"),
        ("in.json", b"[]", Choices(["_poses.npz"]), "--output: in_3d_poses.npz holds a fitted body; add --fit-body"),
    ],
)
def test_what_the_user_can_mend_is_one_line_without_names_of_folders(sessions, root, name, content, choices, line):
    (root / "upload").mkdir()
    (root / "upload" / name).write_bytes(content)
    result = sessions.run(TABS[0], root / "upload" / name, choices)
    assert line in result.error
    assert "\n" not in result.error
    assert str(root) not in result.error
    assert (result.page, result.lines, result.files) == ("", [], [])


def test_no_upload_is_an_error_too(sessions):
    assert sessions.run(TABS[0], None, Choices()).error.startswith("drop an image")


@pytest.fixture
def seen(root, weights):
    """Sessions with a detector that sees three dots as a person; at most 0.11 s of a video are used."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    model = weights.with_name("pose.onnx")
    write_model(model, "simcc")
    return Sessions(root, [weights], Settings(detector=str(model), max_seconds=0.11, gpu="cpu"))


def test_a_video_is_used_up_to_the_limit_and_an_image_whole(seen, root):
    images = [dots((240, 320), (150 + 5 * t, 60), (170, 120), (130, 190), width=14) for t in range(5)]
    for name, count in (("short.mp4", 2), ("long.mp4", 5)):
        write_film(root / name, images[:count])
    cv2.imwrite(str(root / "image.png"), images[0][..., ::-1])
    for name, frames, cut in (("short.mp4", [0, 1], False), ("long.mp4", [0, 1, 2], True), ("image.png", [0], False)):
        result = seen.run(TABS[0], root / name, Choices([".npz"]))
        assert result.error == ""
        with np.load(result.files[1]) as z:
            assert z["frame"].tolist() == frames
        assert result.page.count('"/9j/') == len(frames)  # JPEG images
        assert ("only the first 0.11 s of the video are used (--max-seconds of main/demo.py)" in result.lines) == cut
        assert any(line.startswith(f"{Path(name).stem}_3d.html: ") for line in result.lines)  # without its folder


def test_a_page_too_large_to_show_is_offered_instead(sessions, upload, monkeypatch):
    monkeypatch.setattr(main.web.sessions, "MAX_SHOWN", 0.001)
    result = sessions.run(TABS[0], upload("coco_dataset.json"), Choices())
    assert result.page == ""
    assert "too much to be shown here; download it" in result.lines[0]
    assert result.files[0].stat().st_size > 1000


def test_a_new_run_replaces_the_results_of_its_tab_only(sessions, upload):
    file = upload("coco_dataset.json")
    first, other, second = (sessions.run(tab, file, Choices()) for tab in (TABS[0], TABS[1], TABS[0]))
    assert [path.exists() for result in (first, other, second) for path in result.files] == [False, True, True]


def test_a_closed_tab_leaves_nothing_but_examples_and_what_other_tabs_use(sessions, upload, root, repository):
    example = upload("alphapose.json")
    sessions.keep_present_files()
    alone, shared = upload("human36.csv"), upload("coco_dataset.json")
    outside = repository / "asset" / "samples" / "mmpose.json"
    for file in (example, alone, shared, outside):
        sessions.run(TABS[0], file, Choices([".npz"], image_size=SIZE))
    result = sessions.run(TABS[1], shared, Choices())
    sessions.end(TABS[0])
    assert left(root) == {example.name, shared.name, "coco_dataset_3d.html"}
    assert result.files[0].exists()
    assert outside.exists()
    sessions.end(TABS[1])
    assert left(root) == {example.name}
    sessions.end("a tab that did nothing")


def test_a_tab_that_is_closed_during_a_run_leaves_nothing(sessions, upload, root, monkeypatch):
    def close_and_lift(*arguments):
        sessions.end(TABS[0])
        return lift_file(*arguments)

    lift_file = main.web.sessions.lift_file
    file = upload("coco_dataset.json")
    content = file.read_bytes()
    monkeypatch.setattr(Path, "unlink", lambda path, **kwargs: None)  # the run still needs its input
    monkeypatch.setattr(main.web.sessions, "lift_file", close_and_lift)
    sessions.run(TABS[0], file, Choices([".npz"]))
    assert file.read_bytes() == content
    assert left(root) == {file.name}
