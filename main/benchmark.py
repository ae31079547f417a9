"""Measure speed and memory beside the plain implementation: python main/benchmark.py --json benchmark.json"""

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch

from lib.checkpoint import load_state
from lib.cli import add_traceback_argument, run_command
from lib.config import Config, DatasetConfig, ModelConfig, TestConfig, TrainConfig
from lib.device import choose_devices
from lib.errors import UserError
from lib.files import replacing
from lib.graph.scales import build_scales
from lib.joints import HUMAN36M_17
from lib.lifting.export import INPUT_NAME, OUTPUT_NAMES, export
from lib.metrics import pa_mpjpe
from lib.models.folded import fold
from lib.models.hgn import HGN
from lib.training.precision import accelerate
from main.benchmarking.data import mesh_targets, start
from main.benchmarking.large_subject import write_large_subject
from main.benchmarking.measure import (
    count_operations,
    in_new_process,
    interleaved,
    machine,
    product_rate,
)
from main.benchmarking.network import epoch, evaluation, make_table, step_memory, training_step
from main.benchmarking.scaling import measure_scaling, process_limit
from smplpytorch.smplpytorch.load_body import BUILT_IN, load_body
from tests.plain.hgn import PlainHGN

TRAINING_BATCH = 64
EVALUATION_BATCHES = (1, 64, 512)
PA_POSES = 100_000
HUMAN36M_STEPS = 4875
"""Steps of an epoch of Human3.6M at batch 64."""


