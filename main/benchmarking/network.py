"""The network's side of the benchmark: training steps, evaluation, their memory, and a whole epoch."""

import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import torch
from torch import nn

from lib.config import Config
from lib.evaluation.evaluate import build_evaluator, predict
from lib.graph.scales import GraphScale
from lib.joints import HUMAN36M_17
from lib.models.folded import FoldedHGN
from lib.models.hgn import HGN, HGNOutput
from lib.models.inference import evaluate_in_parts
from lib.models.onnx_network import OnnxNetwork
from lib.pose_table import PoseTable
from lib.run_dir import RunDir
from lib.training.augment import DetectionNoise
from lib.training.batches import Augmentation, BatchSource
from lib.training.checkpoints import Checkpoints, describe_run
from lib.training.factory import build_learner
from lib.training.learner import GRADIENT_NORM
from lib.training.losses import LossWeights, hgn_losses
from lib.training.precision import accelerate
from lib.training.reporter import Reporter
from lib.training.trainer import Trainer
from main.benchmarking.measure import interleaved, resident_bytes, wait_for


def make_table(scales: list[GraphScale], count: int, seed: int = 0) -> PoseTable:
    """Random samples that fit the graphs; their values do not change how long anything takes."""
    rng = np.random.default_rng(seed)

    def values(*shape):
        return rng.normal(0, 0.3, (count, *shape)).astype(np.float32)

    meshes = tuple(values(len(scale.real_nodes), 3) for scale in scales[1:])
    return PoseTable(
        names=np.array([f"{i:06d}.jpg" for i in range(count)]),
        actions=np.arange(count) % 15,
        action_names=tuple(f"action {i}" for i in range(15)),
        sequences=np.zeros(count, np.int32),
        sequence_names=("sequence",),
        frames=np.arange(count, dtype=np.int32),
        pose2d=values(len(scales[0]), 2),
        pose3d=values(len(scales[0]), 3),
        root=values(3),
        has_mesh=np.ones(count, bool),
        meshes=meshes,
        flipped_meshes=meshes,
        camera=values(4),
        image_size=values(2),
        up=np.tile(np.float32([0, -1, 0]), (count, 1)),
        smpl_pose=np.zeros((count, 72), np.float32),
        smpl_betas=np.zeros((count, 10), np.float32),
    )


def training_step(model: nn.Module, table: PoseTable, device: torch.device, forward=None) -> Callable[[], None]:
    """One optimiser step on the whole table as one batch: forward, loss, backward, gradient norm, Adam."""
    inputs, target, *meshes = (
        torch.as_tensor(array, device=device) for array in (table.pose2d, table.pose3d, *table.meshes)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=isinstance(model, HGN))

    def step():
        model.train()
        output = HGNOutput(*(model if forward is None else forward)(inputs))
        loss = sum(hgn_losses(output, target, tuple(meshes), (), LossWeights()).values())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), GRADIENT_NORM)
        optimizer.step()

    return step


def evaluation(model: nn.Module | OnnxNetwork, table: PoseTable, device: torch.device) -> Callable[[], HGNOutput]:
    """Evaluation of the whole table: one forward pass, of networks that only predict as prediction runs them."""
    inputs = torch.as_tensor(table.pose2d, device=device)

    @torch.inference_mode()
    def run():
        if isinstance(model, FoldedHGN | OnnxNetwork):
            return evaluate_in_parts(model, inputs)
        return model.eval()(inputs)

    return run


def step_memory(kind: type[nn.Module], scales: list[GraphScale], hidden_dim: int, batch_size: int) -> int:
    """Bytes that three training steps of a new network take on top of it on the CPU: for a process of its own."""
    step = training_step(kind(scales, hidden_dim), make_table(scales, batch_size), torch.device("cpu"))
    before = resident_bytes()
    for _ in range(3):
        step()
    return resident_bytes(peak=True) - before


def epoch(cfg: Config, scales: list[GraphScale], steps: int, device: torch.device) -> dict[str, float]:
    """Median epoch of `steps` steps with this project's training loop, over TRAIN.end_epoch of them: seconds of its
    steps with data, augmentation, logging and progress ("steps"), of as many steps alone, interleaved with it
    ("bare"), and of all that follows the last step but the network ("after")."""
    torch.manual_seed(0)
    size = cfg.TRAIN.batch_size
    train, test = make_table(scales, steps * size), make_table(scales, size, seed=1)
    noise = DetectionNoise((0.0,), (3.0,), (0.005,), cfg.MODEL.input_shape)
    augmentation = Augmentation(HUMAN36M_17.flip_permutation, flip=True, view_probability=0.7, noise=noise)
    model = HGN(scales, cfg.MODEL.hidden_dim).to(device)
    bare = training_step(model, test, device, accelerate(model, cfg.TRAIN.compile, cfg.TRAIN.precision, device))
    batches = BatchSource([train], device, size, True, 0, augmentation)
    with tempfile.TemporaryDirectory() as folder:
        run = RunDir(Path(folder))
        for part in (run.checkpoint, run.graph, run.vis, run.result):
            part.mkdir(parents=True)
        evaluator = build_evaluator(cfg, {"test": test}, HUMAN36M_17, device)
        checkpoints = Checkpoints(run.checkpoint, describe_run(cfg, scales, HUMAN36M_17, 0, batches.lengths))
        learner = build_learner(cfg, model, scales, [device])
        trainer = Trainer(cfg.TRAIN, learner, batches, evaluator, checkpoints, Reporter(run))
        whole, alone, after = [], [], []
        for number in range(cfg.TRAIN.end_epoch + 1):
            start = time.perf_counter()
            for _ in range(steps):
                bare()
            wait_for(device)
            alone.append(time.perf_counter() - start)
            trainer.settings = replace(cfg.TRAIN, end_epoch=number)
            start = time.perf_counter()
            with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
                trainer.train()
            seconds = time.perf_counter() - start
            whole.append(trainer.progress.log[-1]["seconds"])
            after.append(seconds - whole[-1])
        testing = interleaved(
            {"test": lambda: predict(model, test.pose2d, cfg.TEST.batch_size, device)}, 3, lambda: wait_for(device)
        )["test"].median
    median = {"steps": np.median(whole[1:]), "bare": np.median(alone[1:]), "after": np.median(after[1:]) - testing}
    return {name: float(value) for name, value in median.items()}
