"""Training and testing on VideoPose3D's files from the command line, alone and mixed with annotations that have meshes."""

import json

import numpy as np
import pytest

from tests.data.human36m_npz.npz_files import joints_3d, write_files, write_npz
from tests.main.conftest import run_folder
from tests.main.test_test_command import run_test

NPZ = ("--set", "DATASET.train_list=[Human36MNpz]", "--set", "DATASET.test_list=[Human36MNpz]")
VIDEOPOSE3D = (*NPZ, "--set", "DATASET.protocol=videopose3d")


@pytest.fixture
def npz(project):
    write_files(project / "data")
    return project


def train(start, project, *arguments):
    code, out = start("train.py", "--cfg", project / "my.yml", *arguments).wait()
    assert code == 0, out
    run = run_folder(out)
    return out, run, [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def metrics_of(run):
    return json.loads((run / "result" / "metrics.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("detections", ["gt", "cpn_ft_h36m_dbb"])
def test_two_epochs_on_skeletons_alone_and_the_test_gives_their_error_again(start, npz, detections):
    arguments = (*VIDEOPOSE3D, "--set", f"DATASET.detections={detections}")
    out, run, log = train(start, npz, *arguments, "--set", "TRAIN.batch_size=16")
    assert "training on 180 samples of Human36MNpz, testing on 152" in out
    assert [(entry["loss_mesh_0"], entry["loss_mesh_1"]) for entry in log] == [(0, 0), (0, 0)]
    assert log[1]["loss_joint"] < log[0]["loss_joint"]
    code, out, tested = run_test(start, npz, run / "checkpoint" / "last.pth.tar", *arguments)
    assert code == 0, out
    metrics, last = metrics_of(tested), log[-1]["test"]["sets"]["Human36MNpz"]
    for name in ("mpjpe", "pa_mpjpe", "action_mean", "pa_action_mean", "mpjve", "mpjve_action_mean", "per_action"):
        assert metrics[name] == last[name]
    assert list(metrics["per_action"]) == ["Greeting", "Directions", "SittingDown", "Walking"]
    means = [row["mpjpe"] for row in metrics["per_action"].values()]
    assert metrics["action_mean"] == pytest.approx(np.mean(means))
    assert "protocol videopose3d" in metrics["protocol"]
    assert ("ground-truth 2D input" if detections == "gt" else "detected (cpn_ft_h36m_dbb) 2D") in metrics["protocol"]
    assert "velocity error (MPJVE)" in out


def test_the_protocol_of_the_release_keeps_its_frames_and_names_itself(start, npz, whole):
    code, out, tested = run_test(start, npz, whole / "checkpoint" / "last.pth.tar", *NPZ)
    assert code == 0, out
    metrics = metrics_of(tested)
    assert metrics["num_samples"] == 4 * 4  # frame 0 of six recordings but two that are dropped, four cameras
    assert "protocol release" in metrics["protocol"]
    assert "mpjve" not in metrics


@pytest.mark.slow
def test_sets_with_and_without_meshes_train_together(start, npz):
    sets = (
        "--set",
        "DATASET.train_list=[Human36M, Human36MNpz]",
        "--set",
        "AUG.flip=true",
        "--set",
        "TRAIN.batch_size=32",
    )
    _, _, log = train(start, npz, *sets, "--set", "DATASET.protocol=videopose3d")
    assert all(np.isfinite(entry["loss"]) and entry["loss_mesh_0"] > 0 for entry in log)


def test_other_views_have_no_detections(start, npz):
    wanted = ("--set", "DATASET.detections=cpn_ft_h36m_dbb", "--set", "AUG.view_probability=0.5")
    code, out = start("train.py", "--cfg", npz / "my.yml", *VIDEOPOSE3D, *wanted).wait()
    assert code == 2
    assert "AUG.view_probability" in out


def test_a_spoilt_file_is_one_line_exit_code_2_and_no_run_folder(start, npz, whole):
    joints = joints_3d()
    joints["S9"]["Walking"][1, 0] = np.nan
    write_npz(npz / "data" / "Human36MNpz" / "data_3d_h36m.npz", positions_3d=joints)
    for script, more in (("train.py", ()), ("test.py", ("--set", f"TEST.weight_path={whole}/checkpoint/last.pth.tar"))):
        before = set(npz.glob("experiment/*"))
        code, out = start(script, "--cfg", npz / "my.yml", *VIDEOPOSE3D, *more).wait()
        assert code == 2
        (line,) = (line for line in out.splitlines() if line.startswith("error: "))
        assert "data_3d_h36m.npz: S9 Walking: NaN or infinite numbers in frame 1" in line
        assert set(npz.glob("experiment/*")) == before
