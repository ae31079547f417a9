import json
import shutil

import numpy as np
import pytest
import torch

import main.test
from lib import checkpoint
from lib.evaluation.report import evaluate
from tests.main.conftest import run_folder, write_config

RESULTS = ["metrics.json", "predictions.npz"]


def run_test(start, project, weights, *arguments, **more):
    """Exit code, output and run folder of main/test.py with these weights."""
    before = set(project.glob("experiment/*"))
    pick = ["--set", f"TEST.weight_path={weights}"] if weights else []
    code, out = start("test.py", "--cfg", project / "my.yml", *pick, *arguments, **more).wait()
    made = set(project.glob("experiment/*")) - before
    return code, out, (made.pop() if made else None)


def metrics_of(run) -> dict:
    return json.loads((run / "result" / "metrics.json").read_text())


@pytest.fixture
def tested(start, project, whole):
    code, out, run = run_test(start, project, whole / "checkpoint" / "last.pth.tar", "--set", "TEST.vis=true")
    assert code == 0, out
    return out, run


def test_testing_a_saved_checkpoint_gives_the_error_of_its_epoch_again(tested, whole):
    out, run = tested
    log = [json.loads(line) for line in (whole / "log.jsonl").read_text().splitlines()]
    metrics = metrics_of(run)
    for name in ("mpjpe", "pa_mpjpe", "mpjpe_16", "action_mean", "pa_action_mean", "per_action"):
        assert metrics[name] == log[-1]["test"]["sets"]["Human36M"][name]
    assert f"MPJPE {metrics['mpjpe']:.2f} mm" in out
    assert f"weights: {whole / 'checkpoint' / 'last.pth.tar'}" in out
    assert "after 2 epochs" in metrics["weights"]


def test_metrics_follow_from_the_predictions_alone(tested):
    _, run = tested
    metrics = metrics_of(run)
    with np.load(run / "result" / "predictions.npz", allow_pickle=False) as z:
        arrays = dict(z)
    report = evaluate(arrays["pose3d"], arrays["pose3d_gt"], arrays["actions"], metrics["protocol"], metrics["weights"])
    assert report.to_dict() == metrics
    shapes = {name: array.shape for name, array in arrays.items()}
    assert shapes == {
        "names": (8,), "actions": (8,), "sequences": (8,), "frames": (8,), "pose2d": (8, 17, 2),
        "pose3d": (8, 17, 3), "pose3d_gt": (8, 17, 3),
        "mesh_coarse": (8, 20, 3), "mesh_fine": (8, 37, 3),
    }  # fmt: skip
    assert set(arrays["actions"]) == {"Directions", "Discussion"}
    assert np.abs(arrays["pose3d_gt"]).max() > 300  # mm


def test_pictures_and_obj_files_are_made_when_asked_for(tested):
    _, run = tested
    files = sorted(p.name for p in (run / "vis").iterdir())
    assert len(files) == 6 * 6
    stems = {name.rsplit("_", 2)[0] if "mesh" in name else name.rsplit("_", 1)[0] for name in files}
    assert all(stem.startswith("s_") for stem in stems)
    faces = [
        s
        for s in (run / "vis" / next(n for n in files if n.endswith("fine.obj"))).read_text().splitlines()
        if s[0] == "f"
    ]
    assert faces
    assert max(int(n) for face in faces for n in face.split()[1:]) <= 37


@pytest.mark.parametrize(
    ("place", "file"),
    [("", "best"), ("checkpoint", "best"), ("checkpoint/last.pth.tar", "last")],
    ids=["run folder", "folder", "file"],
)
def test_weights_are_a_file_a_folder_or_a_run_folder_and_the_output_says_which(start, project, whole, place, file):
    code, out, _ = run_test(start, project, whole / place)
    assert code == 0, out
    assert f"weights: {whole / 'checkpoint' / file}.pth.tar" in out


def test_no_body_model_is_needed_beyond_the_data_and_no_other_key_than_the_data_s_matters(start, project, whole):
    code, out, run = run_test(start, project, whole, "--set", "MODEL.hidden_dim=64", "--set", "MODEL.fusion=parallel")
    assert code == 0, out
    best = checkpoint.read(whole / "checkpoint" / "best.pth.tar")
    assert metrics_of(run)["mpjpe"] == best["log"][-1]["test"]["mpjpe"]


