import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import main.benchmark
from data.Human36M.annotations import read_subject
from lib.camera import ASSUMED_FOCAL
from lib.cli import run_command
from lib.lifting.quality import MAX_LIMB_SPREAD, Quality
from main.benchmarking.body import WAYS
from main.benchmarking.cameras import PITCH, PLACES, ROLL, camera_rows, camera_text, standing_people
from main.benchmarking.large_subject import SUBJECT, write_large_subject
from main.benchmarking.measure import TURN, Times, interleaved
from main.benchmarking.missing import APART, UNSEEN, gap_errors, gap_text, straight_lines
from main.benchmarking.photographs import DISTANCE
from main.benchmarking.quality import (
    CAMERAS,
    DISTANCES,
    INPUTS,
    Clip,
    hidden_limbs,
    noisy,
    quality_rows,
    quality_text,
    seen,
    views,
)
from main.benchmarking.rows import Row
from tests.data.mocap.mocap_files import person_bvh
from tests.stick_person import points_of
from tests.tables import random_table

pytestmark = pytest.mark.slow  # measures

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run(monkeypatch):
    """Run main/benchmark.py, all of it in this process and without the curves' pictures; returns its exit code."""
    monkeypatch.setattr("lib.training.reporter.draw_curves", lambda *arguments: None)
    monkeypatch.setattr("main.benchmarking.rows.in_new_process", lambda function, *arguments: function(*arguments))

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


def test_folders_of_one_name_are_measured_each(run, tmp_path, monkeypatch):
    yaml, folders = ROOT / "asset" / "yaml" / "HGN_mocap_test.yml", [tmp_path / "a" / "data", tmp_path / "b" / "data"]
    monkeypatch.setattr("main.benchmarking.quality.measured_clips", lambda cfg, *_, **__: cfg.DATASET.data_dir)
    monkeypatch.setattr("main.benchmarking.missing.gap_errors", lambda folder: [float(folder == str(folders[0]))])
    assert run("--gaps", yaml, "--data-dir", *folders, "--json", tmp_path / "o.json") == 0
    assert json.loads((tmp_path / "o.json").read_text())["rows"] == {str(folders[0]): [1.0], str(folders[1]): [0.0]}
    assert run("--gaps", yaml, "--data-dir", folders[0], "--json", tmp_path / "o.json") == 0
    assert json.loads((tmp_path / "o.json").read_text())["rows"] == {"data": [1.0]}


@pytest.mark.parametrize("option", ["--lifting", "--quality"])
def test_what_measures_one_folder_refuses_two(run, capsys, option):
    assert run(option, ROOT / "asset" / "yaml" / "HGN_mocap_test.yml", "--data-dir", "a", "b") == 2
    assert capsys.readouterr().err == f"error: --data-dir: {option} takes one folder\n"


@pytest.fixture
def clocked(monkeypatch):
    """A function of a name that takes the given seconds, call after call, on a clock of its own; and all calls."""
    calls, clock = [], [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: clock[0])

    def function(name, seconds):
        def work():
            clock[0] += seconds[min(calls.count(name), len(seconds) - 1)]
            calls.append(name)

        return work

    return function, calls


def test_functions_take_turns_and_the_first_round_does_not_count(clocked):
    function, calls = clocked
    functions = {"a": function("a", [100, 1, 2, 9]), "b": function("b", [200, 5, 3, 4])}
    times = interleaved(functions, rounds=3, synchronize=lambda: None)
    assert calls == ["a", "b"] * 4
    assert {name: t.values.tolist() for name, t in times.items()} == {"a": [1, 2, 9], "b": [5, 3, 4]}
    assert times["a"].median == 2
    assert times["a"].quartiles == (1.5, 5.5)
    assert times["b"].over(times["a"]).values.tolist() == [5, 1.5, pytest.approx(4 / 9)]


def test_a_turn_of_a_short_function_is_the_mean_of_so_many_calls_that_it_lasts(clocked):
    function, calls = clocked
    functions = {"short": function("short", [TURN / 4, 0.01, 0.02, 0.03, 0.04]), "long": function("long", [TURN * 2])}
    times = interleaved(functions, rounds=1, synchronize=lambda: None)
    assert calls == ["short", "long"] + ["short"] * 4 + ["long"]
    assert times["short"].values == pytest.approx([0.025])


