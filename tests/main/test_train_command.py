import json
import os
import re
import shlex
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from docs.run_folder_figure import files_of
from lib import checkpoint
from lib.config import config_to_dict, load_config
from main.train import DEBUG_SAMPLES
from tests.main.conftest import equal, run_folder, weights_of, write_config
from tests.tables import random_table


def train(start, project, *arguments, **more):
    return start("train.py", "--cfg", project / "my.yml", *arguments, **more).wait()


def test_a_run_leaves_all_that_it_promises(start, project):
    code, out = train(start, project, "--set", "TEST.vis=true")
    assert code == 0, out
    run = run_folder(out)
    assert run.parent == project / "experiment"
    assert sorted(p.name for p in (run / "checkpoint").iterdir()) == [
        "best.pth.tar",
        "last.pth.tar",
        "previous.pth.tar",
    ]
    assert sorted(p.name for p in (run / "graph").iterdir()) == ["error.png", "loss.png"]
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [entry["epoch"] for entry in log] == [0, 1]
    config = load_config(project / "my.yml", {"TEST.vis": "true"})
    assert yaml.safe_load((run / "config.yml").read_text()) == config_to_dict(config)
    kinds = {(p.name.split("_", 9)[-1].split("_", 1)[-1]) for p in (run / "vis").iterdir()}
    assert {k.rsplit("_", 1)[-1] for k in kinds} == {
        "pose.png", "pose.obj", "coarse.png", "coarse.obj", "fine.png", "fine.obj",
    }  # fmt: skip
    for words in ("training on 20 samples of Human36M, testing on 8", "cpu", "best test MPJPE"):
        assert words in out
    assert "UserWarning" not in out
    in_the_picture = files_of(run)  # ValueError for a file that the picture of a run folder lacks
    assert [name for name, files in in_the_picture.items() if not files] == ["result/predictions.npz"]


@pytest.mark.slow
def test_seeds_decide_the_weights_bit_for_bit(start, project, whole):
    commands = [start("train.py", "--cfg", project / "my.yml", "--seed", seed) for seed in (123, 1)]
    runs = []
    for command in commands:  # side by side, perhaps in one second
        code, out = command.wait()
        assert code == 0, out
        runs.append(run_folder(out))
    assert runs[0] != runs[1]
    assert equal(weights_of(runs[0]), weights_of(whole))
    assert not equal(weights_of(runs[1]), weights_of(whole))


def test_all_of_augmentation_noise_and_several_sets_train(start, project):
    code, out = train(
        start, project, "--set", "AUG.flip=true", "--set", "AUG.rotate_factor=30", "--set", "DATASET.use_gt_input=false",
        "--set", "DATASET.train_list=[Human36M, Human36M]", "--set", "MODEL.fusion=parallel", "--set", "TRAIN.end_epoch=0",
        "--set", "MODEL.normal_loss_weight=0.1", "--set", "MODEL.edge_loss_weight=0.1",
    )  # fmt: skip
    assert code == 0, out
    log = json.loads((run_folder(out) / "log.jsonl").read_text())
    assert log["loss"] > 0
    assert {"loss_normal", "loss_edge"} <= log.keys()


def test_a_run_starts_from_the_weights_of_another(start, project, whole):
    """At a rate of 1e-12, an epoch leaves weights where they were."""
    keys = ("TRAIN.lr=1e-12", "TRAIN.end_epoch=0", f"TRAIN.weight_path={whole}")
    code, out = train(start, project, "--seed", "7", *(word for key in keys for word in ("--set", key)))
    assert code == 0, out
    before = checkpoint.read(whole / "checkpoint" / "best.pth.tar")["model_state_dict"]
    after = weights_of(run_folder(out))
    assert f"starting from {whole / 'checkpoint' / 'best.pth.tar'}" in out
    parameters = [name for name in before if "running" not in name and "num_batches" not in name]
    assert all(np.allclose(after[name], before[name], atol=1e-7) for name in parameters)


def test_debug_takes_a_few_samples_only(start, project):
    table = random_table(1000)
    some = table.subsample(DEBUG_SAMPLES)
    assert len(some) == DEBUG_SAMPLES == 256
    assert [some.names[0], some.names[-1]] == [table.names[0], table.names[-1]]
    assert len(random_table(5).subsample(DEBUG_SAMPLES)) == 5
    code, out = train(start, project, "--debug", "--set", "TRAIN.end_epoch=0")
    assert code == 0, out


OTHERS = {
    "SimpleBaseline": ("MODEL.name=SimpleBaseline", "MODEL.hidden_dim=4"),
    "SemGCN": ("MODEL.name=SemGCN",),
    "ModulatedGCN": ("MODEL.name=ModulatedGCN",),
    "Transformer": ("MODEL.name=Transformer",),
    "HGN, skeleton": ("MODEL.scales=1",),
    "HGN, coarse mesh": ("MODEL.scales=2", "MODEL.depth=2"),
    "HGN, options": ("MODEL.modulation=true", "MODEL.attention=softmax", "MODEL.mesh_loss_weight=0"),
}


