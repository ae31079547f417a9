"""How training speed grows with the number of processes, or GPUs, of this host."""

import os
import time
from collections.abc import Iterable

import torch
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from lib.device import choose_devices
from lib.distributed import distribute, process_group
from lib.graph.scales import GraphScale
from lib.models.hgn import HGN
from main.benchmarking.measure import wait_for
from main.benchmarking.network import make_table, training_step

WARM_UP = 3


def process_limit() -> int:
    """Most processes that each have a device of their own here: the number of GPUs, or of CPU cores where there is none."""
    return torch.cuda.device_count() or os.cpu_count()


def measure_scaling(
    counts: Iterable[int], scales: list[GraphScale], hidden_dim: int = 128, batch: int = 64, steps: int = 20
) -> dict[int, float]:
    """{processes: samples per second} of training steps with `batch` samples per process, gradients and batch
    normalisation over all of them; on the CPU one thread each. The ideal is the count times the value of 1.

    The processes are started by torchrun's own launcher, and load the calling program's main module anew.
    """
    rates = {}
    for count in counts:
        config = LaunchConfig(
            *(1, 1, count),
            run_id=f"scaling-{count}",
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            max_restarts=0,
            start_method="spawn",
        )
        seconds = elastic_launch(config, _seconds_per_step)(scales, hidden_dim, batch, steps)
        rates[count] = count * batch / max(seconds.values())
    return rates


def _seconds_per_step(scales: list[GraphScale], hidden_dim: int, batch: int, steps: int) -> float:
    """On every rank."""
    torch.set_num_threads(1)
    with process_group() as group:
        device = choose_devices(None, group)[0]
        model = HGN(scales, hidden_dim).to(device)
        forward = distribute(model, sync_bn=True) if group.size > 1 else model
        step = training_step(model, make_table(scales, batch, group.rank), device, forward)
        for number in range(WARM_UP + steps):
            if number == WARM_UP:
                wait_for(device)
                group.barrier()
                start = time.perf_counter()
            step()
        wait_for(device)
        return (time.perf_counter() - start) / steps
