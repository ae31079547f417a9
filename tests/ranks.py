"""What the ranks of tests/lib/test_distributed.py do: importable by spawned processes, same code for one process."""

import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import distributed as dist
from torch import nn
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from lib import checkpoint, distributed
from lib.config import AugConfig, Config, DatasetConfig, ModelConfig, RunConfig, TestConfig, TrainConfig
from lib.distributed import GlobalBatchNorm1d, Group, distribute, process_group
from lib.errors import Stopped, UserError
from lib.evaluation.evaluate import Evaluator
from lib.graph.scales import GraphScale
from lib.models.factory import build_model
from lib.pose_table import PoseTable
from lib.run_dir import RunDir, create_run_dir
from lib.training import reporter
from lib.training.augment import Batch, DetectionNoise
from lib.training.batches import Augmentation, BatchSource
from lib.training.losses import LossWeights, hgn_losses
from lib.training.trainer import Trainer
from main.train import main
from tests.networks import NETWORKS
from tests.plain.hgn import randomise
from tests.tables import FIVE_JOINTS, random_table
from tests.trainers import assemble

SAMPLES, BATCH = 9, 8  # a whole batch, then one sample, so that all ranks but the first have none of it
NOISE = DetectionNoise((0.0,), (2.0,), (0.1,), (384, 288))
SMALL = ModelConfig(hidden_dim=4)
DETERMINISTIC = {name: model for name, model in NETWORKS.items() if model.name != "SimpleBaseline"}
"""Networks without dropout, whose random numbers are each rank's own."""
AUGMENTATION = Augmentation(FIVE_JOINTS.flip_permutation, True, 20.0, 0.5, noise=NOISE)


def launch(size: int, work: Callable, *args) -> list[Any]:
    """work(*args) in `size` processes of torchrun's; their results in order of ranks.

    They are forked from one server that has done the slow imports; it needs the repository in PYTHONPATH.
    """
    multiprocessing.set_forkserver_preload([__name__, "torch._dynamo"])  # DistributedDataParallel imports the latter
    with tempfile.TemporaryDirectory() as folder:
        config = LaunchConfig(
            *(1, 1, size),
            run_id=folder,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            max_restarts=0,
            monitor_interval=0.1,
            start_method="forkserver",
        )
        results = elastic_launch(config, _one_thread)(work, *args)
    return [results[rank] for rank in range(size)]


def _one_thread(work: Callable, *args) -> Any:
    torch.set_num_threads(1)
    distributed.PATIENCE = timedelta(seconds=60)
    reporter.draw_curves = lambda *_: None  # in this process of its own, where pictures are not what is tested
    return work(*args)


def everything(scales: list[GraphScale], folder: Path) -> dict[str, Any]:
    """Every experiment of test_distributed.py, in one start of the processes."""
    with process_group() as group:
        return {
            "steps": steps(scales, group),
            "networks": {name: steps(scales, group, model) for name, model in DETERMINISTIC.items()},
            "moments": moments(group),
            "report": [report(scales, group, count) for count in (11, 1)],
            "float32 report": report(scales, group, 11, torch.float32),
            "epoch": epoch(scales, group, folder / f"epoch-{group.size}"),
            "separate statistics": epoch(scales, group, folder / f"own-{group.size}", sync_bn=False),
            "averaged": epoch(scales, group, folder / f"average-{group.size}", average_weights=0.8),
            "not finite": epoch(scales, group, folder / f"nan-{group.size}", spoilt=5, skip_nonfinite=1),
            "signalled": signalled(scales, group, folder / f"stop-{group.size}"),
            "resumed": resumed(scales, group, folder / "stop-2" if group.size != 2 else None),
            "turns": turns(group, folder / f"turns-{group.size}"),
            "different": different(group),
            "agreement": [
                group.maximum(group.rank, -group.rank),
                group.from_main(group.rank),
                group.gather(group.rank),
            ],
        }


