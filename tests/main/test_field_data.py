"""Files in the published formats through all commands: import, check, two epochs, test; one data set at a time and mixed."""

import json
import textwrap
from pathlib import Path

import numpy as np
import pytest

from data.body_joints import REGRESSOR
from tests.bodies import tiny_body
from tests.field_files import (
    arrays_3dhp_test,
    sequence_3dpw,
    views_3dhp,
    write_3dhp_test,
    write_3dhp_training,
    write_3dpw,
    write_amass,
)
from tests.main.conftest import run_folder, write_smpl

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def field_data(tmp_path_factory) -> Path:
    """SMPL models (no male one), the regressor, and small published files of all three data sets."""
    pytest.importorskip("h5py")
    folder = tmp_path_factory.mktemp("field")
    data = folder / "data"
    write_smpl(folder / "smpl" / "basicModel_neutral_lbs_10_207_0_v1.0.0.pkl")
    write_smpl(folder / "smpl" / "basicModel_f_lbs_10_207_0_v1.0.0.pkl", scale=0.95)
    (data / REGRESSOR).parent.mkdir(parents=True)
    np.save(data / REGRESSOR, tiny_body().joint_regressor)
    write_amass(folder / "amass" / "CMU" / "01" / "01_01_poses.npz", 30, 60.0, "male", seed=1)
    write_amass(folder / "amass" / "KIT" / "3" / "a_stageii.npz", 30, 60.0, "female", "smplx", seed=2)
    write_amass(folder / "amass" / "SSM_synced" / "2016" / "b_poses.npz", 30, 60.0, "neutral", seed=3)
    for split in ("train", "test"):
        write_3dpw(data / "3DPW" / "sequenceFiles" / split / f"{split}_00.pkl", sequence_3dpw(8, seed=len(split)))
    write_3dhp_training(data / "MPIINF3DHP" / "S1" / "Seq1", views_3dhp(4))
    for name in ("TS1", "TS5"):
        size = (1920, 1080) if name == "TS5" else (2048, 2048)
        path = data / "MPIINF3DHP" / "mpi_inf_3dhp_test_set" / name / "annot_data.mat"
        write_3dhp_test(path, arrays_3dhp_test(seed=int(name[2]), size=size))
    return folder


def config_of(folder: Path, train: list[str], test: list[str]) -> Path:
    path = folder / f"{'_'.join(train)}.yml"
    path.write_text(
        textwrap.dedent(f"""\
            DATASET: {{train_list: {json.dumps(train)}, test_list: {json.dumps(test)}, workers: 0, data_dir: {folder}/data}}
            MODEL: {{hidden_dim: 8, coarsen_levels: 7, smpl_dir: {folder}/smpl}}
            TRAIN: {{batch_size: 16, end_epoch: 1, lr: 0.001}}
            AUG: {{flip: true, view_probability: 0.5}}
            RUN: {{experiment_dir: {folder}/experiment}}
            """)
    )
    return path


def run(start, *arguments):
    code, output = start(*arguments).wait()
    assert code == 0, output
    return output


@pytest.fixture
def ready(field_data, start) -> Path:
    if not (field_data / "data" / "AMASS").is_dir():
        run(
            start,
            "prepare_data.py",
            "amass",
            "--input",
            field_data / "amass",
            "--output",
            field_data / "data" / "AMASS",
        )
    return field_data


FURTHER = {
    "AMASS": (),
    "3DPW": ("mpjpe_14", "pa_mpjpe_14"),
    "MPIINF3DHP": ("pck_150", "auc", "per_sequence", "per_activity"),
}


@pytest.mark.parametrize("name", FURTHER)
def test_each_data_set_is_checked_trained_on_and_tested_under_its_own_protocol(ready, start, name):
    config = config_of(ready, [name], [name])
    checked = run(start, "prepare_data.py", "check", "--cfg", config)
    assert f"ok     {name} train: " in checked
    assert f"ok     {name} test: " in checked
    folder = run_folder(run(start, "train.py", "--cfg", config))
    epochs = [json.loads(line) for line in (Path(folder) / "log.jsonl").read_text().splitlines()]
    assert len(epochs) == 2
    tested = run(start, "test.py", "--cfg", config, "--set", f"TEST.weight_path={folder}")
    result = Path(tested.split("all in ")[1].strip()) / "result"
    metrics = json.loads((result / "metrics.json").read_text())
    for key in FURTHER[name]:
        assert key in metrics
        assert key in tested
    assert np.isfinite(metrics["mpjpe"])
    with np.load(result / "predictions.npz") as z:
        assert len(z["pose3d"]) == metrics["num_samples"]


def test_data_sets_with_and_without_meshes_train_together(ready, start):
    config = config_of(ready, ["AMASS", "MPIINF3DHP", "3DPW"], ["3DPW", "MPIINF3DHP"])
    output = run(start, "train.py", "--cfg", config)
    epochs = [json.loads(line) for line in (Path(run_folder(output)) / "log.jsonl").read_text().splitlines()]
    assert len(epochs) == 2
    assert "MPI-INF-3DHP's own" in output


def test_3dpw_is_tested_on_openpose_detections(ready, start):
    config = config_of(ready, ["3DPW"], ["3DPW"])
    folder = run_folder(run(start, "train.py", "--cfg", config))
    keys = ("DATASET.detections=openpose", f"TEST.weight_path={folder}")
    tested = run(start, "test.py", "--cfg", config, *(word for key in keys for word in ("--set", key)))
    assert "detected (openpose) 2D input" in tested


def test_a_damaged_file_ends_training_with_one_line_and_leaves_no_cache(field_data, start, tmp_path):
    data = tmp_path / "data"
    path = data / "3DPW" / "sequenceFiles" / "train" / "a_00.pkl"
    write_3dpw(path, sequence_3dpw(8))
    write_3dpw(data / "3DPW" / "sequenceFiles" / "test" / "a_00.pkl", sequence_3dpw(8))
    path.write_bytes(path.read_bytes()[:-500])
    (data / REGRESSOR).parent.mkdir(parents=True)
    np.save(data / REGRESSOR, tiny_body().joint_regressor)
    config = config_of(field_data, ["3DPW"], ["3DPW"])
    code, output = start("train.py", "--cfg", config, "--set", f"DATASET.data_dir={data}").wait()
    assert code == 2
    assert "a_00.pkl" in output.splitlines()[-1]
    assert not list(data.glob("3DPW/cache/train-*"))
