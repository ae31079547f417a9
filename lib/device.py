"""Which devices a command computes on, and copies to them without waiting."""

import sys

import torch
from torch import nn

from lib.distributed import ALONE, Group
from lib.errors import UserError


def choose_devices(gpu: str | None, group: Group = ALONE) -> list[torch.device]:
    """Devices of --gpu, the first holds the model: "cpu", or numbers of CUDA devices as in "0,1".

    None is the first CUDA device, or the CPU where there is none. Where numbers are given and there is no CUDA device, it
    is the CPU too, with a warning. Under torchrun each rank has one: its host's devices of --gpu, by default all, are
    dealt out in order.
    """
    numbers = None if gpu is None else _device_numbers(gpu)
    if not torch.cuda.is_available():
        if numbers and group.is_main:
            print(f"--gpu {gpu}: no CUDA device here, running on the CPU", file=sys.stderr)
        return [torch.device("cpu")]
    if numbers is None:
        numbers = list(range(torch.cuda.device_count())) if group.size > 1 else [0]
    if not numbers:
        return [torch.device("cpu")]
    if max(numbers) >= torch.cuda.device_count():
        raise UserError(f"--gpu {gpu}: this machine has the devices 0 to {torch.cuda.device_count() - 1}")
    if group.size > 1:
        if group.local_rank >= len(numbers):
            raise UserError(
                f"{len(numbers)} CUDA devices for more processes; give torchrun --nproc_per_node={len(numbers)}"
            )
        numbers = [numbers[group.local_rank]]
        torch.cuda.set_device(numbers[0])
    return [torch.device("cuda", n) for n in numbers]


def _device_numbers(gpu: str) -> list[int]:
    """The numbers in --gpu, none for "cpu"."""
    if gpu == "cpu":
        return []
    try:
        numbers = [int(n) for n in gpu.split(",")]
    except ValueError:
        numbers = [-1]
    if min(numbers) < 0 or len(set(numbers)) < len(numbers):
        raise UserError(
            f"--gpu '{gpu}': write numbers of CUDA devices, each once, separated by commas, for example 0,1; or cpu"
        )
    return numbers


def data_parallel(model: nn.Module, devices: list[torch.device]) -> nn.Module:
    """`model`, which is on the first of the devices, or a network that splits each batch among several GPUs."""
    return nn.DataParallel(model, [device.index for device in devices]) if len(devices) > 1 else model


def to_device_together(tensors: list[torch.Tensor], device: torch.device) -> list[torch.Tensor]:
    """`to_device` of several tensors of one type in one copy."""
    if device.type == "cpu":
        return tensors
    parts = to_device(torch.cat([t.flatten() for t in tensors]), device).split([t.numel() for t in tensors])
    return [part.view(t.shape) for part, t in zip(parts, tensors, strict=True)]


def to_device(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Values of the CPU on the device; the host does not wait until a GPU has them, as it would for pageable memory."""
    return (values.pin_memory() if device.type == "cuda" else values).to(device, non_blocking=True)