@pytest.mark.slow
@pytest.mark.parametrize("keys", OTHERS.values(), ids=OTHERS.keys())
def test_every_network_is_trained_stopped_resumed_and_tested_by_the_same_commands(start, project, keys):
    sets = [part for key in keys for part in ("--set", key)]
    code, out = train(start, project, *sets, "--set", "TEST.vis=true")
    assert code == 0, out
    whole = run_folder(out)
    write_config(project, checkpoint_minutes=1e-9)
    at_the_third_save = ("os.rename", r"last\.pth\.tar", 3, "signal", int(signal.SIGTERM))
    stopped, out = train(start, project, *sets, faults=(at_the_third_save,))
    assert stopped == 143, out
    run = run_folder(out)
    assert checkpoint.read(run / "checkpoint" / "last.pth.tar")["epoch"] == 0
    code, out = start("train.py", *resume_command_in(out)).wait()
    assert code == 0, out
    assert equal(weights_of(run), weights_of(whole))
    weights = ("--set", f"TEST.weight_path={run / 'checkpoint' / 'last.pth.tar'}")
    code, out = start("test.py", "--cfg", project / "my.yml", *weights, "--set", "TEST.vis=true").wait()
    assert code == 0, out
    tested = Path(re.search(r"all in (.+)", out)[1])
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    metrics = json.loads((tested / "result" / "metrics.json").read_text())
    assert metrics["mpjpe"] == log[-1]["test"]["mpjpe"]
    meshes = {"MODEL.scales=1": 0, "MODEL.scales=2": 1, "MODEL.modulation=true": 2}.get(keys[0], 0)
    with np.load(tested / "result" / "predictions.npz") as z:
        assert [name for name in z.files if name.startswith("mesh")] == ["mesh_coarse", "mesh_fine"][:meshes]
    assert len(list((tested / "vis").glob("*.obj"))) == 6 * (1 + meshes)


# --- stopping and going on


def resume_command_in(out: str) -> list[str]:
    python, _, *arguments = shlex.split(re.search(r"resume with: (.+)", out)[1])
    assert python == "python"
    return arguments


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow)]
)
def test_a_stopped_run_saves_and_prints_the_command_that_ends_with_the_weights_of_an_unstopped_one(
    start, project, whole, number, code
):
    at_the_second_save = ("os.rename", r"last\.pth\.tar", 2, "signal", int(number))
    write_config(project, checkpoint_minutes=1e-9)
    stopped, out = train(start, project, faults=(at_the_second_save,))
    assert stopped == code, out
    assert "Traceback" not in out
    run = run_folder(out)
    content = checkpoint.read(run / "checkpoint" / "last.pth.tar")
    assert (content["epoch"], content["step"]) in ((0, 2), (0, 3))
    resumed, text = start("train.py", *resume_command_in(out)).wait()
    assert resumed == 0, text
    assert run_folder(text) == run
    assert equal(weights_of(run), weights_of(whole))
    assert equal(weights_of(run, "best"), weights_of(whole, "best"))
    logs = [[json.loads(s) for s in (r / "log.jsonl").read_text().splitlines()] for r in (run, whole)]
    assert [{**e, "seconds": 0} for e in logs[0]] == [{**e, "seconds": 0} for e in logs[1]]


def test_ctrl_c_from_outside_stops_a_run_that_is_at_work(start, project):
    write_config(project, end_epoch=10_000, checkpoint_minutes=1e-9)
    command = start("train.py", "--cfg", project / "my.yml")
    while not list(project.glob("experiment/*/checkpoint/last.pth.tar")):
        time.sleep(0.02)
    os.kill(command.pid, signal.SIGINT)
    code, out = command.wait()
    assert code == 130, out
    assert "stopped and saved; resume with: python" in out


@pytest.mark.slow
def test_a_run_that_was_resumed_prints_its_command_once(start, project):
    write_config(project, checkpoint_minutes=1e-9)
    fault = ("os.rename", r"last\.pth\.tar", 2, "signal", int(signal.SIGTERM))
    _, out = train(start, project, faults=(fault,))
    again = resume_command_in(out)
    code, out = start("train.py", *again, faults=(fault,)).wait()
    assert code == 143, out
    assert resume_command_in(out) == again


@pytest.mark.slow
def test_resume_without_a_path_takes_the_newest_run_of_this_configuration(start, project):
    fault = ("os.rename", r"last\.pth\.tar", 1, "signal", int(signal.SIGTERM))
    _, out = train(start, project, faults=(fault,))
    train(start, project, "--set", "TRAIN.lr=0.001", "--set", "TRAIN.end_epoch=0")
    code, text = train(start, project, "--resume_training", "--seed", "1")
    assert code == 2, text
    assert "was trained with --seed 123, not 1" in text
    code, text = train(start, project, "--resume_training")
    assert code == 0, text
    assert run_folder(text) == run_folder(out)
    assert checkpoint.read(run_folder(out) / "checkpoint" / "last.pth.tar")["epoch"] == 2