class DoubleBatches(BatchSource):
    """In float64, where a rank's rounding cannot hide a mistake."""

    def batch(self, order: torch.Tensor, epoch: int, step: int) -> Batch:
        b = super().batch(order, epoch, step)
        return replace(
            b, pose2d=b.pose2d.double(), pose3d=b.pose3d.double(), meshes=tuple(m.double() for m in b.meshes)
        )


def table_of(scales: list[GraphScale], count: int, seed: int = 0) -> PoseTable:
    return random_table(count, seed, FIVE_JOINTS, tuple(len(scale.real_nodes) for scale in scales[1:]))


def model_of(scales: list[GraphScale], dtype: torch.dtype = torch.float64, model: ModelConfig = SMALL) -> nn.Module:
    torch.manual_seed(0)
    network = build_model(replace(config(Path()), MODEL=model), scales)
    randomise(network)
    return network.to(dtype)


def steps(scales: list[GraphScale], group: Group, kind: ModelConfig = SMALL) -> list[dict[str, np.ndarray]]:
    """Loss and gradients of every step of an epoch, without updates."""
    tables, device = [table_of(scales, SAMPLES)], torch.device("cpu")
    batches = DoubleBatches(tables, device, BATCH, True, 3, AUGMENTATION, group)
    model = model_of(scales, model=kind)
    forward = distribute(model, sync_bn=True) if group.size > 1 else model
    found = []
    for step in range(batches.steps()):
        batch, weight = batches.batch(batches.order(1), 1, step), batches.weight(step)
        model.zero_grad()
        losses = hgn_losses(
            forward(batch.pose2d), batch.pose3d, batch.meshes, (), LossWeights(mesh=kind.mesh_loss_weight)
        )
        (sum(losses.values()) * weight).backward()
        values = group.mean(losses, weight)
        found.append({name: p.grad.numpy().copy() for name, p in model.named_parameters()})
        found[-1] |= {f"loss {name}": value.detach().numpy() for name, value in values.items()}
        found[-1]["rows"] = np.array(len(batch.pose2d))
    return found


def moments(group: Group) -> dict[str, np.ndarray]:
    """Batch normalisation of 13 float32 rows far from zero, of which the third rank has none."""
    rng = np.random.default_rng(4)
    x = torch.as_tensor(100 + rng.normal(size=(13, 3)), dtype=torch.float32)
    slopes = torch.as_tensor(rng.normal(size=(13, 3)), dtype=torch.float32)
    layer = nn.BatchNorm1d(3)
    rows = slice(0, 13)
    if group.size > 1:
        layer.__class__ = GlobalBatchNorm1d
        rows = (slice(0, 6), slice(6, 13), slice(13, 13))[group.rank]
    own = x[rows].requires_grad_()
    y = layer(own)
    (y * slopes[rows]).sum().backward()
    sums = {name: p.grad for name, p in layer.named_parameters()}
    if group.size > 1:
        for value in sums.values():
            dist.all_reduce(value)
    state = {name: value.numpy() for name, value in layer.state_dict().items()}
    return {"y": y.detach().numpy(), "x": own.grad.numpy(), **{f"d {k}": v.numpy() for k, v in sums.items()}, **state}


def config(folder: Path, **train: Any) -> Config:
    values = {"batch_size": BATCH, "end_epoch": 0, **train}
    data = DatasetConfig(("Human36M",), ("Human36M",))
    test = TestConfig(batch_size=4, shuffle=True)
    return Config(data, SMALL, TrainConfig(**values), AugConfig(), test, RunConfig(str(folder)))


def report(scales: list[GraphScale], group: Group, count: int, dtype: torch.dtype = torch.float64) -> dict[str, Any]:
    table = table_of(scales, count, 1)
    table = replace(table, pose2d=torch.as_tensor(table.pose2d, dtype=dtype).numpy())
    evaluator = Evaluator({"Human36M": table}, FIVE_JOINTS, torch.device("cpu"), 4, shuffle=True, group=group)
    result, predictions = evaluator.run("Human36M", model_of(scales, dtype), "")
    return {"report": result.to_dict(), "pose3d": predictions.pose3d, "fine": predictions.meshes[1]}


