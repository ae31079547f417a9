"""main/prepare_data.py as a user runs it: import of a small folder, then the check of what it wrote."""

import json
import subprocess
import sys

import numpy as np
import pytest

from lib.lifting.pose_prior import FLOOR, load_pose_prior
from tests.data.mocap.mocap_files import person_amc, person_asf, person_bvh


def run(repository, *arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, str(repository / "main" / "prepare_data.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def imported(tmp_path_factory, repository):
    """A folder with one .asf/.amc pair and one .bvh file, imported into data/Mocap."""
    folder = tmp_path_factory.mktemp("mocap")
    source = folder / "files"
    source.mkdir()
    (source / "07.asf").write_text(person_asf())
    (source / "07_01.amc").write_text(person_amc([{} for _ in range(25)]))
    (source / "12_01.bvh").write_text(person_bvh(frames=9))
    done = run(repository, "mocap", "--input", source, "--output", folder / "data" / "Mocap", "--test-subjects", "12")
    return folder, done


def test_import_reports_what_it_wrote_and_the_loader_finds_the_split(imported):
    folder, done = imported
    assert done.returncode == 0, done.stderr
    assert "2 files read" in done.stdout
    split = json.loads((folder / "data" / "Mocap" / "split.json").read_text())
    assert (split["train"]["subjects"], split["test"]["subjects"]) == ([7], [12])


def test_check_of_imported_data_finds_nothing_wrong(imported, repository):
    folder, _ = imported
    cfg = repository / "asset" / "yaml" / "HGN_mocap_train.yml"
    done = run(repository, "check", "--cfg", cfg, "--set", f"DATASET.data_dir={folder / 'data'}")
    assert done.returncode == 0, done.stdout + done.stderr
    # 25 frames at 120 fps are 3 at 10 fps (0, 12, 24), each seen by four cameras
    assert "Mocap train subject 7: 12 samples of 3 frames, 4 cameras" in done.stdout


def test_check_of_missing_data_is_one_line_per_subject_and_exit_code_2(tmp_path, repository):
    cfg = repository / "asset" / "yaml" / "HGN_human36J_test_human36.yml"
    done = run(repository, "check", "--cfg", cfg, "--set", f"DATASET.data_dir={tmp_path}")
    assert done.returncode == 2
    subjects = [line for line in done.stdout.splitlines() if "Human36M" in line]
    assert [line.split()[4].rstrip(":") for line in subjects] == ["1", "5", "6", "7", "8", "9", "11"]
    files = (
        "data.json, Human36M_subject9_camera.json, Human36M_subject9_joint_3d.json, Human36M_subject9_smpl_param.json"
    )
    assert f"Human36M_subject9_{files} are missing in {tmp_path / 'Human36M' / 'annotations'}" in subjects[5]
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_a_folder_without_motion_capture_is_one_clear_line(tmp_path, repository):
    done = run(repository, "mocap", "--input", tmp_path, "--output", tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "no .amc or .bvh file" in done.stderr


def test_a_pose_prior_is_learned_from_the_training_frames(imported, repository, tmp_path):
    folder, _ = imported
    cfg = repository / "asset" / "yaml" / "HGN_mocap_train.yml"
    data = ("--set", f"DATASET.data_dir={folder / 'data'}")
    done = run(repository, "pose-prior", "--cfg", cfg, *data, "--output", tmp_path / "prior.npz")
    assert done.returncode == 0, done.stderr
    assert "learned from 3 poses" in done.stdout
    prior = load_pose_prior(tmp_path / "prior.npz")
    spread = np.sqrt(np.diag(np.linalg.inv(prior.precision)))
    np.testing.assert_allclose(spread, FLOOR, rtol=0.02)  # a person who stands still
