import sys

import pytest

import main.export
from lib.cli import run_command
from tests.networks import NETWORKS
from tests.tiny_weights import save_tiny_weights

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def start(*arguments) -> int:
        monkeypatch.setattr(sys, "argv", ["main/export.py", *map(str, arguments)])
        try:
            run_command(main.export.main)
        except SystemExit as end:
            return end.code
        return 0

    return start


def test_the_file_is_written_and_its_difference_stated(run, tmp_path, capsys):
    weights = save_tiny_weights(tmp_path / "w.pth.tar")
    assert run("--weights", weights, "--output", "made/hgn.onnx") == 0
    assert (tmp_path / "made" / "hgn.onnx").is_file()
    assert "made/hgn.onnx: 0." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--output", "hgn.txt"], "hgn.txt: unknown ending '.txt'"),
        (
            ["--weights", "none", "--output", "hgn.onnx"],
            "no .pth.tar file at none; name a checkpoint with --weights PATH",
        ),
    ],
)
def test_what_the_user_can_mend_is_one_line_and_code_2(run, tmp_path, capsys, arguments, line):
    save_tiny_weights(tmp_path / "w.pth.tar")
    given = [] if "--weights" in arguments else ["--weights", "w.pth.tar"]
    assert run(*given, *arguments) == 2
    errors = capsys.readouterr().err
    assert line in errors
    assert errors.count("\n") == 1


def test_a_network_without_meshes_is_written_too(run, tmp_path, capsys):
    weights = save_tiny_weights(tmp_path / "w.pth.tar", NETWORKS["SimpleBaseline"])
    assert run("--weights", weights, "--output", "simple.onnx") == 0
    assert "simple.onnx: 0." in capsys.readouterr().out
