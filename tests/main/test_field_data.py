"""Files in the published formats through all commands: import, check, two epochs, test; one data set at a time and mixed."""

import json
from pathlib import Path

import numpy as np
import pytest

from data.body_joints import REGRESSOR
from tests.bodies import tiny_body
from tests.data.human36m_npz.npz_files import write_files
from tests.field_files import (
    arrays_3dhp_test,
    sequence_3dpw,
    views_3dhp,
    write_3dhp_test,
    write_3dhp_training,
    write_3dpw,
    write_amass,
)
from tests.main.conftest import ROOT, run_folder, write_smpl

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def field_data(tmp_path_factory) -> Path:
    """SMPL models (no male one), the regressor, and small published files of all data sets."""
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
    write_files(data)
    for split in ("train", "validation", "test"):
        write_3dpw(data / "3DPW" / "sequenceFiles" / split / f"{split}_00.pkl", sequence_3dpw(8, seed=len(split)))
    write_3dhp_training(data / "MPIINF3DHP" / "S1" / "Seq1", views_3dhp(4))
    for name in ("TS1", "TS5"):
        size = (1920, 1080) if name == "TS5" else (2048, 2048)
        path = data / "MPIINF3DHP" / "mpi_inf_3dhp_test_set" / name / "annot_data.mat"
        write_3dhp_test(path, arrays_3dhp_test(seed=int(name[2]), size=size))
    return folder


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


TEST_CONFIGURATIONS = {"Human36MNpz": "human36m_npz", "AMASS": "amass", "3DPW": "3dpw", "MPIINF3DHP": "mpi_inf_3dhp"}

FURTHER = {
    "Human36MNpz": ("action_mean", "pa_action_mean", "mpjve"),
    "AMASS": (),
    "3DPW": ("mpjpe_14", "pa_mpjpe_14"),
    "MPIINF3DHP": ("pck_150", "auc", "per_sequence", "per_activity"),
}

SPLITS = {"Human36MNpz": (180, 152), "AMASS": None, "3DPW": (14, 14), "MPIINF3DHP": (32, 12)}
"""Samples of the generated files' training and test split; AMASS's cameras choose what is seen."""


def small(folder: Path) -> list[str]:
    """What makes a configuration of the project run on the small files in seconds."""
    keys = {
        "DATASET.data_dir": folder / "data", "DATASET.workers": 0, "MODEL.hidden_dim": 8, "MODEL.coarsen_levels": 7,
        "MODEL.smpl_dir": folder / "smpl", "TRAIN.batch_size": 16, "TRAIN.end_epoch": 1,
        "RUN.experiment_dir": folder / "experiment",
    }  # fmt: skip
    return [word for key, value in keys.items() for word in ("--set", f"{key}={value}")]


def yaml(name: str) -> Path:
    return ROOT / "asset" / "yaml" / f"HGN_{name}.yml"


def train(start, ready: Path, configuration: str) -> tuple[Path, list[dict], str]:
    """The run folder, the epochs in its log, and everything it printed."""
    output = run(start, "train.py", "--cfg", yaml(configuration), *small(ready))
    folder = run_folder(output)
    return folder, [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()], output


def report_on(start, ready: Path, name: str, weights: Path, *more: str) -> dict:
    """metrics.json of the data set's own test configuration; its protocol's numbers are there and printed."""
    arguments = ("--set", f"TEST.weight_path={weights}", *more)
    tested = run(start, "test.py", "--cfg", yaml(f"{TEST_CONFIGURATIONS[name]}_test"), *small(ready), *arguments)
    result = Path(tested.split("all in ")[1].strip()) / "result"
    metrics = json.loads((result / "metrics.json").read_text())
    assert metrics["protocol"].startswith(f"{name}, ")
    assert np.isfinite(metrics["mpjpe"])
    assert np.isfinite(metrics["pa_mpjpe"])
    for key in FURTHER[name]:
        assert key in metrics
        assert np.isfinite(metrics[key] if isinstance(metrics[key], float) else 0)
    with np.load(result / "predictions.npz") as z:
        assert len(z["pose3d"]) == metrics["num_samples"]
    return metrics


