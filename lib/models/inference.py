"""A network in evaluation mode, run on all cores of a CPU."""

from concurrent.futures import ThreadPoolExecutor

import torch
from torch import nn

from lib.models.hgn import HGNOutput

PART = 32
"""Samples of a part of a batch: enough for full speed, few enough for the caches of a CPU core."""


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
