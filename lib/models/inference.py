"""A network in evaluation mode: which samples are computed together, and by which thread."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch

from lib.models.hgn import HGNOutput

PART = 32
"""Samples that a CPU thread computes at once: enough for full speed, few enough for its caches."""

LEAST = 4
"""Samples below which a second CPU thread costs more than it gains."""

GPU_PART = 4096
"""Samples that a GPU computes at once, which bounds its memory."""


@torch.inference_mode()
def evaluate_in_parts(network: Callable[[torch.Tensor], HGNOutput], pose2d: torch.Tensor) -> HGNOutput:
    """Outputs of a network in evaluation mode for any number of samples, pose2d (B, J, 2).

    On a CPU each part of the batch is computed by one thread, parts side by side on torch.get_num_threads() threads.
    Threads never split one operation: after each of some 300 small operations they would wait for each other, which takes
    most of the time of a single sample and varies with the machine's other load. Up to LEAST samples the calling
    thread computes alone. Meanwhile torch.get_num_threads() is 1, everywhere in the process.
    """
    if pose2d.device.type == "cpu":
        outputs = _one_thread_each(network, pose2d)
    else:
        outputs = [network(part) for part in pose2d.split(GPU_PART)]
    pose3d, meshes = zip(*outputs, strict=True)
    return HGNOutput(torch.cat(pose3d), tuple(map(torch.cat, zip(*meshes, strict=True))))


def _one_thread_each(network: Callable[[torch.Tensor], HGNOutput], pose2d: torch.Tensor) -> list[HGNOutput]:
    def run(part):
        with torch.inference_mode():  # holds for one thread only
            return network(part)

    threads = torch.get_num_threads()
    parts = pose2d.split(min(PART, max(LEAST, -(-len(pose2d) // threads))))
    with _single_threaded_operations():
        if threads == 1 or len(parts) == 1:
            return [run(part) for part in parts]
        with ThreadPoolExecutor(min(threads, len(parts))) as pool:
            return list(pool.map(run, parts))


@contextmanager
def _single_threaded_operations():
    """In this thread, and in those that start inside."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
