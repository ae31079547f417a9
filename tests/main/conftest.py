"""A project in miniature, and its commands in processes of their own that start in milliseconds."""

import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from lib import checkpoint
from tests.annotation_files import write_annotations
from tests.bodies import tiny_body

ROOT = Path(__file__).resolve().parents[2]

# Imports everything once, then answers each line {argv, out, faults} with a process that runs that command, by fork.
# Pictures, which are slow to draw and tested elsewhere, are left empty, and nothing waits for the disk.
# A fault is [event, file, n, action, argument], the first two regular expressions: when such an audit event happens for the
# n-th time to such a file, the process sends itself the signal, or limits the size of the files it may write.
SERVER = """
import json, os, re, resource, runpy, signal, sys, threading
sys.path.insert(0, sys.argv[1])
import torch, data, lib.graph.hierarchy, lib.training.factory, lib.training.resume, lib.training.trainer, main.train, main.test
import lib.evaluation.results, smplpytorch.smplpytorch.load_body

os.fsync = lambda descriptor: None
torch.optim.Adam([torch.zeros(1)])  # its first use imports much more of torch

def leave_empty(*arguments):
    for path in arguments:
        if str(path).endswith(".png"):
            open(path, "w").close()

lib.training.reporter.draw_curves = lib.evaluation.results.draw_pose = lib.evaluation.results.draw_mesh = leave_empty

def run(argv, out, faults=()):
    signal.alarm(100)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1), os.dup2(descriptor, 2)
    seen = [0] * len(faults)

    def listen(event, arguments):
        for k, (name, file, count, action, argument) in enumerate(faults):
            if re.fullmatch(name, event) and any(re.fullmatch(file, os.path.basename(str(a))) for a in arguments):
                seen[k] += 1
                if seen[k] == count and action == "signal":
                    os.kill(os.getpid(), argument)
                if seen[k] == count and action == "limit":
                    resource.setrlimit(resource.RLIMIT_FSIZE, (argument, argument))

    if faults:
        sys.addaudithook(listen)
    sys.argv = argv
    runpy.run_path(argv[0], run_name="__main__")

for line in sys.stdin:
    request = json.loads(line)
    if "wait" in request:
        print(os.waitstatus_to_exitcode(os.waitpid(request["wait"], 0)[1]), flush=True)
        continue
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            run(**request)
            code = 0
        except SystemExit as end:
            code = end.code or 0
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(code)
    print(pid, flush=True)
"""


@dataclass
class Command:
    """A running or finished command."""

    server: subprocess.Popen
    pid: int
    out: Path

    def wait(self) -> tuple[int, str]:
        """Exit code (negative: killed by that signal) and everything it printed."""
        return int(ask(self.server, {"wait": self.pid})), self.out.read_text()


def ask(server: subprocess.Popen, request: dict) -> str:
    server.stdin.write(json.dumps(request) + "\n")
    server.stdin.flush()
    return server.stdout.readline()


@pytest.fixture(scope="session")
def server():
    if not hasattr(os, "fork"):
        pytest.skip("needs fork, to start processes in milliseconds")
    one_thread = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    environment = {**os.environ, **one_thread, "PYTHONUNBUFFERED": "1", "CUDA_VISIBLE_DEVICES": ""}
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(ROOT)], stdin=-1, stdout=-1, text=True, env=environment
    )
    yield process
    process.stdin.close()
    process.wait()


def run_to_the_end(server: subprocess.Popen, out: Path, script: str, *arguments: object) -> tuple[int, str]:
    """`python main/SCRIPT arguments`, its output in the file `out`: exit code and output."""
    argv = [str(ROOT / "main" / script), *map(str, arguments)]
    return Command(server, int(ask(server, {"argv": argv, "out": str(out)})), out).wait()


@pytest.fixture
def start(server, tmp_path):
    """(script, arguments..., faults=()) -> Command: `python main/SCRIPT arguments`, begun."""
    count = 0

    def start(script: str, *arguments: str, **more) -> Command:
        nonlocal count
        count += 1
        out = tmp_path / f"output_{count}.txt"
        argv = [str(ROOT / "main" / script), *map(str, arguments)]
        pid = int(ask(server, {"argv": argv, "out": str(out), **more}))
        return Command(server, pid, out)

    return start


def write_smpl(path: Path, scale: float = 1.0) -> None:
    """The small body of the tests, scaled, as an SMPL file."""
    body = tiny_body()
    arrays = {
        "v_template": scale * body.v_template,
        "shapedirs": body.shapedirs,
        "posedirs": body.posedirs.astype(np.float32),
        "J_regressor": body.J_regressor,
        "weights": body.lbs_weights,
        "f": body.faces.astype(np.uint32),
        "kintree_table": np.array([[2**32 - 1, *body.parents[1:]], range(24)], np.uint32),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(arrays, protocol=2))


@pytest.fixture(scope="session")
def template(tmp_path_factory) -> Path:
    """Data, body model and configuration of a project; copied for every test."""
    folder = tmp_path_factory.mktemp("template")
    write_annotations(
        folder / "data" / "Human36M" / "annotations", (1, 5, 6, 7, 8, 9, 11), cameras=(1,), frames=(0, 50)
    )
    write_smpl(folder / "smpl" / "basicModel_neutral_lbs_10_207_0_v1.0.0.pkl")
    return folder


@pytest.fixture(scope="session")
def whole(template, server) -> Path:
    """The run folder of an uninterrupted run in the template, which also leaves the data's cache there."""
    code, out = run_to_the_end(server, template / "output.txt", "train.py", "--cfg", write_config(template))
    assert code == 0, out
    return run_folder(out)


def write_config(folder: Path, **train: object) -> Path:
    """20 training samples in 5 batches of 4, 8 test samples, two epochs."""
    settings = {"batch_size": 4, "end_epoch": 1, "lr": 0.01} | train
    path = folder / "my.yml"
    path.write_text(
        textwrap.dedent(f"""\
            DATASET: {{train_list: [Human36M], test_list: [Human36M], workers: 0, data_dir: {folder}/data}}
            MODEL: {{hidden_dim: 8, coarsen_levels: 7, smpl_dir: {folder}/smpl}}
            TRAIN: {json.dumps(settings)}
            RUN: {{experiment_dir: {folder}/experiment}}
            """)
    )
    return path


@pytest.fixture
def project(template, whole, tmp_path) -> Path:
    """A folder with data, their cache, body model and my.yml."""
    folder = tmp_path / "project"
    # keeps times of change, so the cache holds
    shutil.copytree(template, folder, ignore=shutil.ignore_patterns("experiment"))
    write_config(folder)
    return folder


def weights_of(run: Path, name: str = "last") -> dict[str, torch.Tensor]:
    """The weights in a run's checkpoint."""
    return checkpoint.read(run / "checkpoint" / f"{name}.pth.tar")["model_state_dict"]


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    """Whether all weights agree bit for bit."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def run_folder(output: str) -> Path:
    """The run folder that a command's output names."""
    return Path(re.search(r"run folder: (.+)", output)[1])