def test_a_row_shows_median_and_spread_and_the_ratio_is_that_of_each_round():
    this, plain = Times(np.array([1.0, 2.0, 4.0])), Times(np.array([10.0, 40.0, 40.0]))
    row = Row.of_times("step", "ms", 1e3, this, plain, ">= 14x")
    assert (row.this, row.plain, row.ratio) == (2000, 40000, 10)
    assert row.spread == (1500, 3000)
    assert row.ratio_spread == (10, 15)
    assert row.text().split() == ["step", "4e+04", "2000", "ms", "1500..3000", "10.0x", "10.0..15.0x", ">=", "14x"]


@pytest.mark.parametrize("command", ["benchmark", "export"])
def test_help_comes_without_loading_torch(command):
    program = (
        "import runpy, sys\n"
        f"sys.argv = ['{command}.py', '--help']\n"
        "try:\n"
        f"    runpy.run_path('main/{command}.py', run_name='__main__')\n"
        "finally:\n"
        "    print(sorted({'torch', 'matplotlib', 'scipy', 'onnx'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "--traceback" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


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
    monkeypatch.setattr("main.benchmarking.scaling.process_limit", lambda: 2)
    assert run("--quick", "--scaling", "--json", tmp_path / "numbers.json") == 0
    one, two = json.loads((tmp_path / "numbers.json").read_text())["rows"]
    assert (one["name"], two["name"]) == ("training, 1 process", "training, 2 processes")
    assert one["this"] > 0
    assert two["ratio"] == pytest.approx(two["this"] / one["this"])
    assert (one["goal"], two["goal"]) == ("ideal 1x", "ideal 2x")


@pytest.mark.parametrize("count", [0, 3])
def test_more_processes_than_devices_or_none_are_refused_in_one_line(run, capsys, monkeypatch, count):
    monkeypatch.setattr("main.benchmarking.scaling.process_limit", lambda: 2)
    assert run("--scaling", count) == 2
    assert capsys.readouterr().err == f"error: --scaling {count}: give 1 to 2, the GPUs or CPU cores of this host\n"


@pytest.mark.slow
def test_what_a_body_cameras_and_missing_joints_change_is_measured_on_imported_motion_capture(repository, tmp_path):
    source = tmp_path / "files"
    source.mkdir()
    for name in ("07_01.bvh", "12_01.bvh"):
        (source / name).write_text(person_bvh(frames=60))
    for command in (
        ("prepare_data.py", "mocap", "--input", source, "--output", tmp_path / "data" / "Mocap", "--test-subjects", "12"),
        ("benchmark.py", "--gpu", "cpu", "--body", repository / "asset" / "yaml" / "HGN_mocap_test.yml",
         "--data-dir", tmp_path / "data", "--body-frames", "4", "--json", tmp_path / "o.json"),
        ("benchmark.py", "--gpu", "cpu", "--lifting", repository / "asset" / "yaml" / "HGN_mocap_test.yml",
         "--data-dir", tmp_path / "data", "--quick", "--json", tmp_path / "grid.json"),
        ("benchmark.py", "--gpu", "cpu", "--quality", repository / "asset" / "yaml" / "HGN_mocap_test.yml",
         "--data-dir", tmp_path / "data", "--json", tmp_path / "quality.json"),
        ("benchmark.py", "--gaps", repository / "asset" / "yaml" / "HGN_mocap_test.yml",
         "--data-dir", tmp_path / "data", "--json", tmp_path / "gaps.json"),
    ):  # fmt: skip
        done = subprocess.run(
            [sys.executable, str(repository / "main" / command[0]), *map(str, command[1:])],
            capture_output=True, text=True, timeout=300, check=False, cwd=repository,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    rows = {row["way"]: row for row in json.loads((tmp_path / "o.json").read_text())["rows"]}
    assert set(rows) == set(WAYS)
    network, body = (rows[way]["errors"] for way in ("network", "body"))
    assert network["residual"] is None
    assert rows["body"]["frames"] == 4
    assert 0 < body["rotation"] < 90
    assert abs(body["mpjpe"] - network["mpjpe"]) < 10
    grid, places, missing, definitions = json.loads((tmp_path / "grid.json").read_text())["Mocap"].values()
    assert [tuple(row[:3]) for row in places] == list(PLACES)
    assert all(0 < row[4] < row[3] < 500 for row in places)
    assert {row[0]: row[1] for row in missing} == {words: 17 - len(names) for words, names in UNSEEN.items()}
    assert missing[0][-1] < missing[-2][-1]  # legs that are seen are nearer to the truth than those that are guessed
    (_, *captured), (_, *regressed) = definitions
    level = next(errors for pitch, roll, *errors in grid if pitch == roll == 0)
    assert captured[0] == pytest.approx(level[0], abs=1e-3)  # the same people, seen by the same cameras
    assert captured[0] > captured[1] > captured[2] > 0
    assert regressed[0] != captured[0]
    assert [row[:2] for row in grid] == [[pitch, roll] for pitch in PITCH for roll in ROLL]
    assert all(0 < aligned < error < 500 for *_, error, aligned in grid)
    rows = {row["input"]: row for row in json.loads((tmp_path / "quality.json").read_text())["rows"]}
    assert set(rows) == set(INPUTS)
    assert rows["upside down"]["over"]["inverted"] == 1
    assert rows["exact keypoints"]["mpjpe"] < rows["noise of 8 px"]["mpjpe"]
    assert rows["image size stated half as large"]["refused"] == 1
    *lines, rules = json.loads((tmp_path / "gaps.json").read_text())["rows"]["data"]
    assert rules > 0
    assert len(lines) == len(APART)


def walking_clip() -> Clip:
    """The first stick person, Z up, about the middle of their way."""
    joints = points_of(0)[..., [0, 2, 1]] * [1.0, 1.0, -1.0]
    return Clip(joints - joints[:, 0].mean(0), np.arange(len(joints)), 25.0)


def test_cameras_of_a_clip_are_level_and_look_at_its_middle_from_all_sides():
    clip = walking_clip()
    seen = list(views(clip, np.random.default_rng(0)))
    assert len(seen) == CAMERAS
    for points in seen:
        middle = points[:, 0].mean(0)
        assert middle[:2] == pytest.approx([0, 0], abs=1e-9)
        assert DISTANCES[0] <= middle[2] <= DISTANCES[1]
        np.testing.assert_allclose(points[..., 1], -clip.joints[..., 2], atol=1e-9)  # down is world's down
    way = [points[-1, 0] - points[0, 0] for points in seen]
    np.testing.assert_allclose(way[0], way[2] * [-1, 1, -1], atol=1e-9)  # opposite cameras


def test_noise_is_in_parts_of_the_persons_box():
    for distance in (4.0, 8.0):
        points = points_of(0) - points_of(0)[:, :1] + [0.0, 0.0, distance]
        exact, noise = (noisy(points, std, np.random.default_rng(0)).pixels for std in (0.0, 0.01))
        box = np.ptp(exact, axis=1).max(1)[:, None, None]
        assert ((noise - exact) / box).std() == pytest.approx(0.01, rel=0.1)


@pytest.mark.parametrize("count", [1, 2])
def test_so_many_limbs_are_hidden_for_two_seconds_at_a_time(count):
    hidden = hidden_limbs(200, count, np.random.default_rng(0), fps=25)
    assert (hidden.sum(1) == 2 * count).all()
    changes = np.flatnonzero((hidden[1:] != hidden[:-1]).any(1)) + 1
    assert set(changes) <= {50, 100, 150}
    assert len(changes)


def test_straight_lines_join_known_frames_that_are_as_far_apart_as_said():
    pixels = points_of(0)[:6, :, :2]
    lines = straight_lines(pixels, np.array([0, 1, 3, 4, 7, 9]), apart=3)  # 6 is not there
    assert np.flatnonzero(np.isfinite(lines).all((1, 2))).tolist() == [1]
    np.testing.assert_allclose(lines[1], (2 * pixels[0] + pixels[2]) / 3)


def test_straight_lines_are_worse_over_longer_gaps_and_exact_of_who_stands_still():
    clip = walking_clip()
    *lines, rules = gap_errors([replace(clip, fps=12.0)])  # 2.5 s
    assert 0 < lines[0] < lines[1] < lines[2]
    still = replace(clip, joints=np.repeat(clip.joints[:1], 75, axis=0), frames=np.arange(75))
    *lines, rules = gap_errors([still])
    np.testing.assert_allclose(lines, 0, atol=1e-9)
    assert rules > 1
    assert f"| standing | 0.0{' | 0.0' * (len(APART) - 1)} | {rules:.1f} |" in gap_text({"standing": [*lines, rules]})


class Shaking:
    """A lifter whose poses have only the given limb_spread, one after the other, and errors of ten times as many metres."""

    def __init__(self, spreads):
        self.spreads = iter(spreads)

    def lift(self, people, fps):
        spread, pose = next(self.spreads), np.zeros((len(people[0].frames), 17, 3))
        pose[:, 1:] += [10 * spread, 0, 0]
        return [SimpleNamespace(pose3d=pose, quality=Quality(spread, 0.0, 0.0, 0.0, 0.0))]


def test_a_row_parts_the_results_at_the_limit():
    nowhere = {"a walk": lambda points, *_: replace(seen(points), points=0 * points)}
    lifter = Shaking([0.01, 0.02, 0.05, MAX_LIMB_SPREAD + 0.1])
    (row,) = quality_rows(lifter, [walking_clip()], nowhere)
    assert (row.results, row.refused) == (4, 0)
    assert row.median["limb_spread"] == pytest.approx(0.035)
    assert row.over["limb_spread"] == 0.25
    part = 1000 * 10 * 16 / 17  # of 17 joints all but the pelvis are wrong
    assert row.mpjpe_below == pytest.approx(part * 0.08 / 3)
    assert row.mpjpe_over == pytest.approx(part * (MAX_LIMB_SPREAD + 0.1))
    assert "| a walk | 3.5, " in quality_text([row])


class Watching:
    """A lifter that keeps the pixels it was given; its poses are flat cut-outs at the pelvis' distance."""

    def __init__(self):
        self.pixels = []

    def __call__(self, pixels, size, fps, camera, frames):
        assert camera is None
        self.pixels.append(pixels)
        flat = (pixels - pixels[:, :1]) * DISTANCE / (ASSUMED_FOCAL * max(size))
        return SimpleNamespace(pose3d=np.concatenate([flat, np.zeros_like(flat[..., :1])], axis=-1))


def test_people_are_seen_by_cameras_that_pitch_and_roll():
    table, lifter = random_table(6), Watching()
    pole = np.zeros((6, 17, 3))
    pole[:, 1] = table.up / np.linalg.norm(table.up, axis=1, keepdims=True)  # a metre above the pelvis
    pole[:, 2] = -pole[:, 1]  # and one below
    people = standing_people(replace(table, pose3d=pole), 6)
    rows = list(camera_rows(lifter, people, (0, 40), (0, 25)))
    assert [row[:2] for row in rows] == [(0, 0), (0, 25), (40, 0), (40, 25)]
    for pixels, (pitch, roll, error, _) in zip(lifter.pixels, rows, strict=True):
        above, below = (pixels[:, joint] - pixels[:, 0] for joint in (1, 2))
        tilt = np.rad2deg(np.arctan2(above[:, 0], -above[:, 1]))  # of the pole in the image, clockwise
        np.testing.assert_allclose(tilt, roll, atol=1e-6)
        nearer = np.linalg.norm(above, axis=1) / np.linalg.norm(below, axis=1)
        if pitch:  # a camera that looks down is nearer to what is above
            assert (nearer > 1.1).all()
        else:  # a level camera sees the flat pole as it is
            np.testing.assert_allclose(nearer, 1)
            assert error == pytest.approx(0, abs=1e-3)
    lines = camera_text(rows).splitlines()
    assert lines[2].startswith("| 0° | 0.0 / ")
