"""The rows of the benchmark's table: what each measures, and the numbers that it shows."""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lib.checkpoint import load_state
from lib.config import Config, DatasetConfig, ModelConfig, TestConfig, TrainConfig
from lib.errors import UserError
from lib.graph.scales import GraphScale
from lib.joints import HUMAN36M_17
from lib.lifting.export import INPUT_NAME, OUTPUT_NAMES, export
from lib.metrics import pa_mpjpe
from lib.models.factory import build_fast_predictor
from lib.models.folded import fold
from lib.models.hgn import HGN
from lib.training.precision import accelerate
from main.benchmarking.data import mesh_targets, start
from main.benchmarking.large_subject import write_large_subject
from main.benchmarking.measure import Times, count_operations, in_new_process, interleaved, product_rate, wait_for
from main.benchmarking.network import epoch, evaluation, make_table, step_memory, training_step
from main.benchmarking.scaling import measure_scaling
from smplpytorch.smplpytorch.body_model import BodyModel
from tests.plain.hgn import PlainHGN

TRAINING_BATCH = 64
EVALUATION_BATCHES = (1, 64, 512)
PA_POSES = 100_000
HUMAN36M_STEPS = 4875
"""Steps of an epoch of Human3.6M at batch 64."""


Range = tuple[float, float]


@dataclass(frozen=True)
class Row:
    """One line of the table: plain and this project's value, their ratio, what was aimed at.

    spread, ratio_spread: quartiles of `this` and of `ratio` over the rounds, where several were measured.
    """

    name: str
    unit: str
    this: float
    plain: float | None = None
    ratio: float | None = None
    goal: str = ""
    spread: Range | None = None
    ratio_spread: Range | None = None

    @classmethod
    def of_times(
        cls, name: str, unit: str, scale: float, this: Times, plain: Times | None = None, goal: str = ""
    ) -> "Row":
        """Medians of seconds times `scale`; the ratio is the median of each round's, whose times were taken together."""
        spread = tuple(scale * s for s in this.quartiles)
        if plain is None:
            return cls(name, unit, scale * this.median, goal=goal, spread=spread)
        ratio = plain.over(this)
        return cls(
            *(name, unit, scale * this.median, scale * plain.median, ratio.median, goal),
            *(spread, ratio.quartiles),
        )

    def text(self) -> str:
        """The row as a line of the table."""
        plain = f"{self.plain:12.4g}" if self.plain is not None else " " * 12
        ratio = f"{self.ratio:8.1f}x" if self.ratio is not None else " " * 9
        spread = f"{self.spread[0]:.4g}..{self.spread[1]:.4g}" if self.spread else ""
        ratios = f"{self.ratio_spread[0]:.1f}..{self.ratio_spread[1]:.1f}x" if self.ratio_spread else ""
        line = f"{self.name:46s} {plain} {self.this:12.4g} {self.unit:12s} {spread:18s} {ratio} {ratios:14s}"
        return f"{line} {self.goal}".rstrip()


def all_rows(
    args: argparse.Namespace, scales: list[GraphScale], body: BodyModel, device: torch.device
) -> Iterator[Row]:
    """The rows that the command line asks for, as they are measured."""
    if args.scaling is not None:
        yield from scaling_rows(args, scales)
        return
    yield from network_rows(args, scales, device)
    yield from epoch_rows(args, scales, device)
    yield from data_rows(args, scales, body)
    if args.loading:
        yield from loading_rows(args.loading, scales, body)


