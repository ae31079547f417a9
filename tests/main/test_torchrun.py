"""The commands under torchrun itself: on one host, with a rank that dies, and on two hosts that are network namespaces."""

import json
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.annotation_files import write_annotations
from tests.bodies import tiny_body
from tests.ranks import launch, train

pytestmark = pytest.mark.slow  # starts processes

CONFIG = """
DATASET: {{train_list: [Human36M], test_list: [Human36M], data_dir: {folder}/data, workers: 0}}
MODEL: {{hidden_dim: 8, coarsen_levels: 6, smpl_dir: {folder}/body}}
TRAIN: {{batch_size: 8, end_epoch: 1, optimizer: sgd}}
RUN: {{experiment_dir: {folder}/experiment}}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A folder with annotations, a small body and a configuration."""
    folder = tmp_path_factory.mktemp("project")
    write_annotations(folder / "data/Human36M/annotations", [1, 5, 6, 7, 8, 9, 11], actions=(2,), cameras=(1,))
    body = tiny_body()
    fields = {
        **{name: getattr(body, name) for name in ("v_template", "shapedirs", "posedirs", "J_regressor")},
        "weights": body.lbs_weights,
        "f": body.faces,
        "kintree_table": np.array([[2**32 - 1, *body.parents[1:]], range(24)], np.uint32),
    }
    (folder / "body").mkdir()
    (folder / "body/basicModel_neutral_lbs_10_207_0_v1.0.0.pkl").write_bytes(pickle.dumps(fields, 2))
    (folder / "config.yml").write_text(CONFIG.format(folder=folder))
    return folder


def arguments(project: Path, experiment: str, *more: str) -> list[str]:
    """Of a training with its own experiment folder."""
    return ["--cfg", str(project / "config.yml"), "--set", f"RUN.experiment_dir={project / experiment}", *more]


