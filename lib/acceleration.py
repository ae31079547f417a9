"""The same network, run faster: TRAIN.compile and TRAIN.precision, copies that nobody waits for, all cores of a CPU."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch
from torch import nn
from tqdm import tqdm

from lib.models.hgn import HGNOutput

PART = 32
"""Samples of a part of a batch: enough for full speed, few enough for the caches of a CPU core."""


def accelerate(
    network: nn.Module, compiling: str, precision: str, device: torch.device
) -> Callable[[torch.Tensor], HGNOutput]:
    """The forward pass of a training step: network itself, compiled, or in bfloat16; parameters stay float32.

    compiling: "on", "off" or "auto", which compiles on a GPU (CUDA graphs: a step is a thousand small kernels) that
    trains alone, not on a CPU, where minutes of compiling gain little (docs/benchmarks.md). precision: "bf16" runs
    products in bfloat16; for "fp32" and "tf32" see `matmul_precision`.
    """
    on_gpu = device.type == "cuda"
    forward = network
    alone = not isinstance(network, (nn.DataParallel, nn.parallel.DistributedDataParallel))
    if compiling == "on" or (compiling == "auto" and on_gpu and alone):
        forward = CompiledForward(network, "reduce-overhead" if on_gpu else "default")
    return _in_bfloat16(forward, device) if precision == "bf16" else forward


class CompiledForward:
    """torch.compile of a network; where compiling fails it tells so in one line and runs the network as it is."""

    def __init__(self, network: nn.Module, mode: str):
        self.network = network
        self.forward = torch.compile(network, mode=mode)

    def __call__(self, pose2d: torch.Tensor) -> HGNOutput:
        try:
            return self.forward(pose2d)
        except (RuntimeError, ImportError, OSError) as error:
            lost_rank = isinstance(error, torch.distributed.DistError)  # another process's failure, not the compiler's
            if self.forward is self.network or lost_rank:
                raise
            reason = " ".join(str(error).split())[:120]
            tqdm.write(f"TRAIN.compile: torch.compile failed ({type(error).__name__}: {reason}); going on without it")
            self.forward = self.network
            return self.network(pose2d)


def _in_bfloat16(forward: Callable, device: torch.device) -> Callable[[torch.Tensor], HGNOutput]:
    def run(pose2d: torch.Tensor) -> HGNOutput:
        with torch.autocast(device.type, torch.bfloat16):
            pose3d, meshes = forward(pose2d)
        return HGNOutput(pose3d.float(), tuple(mesh.float() for mesh in meshes))

    return run


@contextmanager
def matmul_precision(precision: str) -> Iterator[None]:
    """Inside, "tf32" lets GPUs round the factors of float32 products to 10 bits; anything else changes nothing."""
    before = torch.get_float32_matmul_precision()
    if precision == "tf32":
        torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def to_device(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Values of the CPU on the device; the host does not wait until a GPU has them, as it would for pageable memory."""
    return (values.pin_memory() if device.type == "cuda" else values).to(device, non_blocking=True)


@torch.inference_mode()
def evaluate_in_parts(network: nn.Module, pose2d: torch.Tensor) -> HGNOutput:
    """Outputs of a network in evaluation mode for any number of samples, pose2d (B, J, 2).

    Where a CPU's threads can each have a part of the batch they compute those side by side, one thread a part: threads
    that share every single operation wait for each other after each. Meanwhile torch.get_num_threads() is 1, everywhere in
    the process.
    """
    threads = torch.get_num_threads()
    if pose2d.device.type == "cpu" and 1 < threads <= len(pose2d) // PART:
        outputs = _side_by_side(network, pose2d.split(PART), threads)
    else:
        outputs = [network(part) for part in pose2d.split(2 * PART)]
    pose3d, meshes = zip(*outputs, strict=True)
    return HGNOutput(torch.cat(pose3d), tuple(map(torch.cat, zip(*meshes, strict=True))))


def _side_by_side(network: nn.Module, parts: tuple[torch.Tensor, ...], threads: int) -> list[HGNOutput]:
    def run(part):
        with torch.inference_mode():  # holds for one thread only
            return network(part)

    torch.set_num_threads(1)  # which threads that start later take over
    try:
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(run, parts))
    finally:
        torch.set_num_threads(threads)
