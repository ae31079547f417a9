import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

import main.demo
from lib.cli import run_command

NEEDS_GRADIO = "needs Gradio: sh requirements.sh demo"


@pytest.fixture
def run(monkeypatch, capsys):
    """Run main/demo.py up to its first error; returns exit code and what it printed."""

    def start(*arguments) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["main/demo.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            run_command(main.demo.main)
        return end.value.code, capsys.readouterr().err

    return start


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--port", 0), "--port 0: must be 1 to 65535"),
        (("--port", 70000), "--port 70000: must be 1 to 65535"),
        (("--max-upload", 0), "--max-upload 0: must be 1 MB or more"),
        (("--max-seconds", "nan"), "--max-seconds nan: must be above 0"),
    ],
)
def test_numbers_out_of_range_are_one_line_and_code_2(run, arguments, line):
    assert run(*arguments) == (2, f"error: {line}\n")


def test_without_gradio_the_command_that_installs_it_is_named(run, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "gradio" else find(name))
    code, printed = run()
    assert code == 2
    assert printed == "error: the demo needs Gradio, which is not installed: sh requirements.sh video demo\n"


def test_a_port_that_is_taken_is_one_line(run, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: "installed")
    with socket.socket() as taken:
        taken.bind((main.demo.HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, printed = run("--port", port)
    assert code == 2
    assert re.fullmatch(rf"error: --port {port}: cannot be used \(.+\); give another one\n", printed)


@pytest.fixture
def demo(repository, tmp_path):
    """A running demo with uploads of at most 1 MB: its process, its address, and the folder for temporary files."""
    pytest.importorskip("gradio", reason=NEEDS_GRADIO)
    with socket.socket() as free:
        free.bind((main.demo.HOST, 0))
        port = free.getsockname()[1]
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    process = subprocess.Popen(
        [
            sys.executable,
            str(repository / "main" / "demo.py"),
            "--port",
            str(port),
            "--max-upload",
            "1",
            "--gpu",
            "cpu",
        ],
        env={**os.environ, "TMPDIR": str(temporary)},
        stderr=subprocess.PIPE,
        text=True,
    )
    line = process.stderr.readline()
    if "open http" not in line:
        pytest.fail(line + process.stderr.read())
    yield process, f"http://{main.demo.HOST}:{port}", temporary
    process.kill()
    process.wait()
    process.stderr.close()


@pytest.mark.slow
def test_the_page_lifts_an_upload_and_leaves_nothing_behind(demo, repository, tmp_path):
    from gradio_client import Client, handle_file

    process, address, temporary = demo
    client = Client(address, verbose=False, download_files=str(tmp_path / "downloads"))
    sample = repository / "asset" / "samples" / "human36.csv"
    nobody = tmp_path / "nobody.json"
    nobody.write_text("[]")

    def lift(path: Path, **options):
        return client.predict(upload=handle_file(path), endings=[".npz", ".bvh"], **options, api_name="/lift")

    shown, lines, files = lift(sample, width=1280, height=720, floor=True)
    assert 'sandbox="allow-scripts" srcdoc="&lt;!doctype html&gt;' in shown
    assert "image 1280 x 720 px, 25 frames per second (assumed)" in lines
    assert "m below the camera" in lines  # where the floor is
    names = [Path(file).name for file in files["value"]]
    assert names == ["human36_3d.html", "human36_3d.npz", "human36_3d.bvh"]
    assert all(Path(file).stat().st_size > 1000 for file in files["value"])
    assert len(list(temporary.rglob("human36_3d*"))) == len(names)

    shown, lines, files = lift(nobody)
    assert "nobody.json: an empty JSON list, zero frames" in shown
    assert "Traceback" not in shown + lines
    assert not files["visible"]
    assert not list(temporary.rglob("human36_3d*"))  # the latest results of a tab only

    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    assert list(temporary.glob("hgn_demo_*")) == []


@pytest.mark.slow
def test_too_large_an_upload_is_refused_and_no_makers_are_told(demo):
    _, address, temporary = demo
    boundary = b"--b\r\nContent-Disposition: form-data; name=files; filename=a.mp4\r\n\r\n"
    request = urllib.request.Request(
        f"{address}/gradio_api/upload",
        boundary + bytes(1_500_000) + b"\r\n--b--\r\n",
        {"Content-Type": "multipart/form-data; boundary=b"},
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    assert refused.value.code == 413
    assert not list(temporary.rglob("a.mp4"))
    with urllib.request.urlopen(f"{address}/config") as answer:
        assert b'"analytics_enabled":false' in answer.read().replace(b" ", b"")