@dataclass(frozen=True)
class Row:
    """One line of the table: plain and this project's value, their ratio, what was aimed at."""

    name: str
    unit: str
    this: float
    plain: float | None = None
    ratio: float | None = None
    goal: str = ""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Measures this project beside the plain implementation of the same equations (tests/plain) in one "
        "run, in turns, medians of several rounds. What each row means and what it was on which machine is in "
        "docs/benchmarks.md."
    )
    parser.add_argument("--gpu", metavar="N", help="CUDA device to measure; default: the first, or the CPU")
    parser.add_argument("--json", metavar="FILE", help="write all numbers to this file too")
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="rounds the medians are of (default 7)")
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--loading",
        type=int,
        nargs="?",
        const=250_000,
        metavar="IMAGES",
        help="measure also how a subject of this many images (default 250000) is read; needs 1.5 GB of disk and minutes",
    )
    group.add_argument(
        "--scaling",
        type=int,
        nargs="?",
        const=process_limit(),
        metavar="N",
        help="measure only how training speed grows from 1 to N processes (default: a process per GPU or CPU core)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes, to see that everything runs; the numbers mean nothing"
    )
    add_traceback_argument(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    if args.rounds < 1:
        raise UserError(f"--rounds {args.rounds}: give 1 or more")
    if args.scaling is not None and not 1 <= args.scaling <= process_limit():
        raise UserError(f"--scaling {args.scaling}: give 1 to {process_limit()}, the GPUs or CPU cores of this host")
    device = choose_devices(args.gpu)[0]
    body = load_body(BUILT_IN)
    scales = build_scales(HUMAN36M_17, body.faces)
    about = machine(device)
    print(", ".join(f"{key} {value}" for key, value in about.items()), flush=True)
    rows = []
    parts = [
        lambda: network_rows(args, scales, device),
        lambda: epoch_rows(args, scales, device),
        lambda: data_rows(args, scales, body),
    ]
    if args.scaling:
        parts = [lambda: scaling_rows(args, scales)]
    elif args.loading:
        parts.append(lambda: loading_rows(args.loading, scales, body))
    for part in parts:
        for row in part():
            print(text(row), flush=True)
            rows.append(row)
    if args.json:
        with replacing(args.json) as path:
            path.write_text(json.dumps({"machine": about, "rows": [vars(row) for row in rows]}, indent=1) + "\n")


def text(row: Row) -> str:
    """The row as a line of the table."""
    plain = f"{row.plain:12.4g}" if row.plain is not None else " " * 12
    ratio = f"{row.ratio:8.1f}x" if row.ratio is not None else " " * 9
    return f"{row.name:46s} {plain} {row.this:12.4g} {row.unit:12s} {ratio}  {row.goal}".rstrip()


def network_rows(args: argparse.Namespace, scales, device: torch.device):
    """Training step, evaluation, their agreement and memory."""
    hidden_dim, batch = (8, 4) if args.quick else (128, TRAINING_BATCH)

    def synchronize():
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    def turns(functions):
        return interleaved(functions, args.rounds, synchronize)

    rate = product_rate(device, args.rounds, synchronize, 256 if args.quick else 2048)
    yield Row("matrix products of the machine", "GFLOP/s", rate / 1e9)

    plain, this = PlainHGN(scales, hidden_dim).to(device), HGN(scales, hidden_dim).to(device)
    table = make_table(scales, batch)
    step = training_step(this, table, device, accelerate(this, "auto", "fp32", device))
    t = turns({"plain": training_step(plain, table, device), "this": step})
    name, training_goal = f"training step, batch {batch}", ">= 14x" if device.type == "cpu" else ">= 10x"
    yield Row(name, "ms", t["this"] * 1e3, t["plain"] * 1e3, t["plain"] / t["this"], training_goal)
    operations = count_operations(training_step(this, table, device))
    yield Row(name + ", products", "GFLOP", operations / 1e9)
    share = operations / t["this"] / rate
    yield Row(name + ", share of the products' rate", "%", 100 * share, 100 * share * t["this"] / t["plain"])
    if device.type == "cpu":
        memory = {n: in_new_process(step_memory, kind, scales, hidden_dim, batch) / 1e6
                  for n, kind in (("plain", PlainHGN), ("this", HGN))}  # fmt: skip
        ratio = memory["plain"] / memory["this"] if memory["this"] else None
        yield Row(name + ", peak memory", "MB", memory["this"], memory["plain"], ratio, ">= 5x")

    load_state(this, plain.state_dict(), "the plain implementation")  # as the steps above have left it
    networks = {"plain": plain, "network": this, "folded": fold(this)}
    goals = {1: ">= 12x, best of these", 64: ">= 18x, best of these"}
    with tempfile.TemporaryDirectory() as folder:
        runtime = onnx_runtime(this, scales, Path(folder) / "network.onnx") if device.type == "cpu" else None
        for size in (1, 4) if args.quick else EVALUATION_BATCHES:
            table = make_table(scales, size)
            functions = {n: evaluation(network, table, device) for n, network in networks.items()}
            if runtime:
                functions["ONNX Runtime"] = lambda runtime=runtime, table=table: runtime(table.pose2d)
            t = turns(functions)
            wanted = [tensor.cpu().numpy() for tensor in flat(functions["plain"]())]
            for kind, function in list(functions.items())[1:]:
                error = max(relative_error(a, b) for a, b in zip(flat(function()), wanted, strict=True))
                name = f"evaluation, batch {size}, {kind}"
                yield Row(name, "ms", t[kind] * 1e3, t["plain"] * 1e3, t["plain"] / t[kind], goals.get(size, ""))
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


def onnx_runtime(model: HGN, scales, path: Path):
    """The exported network in ONNX Runtime, or None (and one line) where that is not installed."""
    try:
        import onnxruntime

        export(model, tuple(scale.faces for scale in scales[1:]), path)
    except (ImportError, UserError):
        print("ONNX Runtime is not installed, its rows are left out (pip install onnx onnxruntime)", file=sys.stderr)
        return None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda pose2d: session.run(list(OUTPUT_NAMES), {INPUT_NAME: pose2d})


def epoch_rows(args: argparse.Namespace, scales, device: torch.device):
    """Training as main/train.py does it, and what its loop costs."""
    steps, batch, hidden_dim = (2, 4, 8) if args.quick else (16, TRAINING_BATCH, 128)

    def run(hidden_dim, steps):
        cfg = Config(
            DATASET=DatasetConfig(("Human36M",), ("Human36M",)),
            MODEL=ModelConfig(hidden_dim=hidden_dim),
            TRAIN=TrainConfig(batch_size=batch, end_epoch=args.rounds + 1),
            TEST=TestConfig(batch_size=batch),
        )
        return epoch(cfg, scales, steps, device)

    real, narrow = run(hidden_dim, steps), run(2, 8 * steps)
    yield Row("training, data and logging included", "samples/s", steps * batch / real["steps"])
    # The loop does the same around any network; beside a small one its cost stands out of the noise.
    loop = (narrow["steps"] - narrow["bare"]) / (8 * steps)
    yield Row("loop: data, augmentation, logging, per step", "ms", loop * 1e3)
    yield Row("loop: report, log, curves, saving, per epoch", "ms", real["after"] * 1e3)
    of_epoch = HUMAN36M_STEPS * loop + real["after"]
    share = of_epoch / (of_epoch + HUMAN36M_STEPS * real["bare"] / steps)
    yield Row("loop: share of an epoch of Human3.6M", "%", 100 * share, goal="<= 5 %")


def data_rows(args: argparse.Namespace, scales, body):
    """Mesh targets and Procrustes errors."""
    frames, poses = (8, 100) if args.quick else (1024, PA_POSES)
    one_sample, all_frames = mesh_targets(body, scales, frames)
    t = interleaved({"plain": one_sample, "this": all_frames}, args.rounds, lambda: None)
    this = t["this"] / frames
    yield Row("mesh targets, a posed body", "us", this * 1e6, t["plain"] * 1e6, t["plain"] / this, ">= 150x")
    error = max(relative_error(a[:1], b) for a, b in zip(all_frames(), one_sample(), strict=True))
    yield Row("mesh targets, difference", "", error, goal="<= 1e-5")
    rng = np.random.default_rng(0)
    pred, target = rng.normal(size=(2, poses, len(HUMAN36M_17), 3))
    t = interleaved({"this": lambda: pa_mpjpe(pred, target)}, min(args.rounds, 3), lambda: None)
    yield Row(f"PA-MPJPE of {poses} poses", "s", t["this"], goal="<= 3 s")


def loading_rows(images: int, scales, body):
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


def scaling_rows(args: argparse.Namespace, scales):
    """Samples per second of 1 to N processes, each with a batch of its own; the ratio is to one process."""
    sizes = {"hidden_dim": 8, "batch": 4, "steps": 2} if args.quick else {"batch": TRAINING_BATCH}
    rates = measure_scaling(range(1, args.scaling + 1), scales, **sizes)
    for count, rate in rates.items():
        name = f"training, {count} process{'es' * (count > 1)}"
        yield Row(name, "samples/s", rate, ratio=rate / rates[1], goal=f"ideal {count}x")


if __name__ == "__main__":
    run_command(main)
