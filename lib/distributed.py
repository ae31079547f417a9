"""Several processes as one: the ranks that torchrun starts, or the trivial group of a process alone.

A step's gradients are averaged by DistributedDataParallel in torch's default process group (nccl on GPUs, gloo on
CPUs). Waiting for rank 0 to read, test or write uses a second gloo group without a time limit.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from inspect import signature
from typing import Any

import torch
import torch.nn.functional as F
from torch import distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from lib.errors import UserError

STEP_TIMEOUT = timedelta(seconds=50)
"""Longest wait for another rank inside a step: a host that is gone without a word ends the job within a minute."""
PATIENCE = timedelta(days=7)
"""Longest wait for rank 0 where it makes caches, tests or writes; a lost connection still shows at once."""


@dataclass(frozen=True)
class Group:
    """This process among `size` equal ones; local_rank counts those of its host. With size 1 nothing is ever sent."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    patient: dist.ProcessGroup | None = None

    @property
    def is_main(self) -> bool:
        """Rank 0, which alone prints and writes."""
        return self.rank == 0

    def shard(self, count: int) -> slice:
        """This rank's part of `count` items: contiguous, in order of ranks, sizes differ by one at most."""
        least, more = divmod(count, self.size)
        start = self.rank * least + min(self.rank, more)
        return slice(start, start + least + (self.rank < more))

    def barrier(self) -> None:
        """Wait for all ranks."""
        if self.size > 1:
            dist.barrier(self.patient)

    @contextmanager
    def taking_turns(self) -> Iterator[None]:
        """Rank 0 goes first, then one process of every other host, then the rest: files made by the first are found by
        the next ones, whether the hosts share a disk or not."""
        turn = 0 if self.is_main else 1 if self.local_rank == 0 else 2
        for _ in range(turn):
            self.barrier()
        yield
        for _ in range(2 - turn):
            self.barrier()

    def mean(self, values: dict[str, torch.Tensor], weight: float) -> dict[str, torch.Tensor]:
        """Weighted means of named scalars over ranks whose weights are 1 on average; weight 0 leaves a NaN out."""
        if self.size == 1:
            return values
        row = torch.stack(list(values.values())).detach()
        row = row * weight / self.size if weight else torch.zeros_like(row)
        dist.all_reduce(row)
        return dict(zip(values, row.unbind(), strict=True))

    def maximum(self, *values: int) -> list[int]:
        """The largest of each over all ranks."""
        row = torch.tensor(values)
        if self.size > 1:
            dist.all_reduce(row, dist.ReduceOp.MAX, self.patient)
        return row.tolist()

    def from_main(self, value: Any) -> Any:
        """Rank 0's value, on every rank."""
        box = [value]
        if self.size > 1:
            dist.broadcast_object_list(box, 0, self.patient)
        return box[0]

    def gather(self, value: Any) -> list[Any] | None:
        """The values of all ranks in their order, on rank 0; None elsewhere."""
        if self.size == 1:
            return [value]
        values = [None] * self.size if self.is_main else None
        dist.gather_object(value, values, 0, self.patient)
        return values

    def copy_from_main(self, tensors: list[torch.Tensor]) -> None:
        """Overwrite the tensors with rank 0's."""
        if self.size > 1:
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def require_same(self, values: dict[str, Any]) -> None:
        """UserError on a rank that has any other value than rank 0, naming it."""
        expected = self.from_main(values)
        for name, value in values.items():
            if value != expected[name]:
                raise UserError(f"{name} is {value} here but {expected[name]} on rank 0; all ranks need the same")


ALONE = Group()


@contextmanager
def process_group() -> Iterator[Group]:
    """The group that torchrun's environment describes; ALONE without torchrun or for one process.

    A UserError inside is reported with rank and host, a lost rank as one, so that the line of the rank that failed first
    is not buried under the others' tracebacks.
    """
    size = int(os.environ["WORLD_SIZE"]) if dist.is_torchelastic_launched() else 1
    if size == 1:
        yield ALONE
        return
    # Both where there are GPUs: with --gpu cpu, ranks compute on the CPU there.
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=STEP_TIMEOUT)
    patient = dist.new_group(backend="gloo", timeout=PATIENCE)
    group = Group(dist.get_rank(), size, int(os.environ["LOCAL_RANK"]), patient)
    here = f"rank {group.rank} on {socket.gethostname()}"
    try:
        yield group
        group.barrier()
    except UserError as error:
        raise UserError(f"{here}: {error}") from error
    except RuntimeError as error:
        if isinstance(error, dist.DistError) or "gloo" in str(error):
            raise UserError(f"{here}: lost another rank; its own error is printed by itself or on its host") from error
        raise
    dist.destroy_process_group()