def start(torchrun: list[str], before: tuple[str, ...], *args) -> subprocess.Popen:
    """torchrun main/train.py in the background."""
    command = [*before, sys.executable, "-m", "torch.distributed.run", *torchrun]
    return subprocess.Popen(
        [*command, str(Path(__file__).parents[2] / "main/train.py"), *arguments(*args)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen, seconds: float = 120) -> tuple[int, str, str]:
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        pytest.fail(f"did not end within {seconds} s\n{out}\n{err}")
    return process.returncode, out, err


def log_of(folder: Path) -> list[dict]:
    (path,) = folder.glob("exp_*/log.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def wait_for_epochs(folder: Path, count: int, job: subprocess.Popen, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not list(folder.glob("exp_*/log.jsonl")) or len(log_of(folder)) < count:
        assert time.monotonic() < deadline
        assert job.poll() is None, job.communicate()
        time.sleep(0.1)


def kill_rank(rank: int, folder: Path) -> None:
    """SIGKILL for the process that torchrun started with this rank and this experiment folder."""
    for place in Path("/proc").glob("[0-9]*"):
        try:
            environment = (place / "environ").read_bytes().split(b"\0")
            command = (place / "cmdline").read_bytes()
        except OSError:
            continue
        if f"RANK={rank}".encode() in environment and str(folder).encode() in command:
            os.kill(int(place.name), signal.SIGKILL)
            return
    raise AssertionError(f"no process of rank {rank}")


finds_processes = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds a rank's process in /proc")


@pytest.fixture(scope="module")
def one_process(project, repository) -> list[dict]:
    """The log of the same training in one process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(repository))
        assert launch(1, train, arguments(project, "one")) == [""]
    return log_of(project / "one")


def assert_same_training(log: list[dict], expected: list[dict]) -> None:
    for entry, wanted in zip(log, expected, strict=True):
        assert entry["loss"] == pytest.approx(wanted["loss"], rel=1e-5)
        assert entry["test"]["mpjpe"] == pytest.approx(wanted["test"]["mpjpe"], rel=1e-5)


@finds_processes
def test_two_jobs_share_a_host_one_trains_as_one_process_does_the_other_ends_when_a_rank_dies_and_resumes_with_three(
    project, one_process
):
    two = ["--standalone", "--nproc_per_node=2"]
    good = start(two, (), project, "good")
    bad = start(two, (), project, "bad", "--set", "TRAIN.end_epoch=100000")
    code, out, err = finish(good)
    assert code == 0, err
    assert out.count("run folder:") == out.count("epoch 1: loss") == out.count("best test MPJPE") == 1
    assert "2 ranks" in out
    assert_same_training(log_of(project / "good"), one_process)

    wait_for_epochs(project / "bad", 1, bad)
    kill_rank(1, project / "bad")
    code, _, err = finish(bad, 60)
    assert code == 1
    assert "Signal 9 (SIGKILL)" in err

    (run,) = (project / "bad").iterdir()
    epochs = len(log_of(project / "bad")) + 2  # a last checkpoint may be an epoch ahead of the log
    resume = ["--resume_training", str(run), "--set", f"TRAIN.end_epoch={epochs - 1}"]
    assert launch(3, train, arguments(project, "bad", *resume)) == [""] * 3
    log = log_of(project / "bad")
    assert [entry["epoch"] for entry in log] == list(range(epochs))
    assert_same_training(log[:2], one_process)


def test_a_rank_that_cannot_see_the_data_says_so_with_path_and_host_and_the_others_that_they_lost_it(
    project, one_process
):
    nowhere = project / "nowhere"
    own = [[], ["--set", f"DATASET.data_dir={nowhere}"], []]
    first, second, third = launch(3, train, arguments(project, "blind"), own)
    host = socket.gethostname()
    assert second.startswith(f"rank 1 on {host}: {nowhere}/Human36M/annotations")
    assert first.startswith(f"rank 0 on {host}: lost another rank")
    assert third.startswith(f"rank 2 on {host}: lost another rank")


def no_hosts() -> str:
    """Why two network namespaces cannot be had here, or an empty text."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None or shutil.which("unshare") is None:
        return "network namespaces need the commands ip (iproute2) and unshare"
    return ""


@pytest.fixture(scope="module")
def hosts() -> dict[str, str]:
    """Two network namespaces with the addresses 10.77.0.1 and 10.77.0.2, joined by a virtual cable."""
    if no_hosts():
        pytest.skip(no_hosts())
    a, b = (f"hgn-{os.getpid()}-{k}" for k in "ab")
    cable = f"v{os.getpid() % 10**6}"
    commands = [f"ip netns add {a}", f"ip netns add {b}"]
    commands += [f"ip link add {cable}a netns {a} type veth peer name {cable}b netns {b}"]
    for name, side, address in ((a, "a", "10.77.0.1/24"), (b, "b", "10.77.0.2/24")):
        commands += [f"ip -n {name} addr add {address} dev {cable}{side}"]
        commands += [f"ip -n {name} link set {cable}{side} up", f"ip -n {name} link set lo up"]
    try:
        for command in commands:
            done = subprocess.run(command.split(), capture_output=True, text=True)
            if done.returncode:
                pytest.skip(f"{command}: {done.stderr.strip()}")
        yield {"a": a, "b": b}
    finally:
        for name in (a, b):
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def start_on(hosts: dict[str, str], side: str, project: Path, *args) -> subprocess.Popen:
    """torchrun with one process on one of the two hosts, which know each other by name."""
    names = project / "names"
    names.write_text("127.0.0.1 localhost\n10.77.0.1 host-a\n10.77.0.2 host-b\n")
    torchrun = [
        "--nnodes=2",
        "--nproc_per_node=1",
        "--rdzv-backend=c10d",
        "--rdzv-endpoint=host-a:29400",
        "--rdzv-id=1",
    ]
    before = ["ip", "netns", "exec", hosts[side], "unshare", "--mount", "--uts", "sh", "-c"]
    before += [f'hostname host-{side} && mount --bind {names} /etc/hosts && exec "$@"', "sh"]
    return start(torchrun, tuple(before), project, *args)


@finds_processes
def test_two_hosts_train_as_one_process_does_and_both_end_when_one_loses_its_rank(hosts, project, one_process):
    jobs = [start_on(hosts, side, project, "hosts", "--set", "TRAIN.end_epoch=100000") for side in "ab"]
    wait_for_epochs(project / "hosts", 2, jobs[0])
    assert_same_training(log_of(project / "hosts")[:2], one_process)
    kill_rank(1, project / "hosts")
    (code_a, out_a, err_a), (code_b, out_b, err_b) = (finish(job, 60) for job in jobs)
    assert (code_a, code_b) == (1, 1)
    assert "lost another rank" in err_a + err_b
    assert "Signal 9 (SIGKILL)" in err_a + err_b
    assert "" in (out_a, out_b)  # rank 0 alone prints
