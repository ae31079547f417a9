"""Time, memory and arithmetic of functions."""

import multiprocessing
import platform
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

TURN = 0.05
"""Seconds that a turn lasts at least, see `interleaved`."""


@dataclass(frozen=True)
class Times:
    """Seconds, or ratios of seconds, of every round, values (rounds,)."""

    values: np.ndarray

    @property
    def median(self) -> float:
        return float(np.median(self.values))

    @property
    def quartiles(self) -> tuple[float, float]:
        """The middle half of the rounds is between these."""
        low, high = np.quantile(self.values, [0.25, 0.75])
        return float(low), float(high)

    def over(self, other: "Times") -> "Times":
        """Round by round, these times divided by the other ones."""
        return Times(self.values / other.values)


def wait_for(device: torch.device) -> None:
    """Return when a GPU has done all that it was given; a CPU has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def interleaved(
    functions: dict[str, Callable[[], Any]], rounds: int, synchronize: Callable[[], None]
) -> dict[str, Times]:
    """Seconds of a call of each function, over `rounds` rounds in which all take turns, after one round of warm-up.

    They are interleaved, so other load on the machine affects all of them alike. A turn of a function that takes less than TURN
    seconds is several calls, of which the mean counts: a clock and the caches of a single short call are noise.
    synchronize: waits for the device.
    """
    calls = dict.fromkeys(functions, 1)
    seconds = {name: [] for name in functions}
    for _ in range(rounds + 1):
        for name, function in functions.items():
            synchronize()
            start = time.perf_counter()
            for _ in range(calls[name]):
                function()
            synchronize()
            seconds[name].append((time.perf_counter() - start) / calls[name])
        if len(seconds[name]) == 1:
            calls = {name: max(1, round(TURN / max(first, 1e-6))) for name, (first,) in seconds.items()}
    return {name: Times(np.array(values[1:])) for name, values in seconds.items()}


def product_rate(device: torch.device, rounds: int, size: int = 2048) -> float:
    """Floating-point operations per second of a float32 product of two (size, size) matrices."""
    a, b = torch.randn(2, size, size, device=device)
    return 2 * size**3 / interleaved({"product": lambda: a @ b}, rounds, lambda: wait_for(device))["product"].median


def count_operations(function: Callable[[], Any]) -> int:
    """Floating-point operations of all matrix products in `function`, forward and backward."""
    with FlopCounterMode(display=False) as counter:
        function()
    return counter.get_total_flops()


def in_new_process(function: Callable, *args: Any) -> Any:
    """function(*args) in a fresh interpreter, so that no earlier memory counts; all must be picklable."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *args).result()


def resident_bytes(peak: bool = False) -> int:
    """Memory of this process, or the most it ever had; Linux only, elsewhere 0.

    The kernel's own account of this program: getrusage would include what the parent process had before it started it.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    name = "VmHWM:" if peak else "VmRSS:"
    return next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith(name))


def machine(device: torch.device) -> dict[str, str]:
    """What the numbers were measured on."""
    cpu, memory = platform.processor() or platform.machine(), "unknown"
    cpuinfo, meminfo = Path("/proc/cpuinfo"), Path("/proc/meminfo")
    if cpuinfo.exists():
        lines = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        cpu = lines[0] if lines else cpu
    if meminfo.exists():
        memory = f"{int(meminfo.read_text().split()[1]) / 2**20:.0f} GiB"
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else cpu,
        "cpu": cpu,
        "threads": str(torch.get_num_threads()),
        "memory": memory,
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "date": time.strftime("%Y-%m-%d"),
    }
