"""The same network, run faster: TRAIN.compile and TRAIN.precision."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn
from tqdm import tqdm

from lib.models.hgn import HGNOutput


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
