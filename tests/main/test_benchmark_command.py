import json
import sys

import numpy as np
import pytest

import main.benchmark
from data.Human36M.annotations import read_subject
from lib.cli import run_command
from main.benchmarking.large_subject import SUBJECT, write_large_subject
from main.benchmarking.measure import interleaved


@pytest.fixture
def run(monkeypatch):
    """Run main/benchmark.py, all of it in this process and without the curves' pictures; returns its exit code."""
    monkeypatch.setattr(main.benchmark, "in_new_process", lambda function, *arguments: function(*arguments))
    monkeypatch.setattr("lib.training.reporter.draw_curves", lambda *arguments: None)

    def start(*arguments) -> int:
        monkeypatch.setattr(sys, "argv", ["main/benchmark.py", *map(str, arguments)])
        try:
            run_command(main.benchmark.main)
        except SystemExit as end:
            return end.code
        return 0

    return start


def test_tiny_sizes_run_and_every_row_stands_in_the_table_and_in_the_file(run, tmp_path, capsys):
    assert run("--quick", "--rounds", 1, "--loading", 240, "--json", tmp_path / "numbers.json") == 0
    written = json.loads((tmp_path / "numbers.json").read_text())
    table = capsys.readouterr().out
    assert {"cpu", "torch", "date", "threads"} <= set(written["machine"])
    rows = {row["name"]: row for row in written["rows"]}
    for name, row in rows.items():
        assert name in table
        assert np.isfinite(row["this"])
    for name in (
        "training step, batch 4",
        "evaluation, batch 1, folded",
        "training, data and logging included",
        "mesh targets, a posed body",
        "240 images, every frame, first start",
    ):
        assert rows[name]["this"] > 0
    differences = [row["this"] for name, row in rows.items() if name.endswith(", difference")]
    assert len(differences) >= 5
    assert max(differences) <= 1e-5


def test_rounds_below_one_are_refused_in_one_line(run, capsys):
    assert run("--rounds", 0) == 2
    assert capsys.readouterr().err == "error: --rounds 0: give 1 or more\n"


def test_functions_take_turns_and_the_first_round_does_not_count(monkeypatch):
    calls, clock = [], [0.0]
    seconds = {"a": [100, 1, 2, 9], "b": [200, 5, 3, 4]}

    def function(name):
        def work():
            clock[0] += seconds[name][calls.count(name)]
            calls.append(name)

        return work

    monkeypatch.setattr("time.perf_counter", lambda: clock[0])
    medians = interleaved({name: function(name) for name in "ab"}, rounds=3, synchronize=lambda: None)
    assert calls == ["a", "b"] * 4
    assert medians == {"a": 2, "b": 4}


def test_the_large_subject_is_read_by_the_ordinary_reader(tmp_path):
    assert write_large_subject(tmp_path, 1200) == 1200  # 300 frames, 30 clips of 10
    samples = read_subject(tmp_path, SUBJECT)
    assert len(samples.names) == 1200
    assert len(samples.joints) == 300
    assert len(samples.R) == 4
    assert samples.without_smpl == samples.bad_boxes == 0
    assert set(samples.actions) == set(range(15))
    assert len(read_subject(tmp_path, SUBJECT, frame_stride=5).names) == 1200 // 5


def test_scaling_measures_every_count_of_processes_and_nothing_else(run, tmp_path, monkeypatch):
    monkeypatch.setattr(main.benchmark, "process_limit", lambda: 2)
    assert run("--quick", "--scaling", "--json", tmp_path / "numbers.json") == 0
    one, two = json.loads((tmp_path / "numbers.json").read_text())["rows"]
    assert (one["name"], two["name"]) == ("training, 1 process", "training, 2 processes")
    assert one["this"] > 0
    assert two["ratio"] == pytest.approx(two["this"] / one["this"])
    assert (one["goal"], two["goal"]) == ("ideal 1x", "ideal 2x")


@pytest.mark.parametrize("count", [0, 3])
def test_more_processes_than_devices_or_none_are_refused_in_one_line(run, capsys, monkeypatch, count):
    monkeypatch.setattr(main.benchmark, "process_limit", lambda: 2)
    assert run("--scaling", count) == 2
    assert capsys.readouterr().err == f"error: --scaling {count}: give 1 to 2, the GPUs or CPU cores of this host\n"
