"""A body whose joints turn smoothly: the angular accelerations of all joints as a term of the fit.

For steps l_t of all frames (rotation vectors of a joint in the axes of its parent), the term is

    PRECISION tau^4 sum_t |l''_t + a_t|^2,    a_t = log(R_t+1 R_t^T) / dt^2 - log(R_t R_t-1^T) / dt^2,

which leaves a joint that is seen as well as PRECISION alone below 1 / (2 pi tau) Hz and smooths it above; a joint that is
hardly seen, as a hand's twist, is smoothed more. The frames' own normal equations stand on the diagonal of a banded system,
which conjugate gradients solve, preconditioned by these blocks; a fixed number of steps, so that results repeat.
"""

from dataclasses import dataclass

import numpy as np
import torch

from lib.lifting.rotations import rotation_vector

PRECISION = 5e-3
"""Square metres per square radian of the mean point: what a frame's points say about an elbow or a knee."""

STEPS = 25
"""Conjugate-gradient steps; the next Gauss-Newton step takes up what they leave."""

LONGEST = 4.0
"""Frames: tau is at most so many, beyond which the steps above do not reach."""


@dataclass(frozen=True)
class Timing:
    """tau: seconds, the time constant above; seconds (T,): of the frames; parts: rows between which nothing is smoothed."""

    tau: float
    seconds: np.ndarray
    parts: list[slice]


class TurnSmoother:
    """The term for the frames `rows` of a person; `like`: a tensor of the type and on the device to compute with."""

    def __init__(self, timing: Timing, rows: slice, like: torch.Tensor):
        seconds = timing.seconds[rows]
        part = np.zeros(len(timing.seconds), int)
        for number, p in enumerate(timing.parts):
            part[p] = number
        part = part[rows]
        before, after = np.diff(seconds)[:-1], np.diff(seconds)[1:]
        span = (before + after) / 2
        usual = np.median(np.diff(seconds)) if len(seconds) > 1 else 1.0
        within = (part[2:] == part[:-2]) * min(timing.tau, LONGEST * usual) ** 2 * PRECISION**0.5
        self.early, self.late = (
            torch.as_tensor(within / (side * span)).to(like)[:, None, None] for side in (before, after)
        )

    def step(
        self, matrix: torch.Tensor, gradient: torch.Tensor, rotations: torch.Tensor, parent: torch.Tensor
    ) -> torch.Tensor:
        """The steps (T, 3 K + 3) of all frames, in camera axes, for the frames' own matrix (T, 3 K + 3, 3 K + 3) and gradient;
        rotations, parent (T, K, 3, 3): of the joints relative to their parents, and of these."""
        change = rotation_vector(rotations[1:] @ rotations[:-1].transpose(-1, -2))
        bend = change[1:] * self.late - change[:-1] * self.early
        right = gradient.clone()
        right[:, :-3] -= self._to_camera(self._adjoint(bend), parent)
        own = torch.zeros(len(matrix), 1, 1).to(matrix)
        own[:-2] += self.early**2
        own[1:-1] += (self.early + self.late) ** 2
        own[2:] += self.late**2
        block = matrix.clone()
        block.diagonal(dim1=1, dim2=2)[:, :-3] += own[:, 0]
        factor = torch.linalg.cholesky(block)

        def times(x: torch.Tensor) -> torch.Tensor:
            y = (matrix @ x[..., None]).squeeze(-1)
            local = (parent.transpose(-1, -2) @ x[:, :-3].unflatten(1, (-1, 3))[..., None]).squeeze(-1)
            y[:, :-3] += self._to_camera(self._adjoint(self._differences(local)), parent)
            return y

        def solved(x: torch.Tensor) -> torch.Tensor:
            return torch.cholesky_solve(x[..., None], factor).squeeze(-1)

        return _conjugate_gradients(times, solved, right)

    def _differences(self, turns: torch.Tensor) -> torch.Tensor:
        """(T, K, 3) to (T - 2, K, 3): weighted second differences in time."""
        return (turns[2:] - turns[1:-1]) * self.late - (turns[1:-1] - turns[:-2]) * self.early

    def _adjoint(self, bend: torch.Tensor) -> torch.Tensor:
        """The transpose of `_differences`."""
        turns = bend.new_zeros(len(bend) + 2, *bend.shape[1:])
        turns[2:] += bend * self.late
        turns[1:-1] -= bend * (self.late + self.early)
        turns[:-2] += bend * self.early
        return turns

    @staticmethod
    def _to_camera(turns: torch.Tensor, parent: torch.Tensor) -> torch.Tensor:
        return (parent @ turns[..., None]).flatten(1)


def _conjugate_gradients(times, solved, right: torch.Tensor) -> torch.Tensor:
    """x with times(x) = right, nearly; solved: the preconditioner's inverse."""
    x = torch.zeros_like(right)
    left, direction = right, solved(right)
    size = (left * direction).sum()
    steered = direction
    for _ in range(STEPS):
        image = times(direction)
        length = size / (direction * image).sum().clamp_min(1e-30)
        x, left = x + length * direction, left - length * image
        steered = solved(left)
        previous, size = size, (left * steered).sum()
        direction = steered + size / previous.clamp_min(1e-30) * direction
    return x
