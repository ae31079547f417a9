"""Which devices a command computes on, and copies to them that nobody waits for."""

import sys

import torch

from lib.distributed import ALONE, Group
from lib.errors import UserError


def choose_devices(gpu: str | None, group: Group = ALONE) -> list[torch.device]:
    """Devices of --gpu, the first holds the model; without CUDA the CPU, with one line when GPUs were asked for.

    Under torchrun each rank has one: its host's devices of --gpu, by default all, are dealt out in order.
    """
    if not torch.cuda.is_available():
        if gpu is not None and group.is_main:
            print(f"--gpu {gpu}: no CUDA device here, running on the CPU", file=sys.stderr)
        return [torch.device("cpu")]
    try:
        everything = range(torch.cuda.device_count())
        numbers = [int(n) for n in gpu.split(",")] if gpu else list(everything if group.size > 1 else [0])
    except ValueError:
        raise UserError(f"--gpu {gpu}: write device numbers separated by commas, for example 0,1") from None
    missing = [n for n in numbers if not 0 <= n < torch.cuda.device_count()]
    if missing or len(set(numbers)) < len(numbers):
        raise UserError(f"--gpu {gpu}: this machine has the devices 0 to {torch.cuda.device_count() - 1}, each once")
    if group.size > 1:
        if group.local_rank >= len(numbers):
            raise UserError(
                f"{len(numbers)} CUDA devices for more processes; give torchrun --nproc_per_node={len(numbers)}"
            )
        numbers = [numbers[group.local_rank]]
        torch.cuda.set_device(numbers[0])
    return [torch.device("cuda", n) for n in numbers]


def to_device(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Values of the CPU on the device; the host does not wait until a GPU has them, as it would for pageable memory."""
    return (values.pin_memory() if device.type == "cuda" else values).to(device, non_blocking=True)
