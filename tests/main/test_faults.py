"""What goes wrong in long runs, caused for real: kill -9, files cut short, full disks, broken arrays (docs/reliability.md)."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from lib import checkpoint
from tests.main.conftest import equal, run_folder, weights_of, write_config

pytestmark = pytest.mark.slow  # starts processes

KILL = int(signal.SIGKILL)
LAST, BEST = r"last\.pth\.tar", r"best\.pth\.tar"


def train(start, project, *arguments, **more):
    return start("train.py", "--cfg", project / "my.yml", *arguments, **more).wait()


def resume(start, project, *arguments):
    return train(start, project, "--resume_training", *arguments)


def run_of(project):
    (run,) = project.glob("experiment/*")
    return run


def assert_same_end(run, whole):
    assert equal(weights_of(run), weights_of(whole))
    assert equal(weights_of(run, "best"), weights_of(whole, "best"))


# --- kill -9


@pytest.mark.parametrize(
    ("event", "file", "count"),
    [
        ("open", r"\.?last\..*tmp.*", 3),  # with the second step's checkpoint begun
        ("os.rename", r"last\.pth\.tar", 8),  # in the second epoch, a checkpoint complete but not yet in place
        (r"os\.(rename|link)", r"previous\.pth\.tar", 4),  # the last checkpoint about to become the previous one
        ("open", r"\.?best\..*tmp.*", 1),  # between epochs, nothing of the first one saved
        ("os.rename", r"log\.jsonl", 1),  # all of an epoch saved but its log
    ],
)
def test_a_run_killed_at_any_moment_goes_on_to_the_weights_of_an_uninterrupted_one(
    start, project, whole, event, file, count
):
    write_config(project, checkpoint_minutes=1e-9)  # after every step
    code, _ = train(start, project, faults=((event, file, count, "signal", KILL),))
    assert code == -KILL
    run = run_of(project)
    code, out = resume(start, project)
    assert code == 0, out
    assert run_folder(out) == run
    assert_same_end(run, whole)
    assert len((run / "log.jsonl").read_text().splitlines()) == 2


def test_a_run_killed_from_outside_in_the_middle_of_an_epoch_goes_on(start, project, whole):
    write_config(project, checkpoint_minutes=1e-9)
    command = start("train.py", "--cfg", project / "my.yml")
    while not list(project.glob("experiment/*/checkpoint/last.pth.tar")):
        time.sleep(0.005)
    os.kill(command.pid, signal.SIGKILL)
    code, _ = command.wait()
    if code == 0:
        pytest.skip("this machine was done before it could be killed")
    code, out = resume(start, project)
    assert code == 0, out
    assert_same_end(run_of(project), whole)


# --- checkpoints that were damaged


@pytest.mark.parametrize("damage", ["cut short", "altered"])
def test_after_a_damaged_checkpoint_the_one_before_is_used_with_one_line_and_the_weights_end_the_same(
    start, project, whole, damage
):
    write_config(project, checkpoint_minutes=1e-9)
    train(start, project, faults=(("os.rename", LAST, 3, "signal", int(signal.SIGTERM)),))
    path = run_of(project) / "checkpoint" / "last.pth.tar"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes({"cut short": data[:-1000], "altered": data}[damage])
    code, out = resume(start, project)
    assert code == 0, out
    assert len(re.findall("trying the one before it", out)) == 1
    assert f"{path}: " in out
    assert_same_end(run_of(project), whole)


# --- losses that are not finite


def poison(project):
    """NaN in one sample of the cached training arrays."""
    (path,) = project.glob("data/Human36M/cache/train-*/pose3d.npy")
    pose3d = np.load(path)
    pose3d[7, 3] = np.nan
    np.save(path, pose3d)


def test_nan_in_the_data_stops_training_with_epoch_batch_and_samples(start, project):
    poison(project)
    code, out = train(start, project)
    assert code == 2, out
    assert "Traceback" not in out
    line = next(line for line in out.splitlines() if "error: " in line)
    assert re.search(r"error: epoch 0, batch \d+: the loss is nan", line)
    shown = re.search(r"\(samples (.+), \.\.\.\)", line)[1].split(", ")
    assert len(shown) == 3
    assert all(s.startswith("s_") for s in shown)


def test_steps_with_nan_may_be_left_out_and_the_run_ends_with_sound_weights(start, project):
    poison(project)
    code, out = train(start, project, "--set", "TRAIN.skip_nonfinite=2")
    assert code == 0, out
    assert out.count("; skipped, ") == 2
    assert all(np.isfinite(w.numpy()).all() for w in weights_of(run_of(project)).values())


def test_a_rate_that_explodes_is_told_and_the_checkpoint_before_is_sound(start, project):
    train(start, project, faults=(("os.rename", BEST, 1, "signal", int(signal.SIGTERM)),))
    code, out = train(start, project, "--resume_training", run_of(project), "--set", "TRAIN.lr=1e30")
    assert code == 2, out
    assert "Traceback" not in out
    assert all(np.isfinite(w.numpy()).all() for w in weights_of(run_of(project), "best").values())


# --- disks


@pytest.fixture
def small_disk(tmp_path):
    """(size, read_only=False) -> a folder on a disk of its own, mounted; a second call with it changes its size."""
    mounted = []

    def small_disk(size: str, read_only: bool = False):
        place = tmp_path / "disk"
        place.mkdir(exist_ok=True)
        options = f"size={size},{'ro' if read_only else 'rw'}" + (",remount" if mounted else "")
        with contextlib.suppress(OSError):
            done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], capture_output=True)
            if done.returncode == 0:
                mounted.append(place)
                return place
        pytest.skip("only root can mount a small disk here")

    yield small_disk
    for place in mounted[:1]:
        subprocess.run(["umount", place], check=False)


def test_a_full_disk_stops_with_one_line_and_the_run_goes_on_when_there_is_room(start, project, whole, small_disk):
    size = (whole / "checkpoint" / "last.pth.tar").stat().st_size
    disk = small_disk(f"{int(2.7 * size / 1024)}k")  # room for best and last of the first epoch, not for more
    write_config(project)
    config = ["--set", f"RUN.experiment_dir={disk}"]
    code, out = train(start, project, *config)
    assert code == 2, out
    assert "Traceback" not in out
    (line,) = [line for line in out.splitlines() if "error: " in line]
    assert "the checkpoint could not be written (No space left on device); the one before it is intact" in line
    (run,) = disk.glob("exp_*")
    assert checkpoint.read(run / "checkpoint" / "last.pth.tar")["epoch"] == 1
    assert not list(run.glob("checkpoint/*.tmp"))
    small_disk("50m")
    code, out = resume(start, project, *config)
    assert code == 0, out
    assert_same_end(run, whole)


def test_a_limit_on_file_sizes_is_met_like_a_full_disk(start, project, whole):
    code, out = train(start, project, faults=(("os.rename", LAST, 1, "limit", 20_000),))
    assert code == 2, out
    assert "the checkpoint could not be written (File too large)" in out
    run = run_of(project)
    assert checkpoint.read(run / "checkpoint" / "last.pth.tar")["epoch"] == 1
    code, out = resume(start, project)
    assert code == 0, out
    assert_same_end(run, whole)


def test_testing_on_a_full_disk_is_one_line_and_leaves_no_half_results(start, project, whole, small_disk):
    disk = small_disk("12k")
    code, out = start(
        "test.py",
        "--cfg",
        project / "my.yml",
        "--set",
        f"TEST.weight_path={whole}",
        "--set",
        f"RUN.experiment_dir={disk}",
    ).wait()
    assert code == 2, out
    if sys.version_info >= (3, 11):  # before, zipfile prints one of its own when it is deleted
        assert "Traceback" not in out
    assert "No space left on device" in out
    assert [p.name for p in disk.glob("exp_*/result/*")] == []


@pytest.mark.parametrize("kind", ["a file in its place", "read-only"])
def test_an_experiment_folder_that_cannot_be_written_is_one_line_before_training(start, project, small_disk, kind):
    place = project / "blocked"
    if kind == "read-only":
        place = small_disk("1m", read_only=True)
    else:
        place.write_text("a file")
    code, out = train(start, project, "--set", f"RUN.experiment_dir={place}")
    assert code == 2, out
    assert f"error: {place}: no run folder can be made here" in out
    assert "Traceback" not in out
    assert "loss" not in out


def test_the_experiment_folder_may_be_a_soft_link(start, project, tmp_path):
    (tmp_path / "large disk").mkdir()
    (project / "experiment").symlink_to(tmp_path / "large disk")
    code, out = train(start, project, "--set", "TRAIN.end_epoch=0")
    assert code == 0, out
    assert (project / "experiment").is_symlink()
    assert len(list((tmp_path / "large disk").glob("exp_*/config.yml"))) == 1


def test_an_unwritable_data_folder_costs_a_line_not_the_run(start, project, small_disk):
    cache = project / "data" / "Human36M" / "cache"
    for path in sorted(cache.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    cache.rmdir()
    cache.write_text("a file in its place")
    code, out = train(start, project, "--set", "TRAIN.end_epoch=0")
    assert code == 0, out
    assert "the cache could not be written" in out


# --- a file that is not what it says


def test_a_model_file_that_asks_for_code_is_refused_and_runs_nothing(start, project):
    (path,) = (project / "smpl").glob("*.pkl")
    trace = project / "ran"
    path.write_bytes(b"cos\nsystem\n(S'touch " + str(trace).encode() + b"'\ntR.")
    code, out = train(start, project)
    assert code == 2, out
    assert f"error: {path}: refused" in out or f"{path}: " in out
    assert "Traceback" not in out
    assert not trace.exists()


def test_annotations_cut_short_are_told_with_their_name(start, project):
    path = project / "data" / "Human36M" / "annotations" / "Human36M_subject5_joint_3d.json"
    path.write_text(path.read_text()[:1000])
    code, out = train(start, project)
    assert code == 2, out
    assert f"error: {path}: is not valid JSON" in out
    assert "Traceback" not in out


def test_a_bug_shows_all_of_itself(start, project):
    (path,) = (project / "data" / "Human36M" / "cache").glob("test-*/actions.npy")
    np.save(path, np.full_like(np.load(path), 99))  # numbers without a name: no damage that anything produces
    code, out = train(start, project)
    assert code == 1, out
    assert "Traceback" in out
