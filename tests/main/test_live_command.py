import json
import os
import re
import signal
import socket
import sys
import threading
import time
import urllib.request

import numpy as np
import pytest

import lib.lifting.lift_file
import main.predict
from lib.cli import run_command
from tests.films import write_film
from tests.lib.lifting.detectors.test_pose_model import dots, write_model
from tests.tiny_weights import save_tiny_weights

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

FILM = ("--video", "film.mp4", "--live", "--detector", "pose.onnx")


@pytest.fixture
def folder(tmp_path, monkeypatch, shared_predictors):
    """A person who is seen for 60 s at 5 images per second, a model that finds them, an empty film, and weights."""
    monkeypatch.chdir(tmp_path)
    write_model(tmp_path / "pose.onnx", "simcc")
    save_tiny_weights(tmp_path / "weights" / "best.pth.tar")
    person = dots((240, 320), (150, 60), (170, 120), (130, 190), width=14)
    for name, image, count, rate in (
        ("film", person, 300, 5.0),
        ("short", person, 3, 20.0),
        ("dark", 0 * person, 3, 20.0),
    ):
        write_film(f"{name}.mp4", [image] * count, rate)
    return tmp_path


@pytest.fixture
def run(folder, monkeypatch):
    """Run main/predict.py; returns its exit code and the lines it logged."""

    def start(*arguments):
        lines = []
        monkeypatch.setattr(main.predict, "notice", lines.append)
        monkeypatch.setattr(sys, "argv", ["main/predict.py", "--weights", "weights", *map(str, arguments)])
        start.lines = lines
        try:
            run_command(main.predict.main)
        except SystemExit as end:
            return end.code, lines
        return 0, lines

    return start


@pytest.fixture
def press_ctrl_c(run):
    """After this many frames; returns what the page got so far, and in the end all."""
    messages = []
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts background jobs that ignore it

    def work(count):
        deadline = time.monotonic() + 60
        while not getattr(run, "lines", None) and time.monotonic() < deadline:
            time.sleep(0.01)
        address = re.search(r"http://\S+", run.lines[0])[0]
        while not messages or "ended" not in messages[-1]:
            after = messages[-1]["number"] if messages else -1
            with urllib.request.urlopen(f"{address}frame?after={after}", timeout=60) as answer:
                messages.append(json.loads(answer.read()))
            if len(messages) == count:
                os.kill(os.getpid(), signal.SIGINT)

    def after(count):
        threading.Thread(target=work, args=(count,), daemon=True).start()
        return messages

    yield after
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_ends_the_session_and_writes_what_was_asked_for(run, press_ctrl_c, folder, capsys):
    messages = press_ctrl_c(3)
    code, lines = run(*FILM, "--output", "out.json", "new/out.html")
    assert code == 0
    assert re.fullmatch(r"live: http://127\.0\.0\.1:\d+/[\w-]{22}/ \(this computer only; Ctrl-C ends\)", lines[0])
    assert re.match(r"live: \d+ frames in \d+\.\d s \(", lines[1])
    assert "created the folder new" in lines
    assert "written: out.json, new/out.html\n" in capsys.readouterr().out
    content = json.loads((folder / "out.json").read_text())
    assert content["fps"] == 5
    numbers = content["persons"][0]["frames"]
    assert numbers == sorted(numbers)
    assert messages.pop() == {"ended": "film.mp4: stopped"}
    assert {message["number"] for message in messages} <= set(numbers)
    assert len(numbers) < 100
    nose = np.array(content["persons"][0]["pose2d"])[:, content["joint_names"].index("Nose")]
    np.testing.assert_allclose(nose, np.tile([150, 60], (len(nose), 1)), atol=8)


@pytest.mark.slow
def test_without_output_ctrl_c_is_a_normal_end_too(run, press_ctrl_c, folder, capsys):
    before = sorted(folder.iterdir())
    press_ctrl_c(1)
    code, lines = run(*FILM)
    assert code == 0
    assert len(lines) == 2
    assert capsys.readouterr().out == ""
    assert sorted(folder.iterdir()) == before


@pytest.mark.slow
def test_a_second_ctrl_c_stops_at_once_and_leaves_nothing_half_written(run, press_ctrl_c, folder, monkeypatch, capsys):
    write = lib.lifting.lift_file.write_poses

    def interrupted(*arguments):
        os.kill(os.getpid(), signal.SIGINT)
        return write(*arguments)

    monkeypatch.setattr(lib.lifting.lift_file, "write_poses", interrupted)
    press_ctrl_c(1)
    code, _ = run(*FILM, "--output", "out.json")
    assert code == 130
    assert capsys.readouterr().err == "interrupted\n"
    assert not list(folder.glob("out*"))


def test_the_end_of_a_file_writes_output_too(run, folder):
    code, lines = run("--video", "short.mp4", *FILM[2:], "--output", "out.npz", "--smooth", "one-euro")
    assert code == 0
    assert lines[1] == "short.mp4: the file ended"
    with np.load(folder / "out.npz") as z:
        assert np.isfinite(z["pose3d"]).all()


def test_nobody_in_view_is_one_line(run, capsys):
    code, _ = run("--video", "dark.mp4", *FILM[2:], "--output", "out.npz")
    assert code == 2
    assert re.fullmatch(
        r"error: dark\.mp4: pose\.onnx finds no person in any of [123] frames; .*\n", capsys.readouterr().err
    )


def test_a_port_that_is_taken_is_one_line(run, capsys):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        code, _ = run(*FILM, "--port", port)
    assert code == 2
    assert capsys.readouterr().err.startswith(f"error: --port {port}: cannot be used (Address already in use); omit")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--video", "99", "--live"), "--video camera 99: gives no image; check that it is connected"),
        (("--video", "0", "--output", "o.npz"), "--video 0: a camera or a stream needs --live"),
        (("--video", "rtsp://127.0.0.1/a", "--output", "o.npz"), "a camera or a stream needs --live"),
        (("--video", "none.mp4", "--live"), "none.mp4: no such file; --live takes a camera's number"),
        (("--video", "film.mp4"), "--output: name at least one file"),
        (("--input", "a.npz", "--live"), "--live belongs to --video, which is not given"),
        (("--video", "film.mp4", "--output", "o.npz", "--port", 8000), "--port belongs to --live, which is not given"),
        ((*FILM, "--port", 65536), "--port 65536: must be 1 to 65535"),
        ((*FILM, "--clip", 0, 1), "--clip does not go with --live"),
        ((*FILM, "--embed-video"), "--embed-video does not go with --live"),
        ((*FILM, "--smooth"), "--smooth gaussian needs the frames after each one; with --live use --smooth one-euro"),
        ((*FILM, "--fps", 20), "--fps does not go with --live"),
        ((*FILM, "--person", 0), "--person does not go with --live"),
        ((*FILM, "--output", "o.pdf"), "o.pdf: unknown ending '.pdf'"),
    ],
)
def test_bad_input_is_one_line(run, capsys, arguments, line):
    code, lines = run(*arguments)
    error = capsys.readouterr().err
    assert code == 2
    assert line in error
    assert error.count("\n") == 1
    assert lines == []