class SignalledBatches(DoubleBatches):
    """The last rank alone gets SIGTERM in the first step."""

    def batch(self, order: torch.Tensor, epoch: int, step: int) -> Batch:
        if step == 0 and self.group.rank == self.group.size - 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().batch(order, epoch, step)


def make_trainer(scales, group, cfg, run, kind=DoubleBatches, spoilt=None) -> Trainer:
    table = table_of(scales, SAMPLES)
    if spoilt is not None:
        table.pose3d[spoilt] = np.nan
    batches = kind([table], torch.device("cpu"), cfg.TRAIN.batch_size, True, 3, AUGMENTATION, group)
    test = table_of(scales, 7, 1)
    tests = {"Human36M": replace(test, pose2d=test.pose2d.astype(np.float64))}
    return assemble(cfg, model_of(scales), scales, batches, tests, run, group=group)


def outcome(trained: Trainer) -> dict[str, Any]:
    progress = trained.progress
    weights = {name: value.numpy().copy() for name, value in trained.learner.network.state_dict().items()}
    return {"weights": weights, "log": [{**e, "seconds": 0} for e in progress.log], "skipped": progress.skipped}


def epoch(scales, group: Group, folder: Path, spoilt: int | None = None, **train: Any) -> dict[str, Any]:
    """A whole epoch: weights, log and the files of the run folder."""
    cfg = config(folder, **train)
    run = group.from_main(create_run_dir(cfg) if group.is_main else None)
    trained = make_trainer(scales, group, cfg, run, spoilt=spoilt)
    trained.train()
    return outcome(trained) | {"files": sorted(p.name for p in run.root.rglob("*") if p.is_file())}


def signalled(scales, group: Group, folder: Path) -> dict[str, Any]:
    """Two epochs begun, the first stopped in its middle."""
    cfg = config(folder, end_epoch=1)
    run = group.from_main(create_run_dir(cfg) if group.is_main else None)
    trained = make_trainer(scales, group, cfg, run, SignalledBatches)
    try:
        trained.train()
        code = 0
    except Stopped as stop:
        code = stop.code
    return {"code": code, "step": trained.progress.step}


def resumed(scales, group: Group, folder: Path | None) -> dict[str, Any] | None:
    """The two epochs whose first `signalled` left in the middle, or, in one process, from their beginning."""
    if folder is None:
        return None
    cfg = config(folder, end_epoch=1)
    if group.size == 1:
        trained = make_trainer(scales, group, cfg, create_run_dir(config(folder.with_name("whole"))))
    else:
        (root,) = folder.iterdir()
        path = root / "checkpoint" / "last.pth.tar"
        trained = make_trainer(scales, group, cfg, RunDir(root))
        trained.restore(path, group.from_main(checkpoint.read(path) if group.is_main else None))
    trained.train()
    return outcome(trained)


def turns(group: Group, path: Path) -> str:
    """The order in which the ranks had their turns, as if rank 1 were the first of another host."""
    placed = replace(group, local_rank=0 if group.rank < 2 else 1)
    with placed.taking_turns(), open(path, "a") as file:
        file.write(str(group.rank))
    return path.read_text()


def different(group: Group) -> str:
    try:
        group.require_same({"TRAIN.keep": 3, "TRAIN.lr": 0.1 if group.is_main else 0.2})
        return ""
    except UserError as error:
        return str(error)


def train(arguments: list[str], own: list[list[str]] | None = None) -> str:
    """main/train.py with `arguments`, and `own` for each rank; what it says to the user when it fails."""
    sys.argv = ["main/train.py", *arguments, *(own[int(os.environ["RANK"])] if own else [])]
    said = ""
    try:
        main()
    except UserError as error:
        said = str(error)
    if dist.is_initialized():  # a command would have ended here, but a process of `launch` waits for the others
        dist.destroy_process_group()
    return said