def test_released_weights_are_read_with_the_hierarchy_of_the_body_and_sizes_that_differ_are_named(
    start, project, whole
):
    content = checkpoint.read(whole / "checkpoint" / "best.pth.tar")
    path = project / "final.pth.tar"
    released = {"epoch": 149, "model_state_dict": {f"module.{k}": v for k, v in content["model_state_dict"].items()}}
    torch.save(released, path)
    code, out, run = run_test(start, project, path)
    assert code == 0, out
    assert metrics_of(run)["mpjpe"] == content["log"][-1]["test"]["mpjpe"]
    code, out, run = run_test(start, project, path, "--set", "MODEL.coarsen_levels=6")
    assert code == 2, out
    assert "they need 17 joints and meshes of 22 and 44 nodes, the hierarchy built here has 17 joints" in out
    assert "MODEL.smpl_dir" in out
    assert run is None


def test_without_a_weight_path_the_places_that_were_tried_are_told(start, project, tmp_path):
    code, out, run = run_test(start, project, None)
    assert code == 2, out
    assert "looked for a .pth.tar file in pretrained and " in out
    assert str(project / "experiment" / "HGN_human36J_train_human36") in out
    assert run is None


def test_published_weights_are_found_where_the_readme_puts_them(start, project, whole):
    place = project / "experiment" / "HGN_human36J_train_human36"
    place.mkdir(parents=True)
    shutil.copy(whole / "checkpoint" / "best.pth.tar", place / "final.pth.tar")
    code, out, _ = run_test(start, project, None)
    assert code == 0, out
    assert f"weights: {place / 'final.pth.tar'}" in out


def test_detections_take_the_place_of_the_true_2d_joints_and_missing_ones_are_counted(start, project, whole):
    images = [
        image
        for subject in (9, 11)
        for image in json.loads(
            (project / f"data/Human36M/annotations/Human36M_subject{subject}_data.json").read_text()
        )["images"]
    ]
    detections = {image["file_name"]: np.random.default_rng(0).uniform(200, 800, (17, 2)).tolist() for image in images}
    path = project / "detections.json"
    path.write_text(json.dumps(detections))
    detected = ["--set", "DATASET.use_gt_input=false", "--set", f"DATASET.detection_file={path}"]
    code, out, run = run_test(start, project, whole, *detected)
    assert code == 0, out
    assert "detected 2D input" in out
    best = checkpoint.read(whole / "checkpoint" / "best.pth.tar")
    assert metrics_of(run)["mpjpe"] != best["log"][-1]["test"]["mpjpe"]
    path.write_text(json.dumps(dict(list(detections.items())[3:])))
    code, out, _ = run_test(start, project, whole, *detected)
    assert code == 2, out
    assert "3 of 8 samples have no detection" in out
    code, out, _ = run_test(start, project, whole, "--set", "DATASET.use_gt_input=false")
    assert code == 2, out
    assert "needs DATASET.detection_file" in out


def test_a_damaged_checkpoint_is_one_line(start, project, whole):
    path = project / "cut.pth.tar"
    path.write_bytes((whole / "checkpoint" / "best.pth.tar").read_bytes()[:5000])
    code, out, run = run_test(start, project, path)
    assert code == 2, out
    assert f"error: {path}: is not a checkpoint or is damaged" in out
    assert "Traceback" not in out
    assert run is None


def test_a_training_run_and_a_test_run_never_share_a_folder(start, project, whole):
    write_config(project, end_epoch=0)
    train = start("train.py", "--cfg", project / "my.yml")
    code, out, _ = run_test(start, project, whole)
    assert code == 0, out
    _, text = train.wait()
    assert f"all in {run_folder(text)}\n" not in out
    assert len(list(project.glob("experiment/*"))) == 2


def test_several_gpus_share_the_prediction(project, whole, monkeypatch, capsys):
    """Two devices that are the CPU, and a DataParallel that tells what it was given."""
    given = []

    class Parallel(torch.nn.Module):
        def __init__(self, module, device_ids):
            super().__init__()
            self.module = module
            given.append(device_ids)

        def forward(self, pose2d):
            given.append(len(pose2d))
            return self.module(pose2d)

    cpu = torch.device("cpu", 0)
    monkeypatch.setattr("lib.device.choose_devices", lambda gpu, group: [cpu, cpu] if gpu == "0,1" else None)
    monkeypatch.setattr(torch.nn, "DataParallel", Parallel)
    weights = f"TEST.weight_path={whole / 'checkpoint' / 'last.pth.tar'}"
    arguments = ["test.py", "--cfg", str(project / "my.yml"), "--gpu", "0,1", "--set", weights]
    monkeypatch.setattr("sys.argv", arguments)
    main.test.main()
    assert given == [[0, 0], 8]
    log = json.loads((whole / "log.jsonl").read_text().splitlines()[-1])
    assert f"MPJPE {log['test']['sets']['Human36M']['mpjpe']:.2f} mm" in capsys.readouterr().out
