"""The same network, run faster: TRAIN.compile and TRAIN.precision."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from lib.models.hgn import HGNOutput


def accelerate(
    network: nn.Module, compiling: str, precision: str, device: torch.device
) -> Callable[[torch.Tensor], HGNOutput]:
    """The forward pass of a training step: network itself, compiled, or in bfloat16; parameters stay float32.

    compiling: "on", "off" or "auto", which is off (docs/benchmarks.md has the reason). precision: "bf16" runs products in
    bfloat16; for "fp32" and "tf32" see `matmul_precision`. `network` itself is not changed.
    """
    if precision == "bf16":
        network = _in_bfloat16(network)
    return CompiledForward(network, device) if compiling == "on" else network


class CompiledForward:
    """torch.compile of a network, on a GPU with CUDA graphs, since a step is a thousand small kernels.

    It is compiled for batches of the first one's shape. Smaller ones, as the last one of an epoch, run uncompiled: compiling
    again takes longer than they all do. A larger one, as after a run was resumed at an epoch's last batch, is compiled for
    anew. Where compiling fails, torch's error ends the training.
    """

    def __init__(self, network: nn.Module, device: torch.device):
        self.network, self.on_gpu = network, device.type == "cuda"
        self.compiled = torch.compile(network, mode="reduce-overhead" if self.on_gpu else "default", dynamic=False)
        self.largest = 0

    def __call__(self, pose2d: torch.Tensor) -> HGNOutput:
        self.largest = max(self.largest, len(pose2d))
        if len(pose2d) < self.largest:
            return self.network(pose2d)
        if self.on_gpu:
            torch.compiler.cudagraph_mark_step_begin()  # results of the step before may be overwritten
        return self.compiled(pose2d)


def _in_bfloat16(network: nn.Module) -> nn.Module:
    """DataParallel computes in threads of its own, and autocast holds for one thread: there it belongs to each replica."""
    if isinstance(network, nn.DataParallel):
        return nn.DataParallel(InBfloat16(network.module), network.device_ids)
    return InBfloat16(network)


class InBfloat16(nn.Module):
    """A network whose products run in bfloat16, with float32 outputs. Its parameters are the network's."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, pose2d: torch.Tensor) -> HGNOutput:
        with torch.autocast(pose2d.device.type, torch.bfloat16):
            pose3d, meshes = self.network(pose2d)
        return HGNOutput(pose3d.float(), tuple(mesh.float() for mesh in meshes))


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