def distribute(model: nn.Module, sync_bn: bool) -> DistributedDataParallel:
    """The forward whose backward averages gradients over all ranks. Parameter names of `model` are unchanged.

    sync_bn: batch normalisation of `model` takes its statistics over the batch of all ranks; otherwise every rank uses
    and keeps its own.
    """
    device = next(model.parameters()).device
    if sync_bn and device.type == "cuda":
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    elif sync_bn:
        for module in model.modules():
            if type(module) is nn.BatchNorm1d:
                module.__class__ = GlobalBatchNorm1d  # same parameters and buffers, which others may hold already
    names = signature(DistributedDataParallel).parameters
    # Running statistics need not travel before every step; the argument's name has changed between versions of torch.
    fixed: dict[str, Any] = {"forward_sync_buffers" if "forward_sync_buffers" in names else "broadcast_buffers": False}
    return DistributedDataParallel(model, [device] if device.type == "cuda" else None, **fixed)


class GlobalBatchNorm1d(nn.BatchNorm1d):
    """nn.BatchNorm1d of (rows, C) over the rows of all ranks: nn.SyncBatchNorm for the CPU, where torch has none.

    A rank may have no rows, but has to take part.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return super().forward(x)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None  # all four are None only where no statistics are kept
        rows = x.to(self.running_mean.dtype)  # under autocast x may be of half precision
        y, mean, var, count = _NormalizeOverRanks.apply(rows, self.weight, self.bias, self.eps)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(var * (count / (count - 1)), self.momentum)
        self.num_batches_tracked += 1
        return y.to(x.dtype)


class _NormalizeOverRanks(torch.autograd.Function):
    """Batch normalisation of x (rows, C): y like x, and mean (C,), biased variance (C,) and count over all ranks.

    The gradients of weight and bias are those of this rank's rows, as DistributedDataParallel adds up the ranks'. Passes
    over x are torch's own kernels, which know nothing of other ranks.
    """

    @staticmethod
    def forward(ctx, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float):
        mean, var = torch.batch_norm_update_stats(x, None, None, 0.0) if len(x) else x.new_zeros(2, x.shape[1])
        # Every rank fills its row: moments about each rank's own mean do not cancel as sums of squares would.
        rows = x.new_zeros(dist.get_world_size(), 1 + 2 * x.shape[1])
        rows[dist.get_rank()] = torch.cat([x.new_tensor([len(x)]), mean, var])
        dist.all_reduce(rows)
        counts, means, variances = rows.split([1, x.shape[1], x.shape[1]], dim=1)
        count = counts.sum()
        mean = (counts * means).sum(0) / count
        var = (counts * (variances + (means - mean).square())).sum(0) / count
        y = F.batch_norm(x, mean, var, weight, bias, training=False, eps=eps) if len(x) else torch.empty_like(x)
        ctx.save_for_backward(x, weight, mean, var, count)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, var, count)
        return y, mean, var, count

    @staticmethod
    def backward(ctx, dy: torch.Tensor, *_):
        x, weight, mean, var, count = ctx.saved_tensors
        own = x.new_zeros(2, x.shape[1])  # gradients of weight and bias: the sums of dy * (normalised x) and of dy
        if len(x):
            of_parameters = [False, True, True]
            _, *gradients = torch.ops.aten.native_batch_norm_backward(
                dy, x, weight, mean, var, None, None, False, ctx.eps, of_parameters
            )
            own = torch.stack(gradients)
        sums = own.clone()
        dist.all_reduce(sums)
        # dx = weight / std * (dy - sum(dy) / count - (x - mean) / std * sum(dy (x - mean) / std) / count)
        inverse = torch.rsqrt(var + ctx.eps)
        scale = weight * inverse
        slope = -scale * inverse * sums[0] / count
        shift = -scale * sums[1] / count - slope * mean
        return torch.addcmul(shift, x, slope).addcmul_(dy, scale), own[0], own[1], None