@pytest.mark.parametrize(
    ("name", "configuration"),
    [
        *((name, f"{stem}_train") for name, stem in TEST_CONFIGURATIONS.items()),
        ("Human36MNpz", "human36m_npz_cpn_train"),
    ],
)
def test_each_configuration_is_checked_trained_with_and_tested_under_its_own_protocol(
    ready, start, name, configuration
):
    checked = run(start, "prepare_data.py", "check", "--cfg", yaml(configuration), *small(ready))
    assert "wrong" not in checked
    folder, epochs, output = train(start, ready, configuration)
    assert len(epochs) == 2
    assert epochs[1]["loss_joint"] < epochs[0]["loss_joint"]
    has_meshes = name in ("AMASS", "3DPW")
    assert [epoch["loss_mesh_0"] > 0 for epoch in epochs] == [has_meshes, has_meshes]
    detections = ("--set", "DATASET.detections=cpn_ft_h36m_dbb") if "cpn" in configuration else ()
    metrics = report_on(start, ready, name, folder, *detections)
    if SPLITS[name]:
        assert (f"training on {SPLITS[name][0]} samples of {name}" in output, metrics["num_samples"]) == (
            True,
            SPLITS[name][1],
        )


def test_the_mixed_configuration_trains_on_all_its_sets_and_is_tested_on_each(ready, start):
    folder, epochs, output = train(start, ready, "mixed_train")
    assert len(epochs) == 2
    for epoch in epochs:
        assert list(epoch["test"]["sets"]) == ["Human36MNpz", "MPIINF3DHP"]
        assert epoch["loss_mesh_0"] > 0  # AMASS's; the other two have no meshes
    assert epochs[1]["loss_joint"] < epochs[0]["loss_joint"]
    assert "samples of Human36MNpz, AMASS, MPIINF3DHP, testing on 164" in output
    last = epochs[-1]["test"]["sets"]
    for name in FURTHER:
        metrics = report_on(start, ready, name, folder / "checkpoint" / "last.pth.tar")
        if name in last:
            numbers = ("mpjpe", "pa_mpjpe", "num_samples", *FURTHER[name])
            assert {n: metrics[n] for n in numbers} == {n: last[name][n] for n in numbers}


def test_an_epoch_is_chosen_on_3dpw_s_validation_split_and_tested_on_its_test_split(ready, start):
    folder, epochs, _ = train(start, ready, "3dpw_train")
    assert "3DPW, validation split, 14 samples" in epochs[0]["test"]["sets"]["3DPW"]["protocol"]
    assert "3DPW, test split, 14 samples" in report_on(start, ready, "3DPW", folder)["protocol"]
    of_validation = ("--set", "DATASET.test_split=validation")
    again = report_on(start, ready, "3DPW", folder / "checkpoint" / "last.pth.tar", *of_validation)
    assert again["mpjpe"] == epochs[-1]["test"]["sets"]["3DPW"]["mpjpe"]


def test_3dpw_is_tested_on_openpose_detections(ready, start):
    folder, _, _ = train(start, ready, "3dpw_train")
    metrics = report_on(start, ready, "3DPW", folder, "--set", "DATASET.detections=openpose")
    assert "detected (openpose) 2D input" in metrics["protocol"]


def test_a_damaged_file_ends_training_with_one_line_and_leaves_no_cache(field_data, start, tmp_path):
    data = tmp_path / "data"
    path = data / "3DPW" / "sequenceFiles" / "train" / "a_00.pkl"
    write_3dpw(path, sequence_3dpw(8))
    write_3dpw(data / "3DPW" / "sequenceFiles" / "validation" / "a_00.pkl", sequence_3dpw(8))
    path.write_bytes(path.read_bytes()[:-500])
    (data / REGRESSOR).parent.mkdir(parents=True)
    np.save(data / REGRESSOR, tiny_body().joint_regressor)
    code, output = start(
        "train.py", "--cfg", yaml("3dpw_train"), *small(field_data), "--set", f"DATASET.data_dir={data}"
    ).wait()
    assert code == 2
    assert "a_00.pkl" in output.splitlines()[-1]
    assert not list(data.glob("3DPW/cache/train-*"))
