"""main/prepare_data.py as a user runs it: import of a small folder, then the check of what it wrote."""

import json

import numpy as np
import pytest

from lib.lifting.pose_prior import FLOOR, load_pose_prior
from tests.data.mocap.mocap_files import person_amc, person_asf, person_bvh
from tests.main.conftest import ROOT, run_to_the_end

CFG = ROOT / "asset" / "yaml"


@pytest.fixture(scope="module")
def imported(tmp_path_factory, server):
    """A folder with one .asf/.amc pair and one .bvh file, imported into data/Mocap; exit code and output of the command."""
    folder = tmp_path_factory.mktemp("mocap")
    source = folder / "files"
    source.mkdir()
    (source / "07.asf").write_text(person_asf())
    (source / "07_01.amc").write_text(person_amc([{} for _ in range(25)]))
    (source / "12_01.bvh").write_text(person_bvh(frames=9))
    to = ("--output", folder / "data" / "Mocap", "--test-subjects", "12")
    return folder, *run_to_the_end(server, folder / "out.txt", "prepare_data.py", "mocap", "--input", source, *to)


def test_import_reports_what_it_wrote_and_the_loader_finds_the_split(imported):
    folder, code, out = imported
    assert code == 0, out
    assert "2 files read" in out
    split = json.loads((folder / "data" / "Mocap" / "split.json").read_text())
    assert (split["train"]["subjects"], split["test"]["subjects"]) == ([7], [12])


def test_check_of_imported_data_finds_nothing_wrong(imported, start):
    data = ("--set", f"DATASET.data_dir={imported[0] / 'data'}")
    code, out = start("prepare_data.py", "check", "--cfg", CFG / "HGN_mocap_train.yml", *data).wait()
    assert code == 0, out
    # 25 frames at 120 fps are 3 at 10 fps (0, 12, 24), each seen by four cameras
    assert "Mocap train subject 7: 12 samples of 3 frames, 4 cameras" in out


def test_check_of_missing_data_is_one_line_per_subject_and_exit_code_2(tmp_path, start):
    data = ("--set", f"DATASET.data_dir={tmp_path}")
    code, out = start("prepare_data.py", "check", "--cfg", CFG / "HGN_human36J_test_human36.yml", *data).wait()
    assert code == 2
    *subjects, last = (line for line in out.splitlines() if "Human36M" in line or line.startswith("error: "))
    assert [line.split()[4].rstrip(":") for line in subjects] == ["1", "5", "6", "7", "8", "9", "11"]
    files = (
        "data.json, Human36M_subject9_camera.json, Human36M_subject9_joint_3d.json, Human36M_subject9_smpl_param.json"
    )
    assert f"Human36M_subject9_{files} are missing in {tmp_path / 'Human36M' / 'annotations'}" in subjects[5]
    assert last.startswith("error: ")


def test_a_folder_without_motion_capture_is_one_clear_line(tmp_path, start):
    (tmp_path / "empty").mkdir()
    code, out = start("prepare_data.py", "mocap", "--input", tmp_path / "empty", "--output", tmp_path / "out").wait()
    assert code == 2
    assert out.startswith("error: ")
    assert out.count("\n") == 1
    assert "no .amc or .bvh file" in out


def test_a_pose_prior_is_learned_from_the_training_frames(imported, start, tmp_path):
    data = ("--set", f"DATASET.data_dir={imported[0] / 'data'}", "--output", tmp_path / "prior.npz")
    code, out = start("prepare_data.py", "pose-prior", "--cfg", CFG / "HGN_mocap_train.yml", *data).wait()
    assert code == 0, out
    assert "learned from 3 poses" in out
    prior = load_pose_prior(tmp_path / "prior.npz")
    spread = np.sqrt(np.diag(np.linalg.inv(prior.precision)))
    np.testing.assert_allclose(spread, FLOOR, rtol=0.02)  # a person who stands still