@pytest.mark.slow
def test_a_run_that_is_at_work_cannot_be_resumed_by_another_process(start, project):
    write_config(project, end_epoch=10_000, checkpoint_minutes=1e-9)
    command = start("train.py", "--cfg", project / "my.yml")
    while not list(project.glob("experiment/*/checkpoint/last.pth.tar")):
        time.sleep(0.02)
    (run,) = project.glob("experiment/*")
    code, out = train(start, project, "--resume_training", run)
    os.kill(command.pid, signal.SIGKILL)
    command.wait()
    assert code == 2, out
    assert f"error: {run}: another process is working on this run" in out
    code, out = train(start, project, "--resume_training", run, "--set", "TRAIN.end_epoch=0")
    assert code == 0, out


@pytest.mark.slow
def test_a_resumed_run_takes_its_own_seed(start, project):
    fault = ("os.rename", r"last\.pth\.tar", 1, "signal", int(signal.SIGTERM))
    _, out = train(start, project, "--seed", "7", faults=(fault,))
    code, text = train(start, project, "--resume_training", run_folder(out))
    assert code == 0, text
    assert checkpoint.read(run_folder(out) / "checkpoint" / "last.pth.tar")["seed"] == 7


def test_metrics_of_the_best_and_of_the_last_epoch_are_left_in_the_result_folder(start, project):
    code, out = train(start, project, "--set", "TRAIN.end_epoch=2", "--set", "TRAIN.lr=0.1")
    assert code == 0, out
    run = run_folder(out)
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    metrics = json.loads((run / "result" / "metrics.json").read_text())
    best = min(log, key=lambda entry: entry["test"]["mpjpe"])
    assert metrics["epoch"] == best["epoch"]
    assert metrics["final"]["epoch"] == 2
    for found, entry in ((metrics, best), (metrics["final"], log[-1])):
        wanted = entry["test"]["sets"]["Human36M"]
        assert {**wanted, "weights": found["weights"]} == {k: found[k] for k in wanted}
        assert f"after {entry['epoch'] + 1} epochs" in found["weights"]
    assert metrics["weights"].startswith(str(run / "checkpoint" / "best.pth.tar"))
    code, out = start("test.py", "--cfg", project / "my.yml", "--set", f"TEST.weight_path={run}").wait()
    assert code == 0, out
    tested = max(project.glob("experiment/*/result/metrics.json"), key=lambda p: p.stat().st_mtime_ns)
    assert tested.parent.parent != run
    assert json.loads(tested.read_text())["mpjpe"] == metrics["mpjpe"]


# --- mistakes of users: exit code 2 and one line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "TRAIN.learning_rate=1"], "unknown key TRAIN.learning_rate"),
        (["--set", "DATASET.train_list=[Human37M]"], "unknown data set Human37M"),
        (["--set", "DATASET.data_dir=/nowhere"], "Human36M_subject1_data.json is missing"),
        (["--set", "MODEL.coarsen_levels=20"], "levels"),
        (["--set", "DATASET.test_list=[]"], "DATASET.test_list"),
        (["--set", "DATASET.target_joint_set=coco"], "DATASET.target_joint_set"),
        (
            ["--set", "MODEL.name=SemGCN", "--set", "MODEL.scales=2"],
            "MODEL.scales is 2, it must be 3 for SemGCN",
        ),
        (["--set", "MODEL.smpl_dir=/nowhere"], "/nowhere"),
        (["--set", "TRAIN.weight_path=/nowhere"], "TRAIN.weight_path: no .pth.tar file in /nowhere"),
        (["--seed", "-1"], "--seed -1"),
        (["--seed", str(10**30)], "--seed 1000"),
        (["--resume_training"], "no run of this configuration to resume"),
        (["--resume_training", "/nowhere"], "no run with a usable checkpoint"),
        (["--set", "DATASET.use_gt_input=false", "--set", "DATASET.detection_file=/nowhere.json"], "/nowhere.json"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2_and_makes_no_run_folder(start, project, arguments, words):
    code, out = train(start, project, *arguments)
    assert code == 2, out
    assert "Traceback" not in out
    (line,) = [line for line in out.splitlines() if "error: " in line]
    assert words in line
    assert not list(project.glob("experiment/*"))


def test_traceback_shows_where_a_mistake_was_found(start, project):
    code, out = train(start, project, "--set", "TRAIN.learning_rate=1", "--traceback")
    assert code != 0
    assert "Traceback" in out
    assert "UserError" in out


def test_gpus_that_are_not_there_cost_a_line(start, project):
    code, out = train(start, project, "--gpu", "0,1", "--set", "TRAIN.end_epoch=0")
    assert code == 0, out
    assert "--gpu 0,1: no CUDA device here, running on the CPU" in out


def test_help_says_what_every_flag_does(start):
    code, out = start("train.py", "--help").wait()
    assert code == 0
    for flag in ("--cfg", "--gpu", "--set", "--seed", "--debug", "--resume_training", "--traceback"):
        assert flag in out
    assert "resume an interrupted run" in out