def network_rows(args: argparse.Namespace, scales: list[GraphScale], device: torch.device) -> Iterator[Row]:
    """Training step, evaluation, their agreement and memory."""
    hidden_dim, batch = (8, 4) if args.quick else (128, TRAINING_BATCH)

    def turns(functions):
        return interleaved(functions, args.rounds, lambda: wait_for(device))

    rate = product_rate(device, args.rounds, 256 if args.quick else 2048)
    yield Row("matrix products of the machine", "GFLOP/s", rate / 1e9)

    plain, this = PlainHGN(scales, hidden_dim).to(device), HGN(scales, hidden_dim).to(device)
    table = make_table(scales, batch)
    steps = {
        precision: training_step(this, table, device, accelerate(this, "auto", precision, device))
        for precision in ("fp32", "bf16")
    }
    t = turns({"plain": training_step(plain, table, device), "this": steps["fp32"], "bf16": steps["bf16"]})
    name, training_goal = f"training step, batch {batch}", ">= 14x" if device.type == "cpu" else ">= 10x"
    yield Row.of_times(name, "ms", 1e3, t["this"], t["plain"], training_goal)
    yield Row.of_times(name + ", TRAIN.precision bf16", "ms", 1e3, t["bf16"])
    operations = count_operations(training_step(this, table, device))
    yield Row(name + ", products", "GFLOP", operations / 1e9)
    share, plain_share = (100 * operations / t[kind].median / rate for kind in ("this", "plain"))
    yield Row(name + ", share of the products' rate", "%", share, plain_share)
    if device.type == "cpu":
        memory = {n: in_new_process(step_memory, kind, scales, hidden_dim, batch) / 1e6
                  for n, kind in (("plain", PlainHGN), ("this", HGN))}  # fmt: skip
        ratio = memory["plain"] / memory["this"] if memory["this"] else None
        yield Row(name + ", peak memory", "MB", memory["this"], memory["plain"], ratio, ">= 5x")

    load_state(this, plain.state_dict(), "the plain implementation")  # as the steps above have left it
    networks = {"plain": plain, "network": this, "folded": fold(this)}
    if device.type == "cpu":
        networks["Lifter"] = build_fast_predictor(this, device, len(scales[0]))
    goals = {1: ">= 12x, Lifter", 64: ">= 18x, best of these"}
    with tempfile.TemporaryDirectory() as folder:
        runtime = onnx_runtime(this, scales, Path(folder) / "network.onnx") if device.type == "cpu" else None
        for size in (1, 4) if args.quick else EVALUATION_BATCHES:
            table = make_table(scales, size)
            functions = {n: evaluation(network, table, device) for n, network in networks.items()}
            if runtime:
                functions["ONNX Runtime"] = lambda table=table: runtime(table.pose2d)
            t = turns(functions)
            wanted = [tensor.cpu().numpy() for tensor in flat(functions["plain"]())]
            for kind, function in list(functions.items())[1:]:
                error = max(relative_error(a, b) for a, b in zip(flat(function()), wanted, strict=True))
                name = f"evaluation, batch {size}, {kind}"
                yield Row.of_times(name, "ms", 1e3, t[kind], t["plain"], goals.get(size, ""))
                yield Row(name + ", difference", "", error, goal="<= 1e-5")


def flat(output) -> list:
    """pose3d and meshes as one list, of an HGNOutput or of a plain list."""
    if isinstance(output, list):
        return output
    pose3d, meshes = output
    return [pose3d, *meshes]


def relative_error(value, wanted: np.ndarray) -> float:
    """Largest difference over the largest value."""
    value = value.cpu().numpy() if isinstance(value, torch.Tensor) else value
    return float(np.abs(value - wanted).max() / np.abs(wanted).max())


def onnx_runtime(model: HGN, scales: list[GraphScale], path: Path) -> Callable | None:
    """The exported network in ONNX Runtime, its operations on all threads, or None (and one line) where that is not installed."""
    try:
        import onnxruntime

        export(model, tuple(scale.faces for scale in scales[1:]), path)
    except (ImportError, UserError):
        print("ONNX Runtime is not installed, its rows are skipped (pip install onnx onnxruntime)", file=sys.stderr)
        return None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda pose2d: session.run(list(OUTPUT_NAMES), {INPUT_NAME: pose2d})


def epoch_rows(args: argparse.Namespace, scales: list[GraphScale], device: torch.device) -> Iterator[Row]:
    """Training as main/train.py does it, and what its loop costs."""
    steps, batch, hidden_dim = (2, 4, 8) if args.quick else (16, TRAINING_BATCH, 128)

    def run(hidden_dim, steps):
        cfg = Config(
            DATASET=DatasetConfig(("Human36M",), ("Human36M",)),
            MODEL=ModelConfig(hidden_dim=hidden_dim),
            TRAIN=TrainConfig(batch_size=batch, end_epoch=args.rounds),
            TEST=TestConfig(batch_size=batch),
        )
        return epoch(cfg, scales, steps, device)

    real, narrow = run(hidden_dim, steps), run(2, 8 * steps)
    yield Row("training, data and logging included", "samples/s", steps * batch / real["steps"])
    # The loop does the same around any network; beside a small one its cost is measurable.
    loop = (narrow["steps"] - narrow["bare"]) / (8 * steps)
    yield Row("loop: data, augmentation, logging, per step", "ms", loop * 1e3)
    yield Row("loop: report, log, curves, saving, per epoch", "ms", real["after"] * 1e3)
    of_epoch = HUMAN36M_STEPS * loop + real["after"]
    share = of_epoch / (of_epoch + HUMAN36M_STEPS * real["bare"] / steps)
    yield Row("loop: share of an epoch of Human3.6M", "%", 100 * share, goal="<= 5 %")


def data_rows(args: argparse.Namespace, scales: list[GraphScale], body: BodyModel) -> Iterator[Row]:
    """Mesh targets and Procrustes errors."""
    frames, poses = (8, 100) if args.quick else (1024, PA_POSES)
    one_sample, all_frames = mesh_targets(body, scales, frames)
    t = interleaved({"plain": one_sample, "this": all_frames}, args.rounds, lambda: None)
    this = Times(t["this"].values / frames)
    yield Row.of_times("mesh targets, a posed body", "us", 1e6, this, t["plain"], ">= 150x")
    error = max(relative_error(a[:1], b) for a, b in zip(all_frames(), one_sample(), strict=True))
    yield Row("mesh targets, difference", "", error, goal="<= 1e-5")
    rng = np.random.default_rng(0)
    pred, target = rng.normal(size=(2, poses, len(HUMAN36M_17), 3))
    t = interleaved({"this": lambda: pa_mpjpe(pred, target)}, min(args.rounds, 3), lambda: None)
    yield Row.of_times(f"PA-MPJPE of {poses} poses", "s", 1, t["this"], goal="<= 3 s")


def loading_rows(images: int, scales: list[GraphScale], body: BodyModel) -> Iterator[Row]:
    """First and later starts on a subject of `images` images: all of them, and one frame in five as in training."""
    with tempfile.TemporaryDirectory() as folder:
        count = write_large_subject(Path(folder) / "annotations", images)
        for stride in (5, 1):
            name = f"{count} images, {'every frame' if stride == 1 else f'1 frame in {stride}'}"
            places = (Path(folder) / "annotations", Path(folder) / f"cache_{stride}", body, scales, stride)
            first, later = in_new_process(start, *places), in_new_process(start, *places)
            yield Row(f"{name}, first start", "s", first["seconds"], goal="<= 90 s")
            yield Row(f"{name}, peak memory", "GB", first["peak_bytes"] / 1e9, goal="<= 3 GB")
            yield Row(f"{name}, later start", "s", later["seconds_with_reading"], goal="<= 2 s")


def scaling_rows(args: argparse.Namespace, scales: list[GraphScale]) -> Iterator[Row]:
    """Samples per second of 1 to N processes, each with a batch of its own; the ratio is to one process."""
    sizes = {"hidden_dim": 8, "batch": 4, "steps": 2} if args.quick else {"batch": TRAINING_BATCH}
    rates = measure_scaling(range(1, args.scaling + 1), scales, **sizes)
    for count, rate in rates.items():
        name = f"training, {count} process{'es' * (count > 1)}"
        yield Row(name, "samples/s", rate, ratio=rate / rates[1], goal=f"ideal {count}x")
