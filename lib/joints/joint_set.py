"""What a skeleton or keypoint convention is."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class JointSet:
    """A skeleton definition.

    names: joint names in array order; bones: (parent, child) index pairs; flip_pairs: (right, left) index
    pairs that change places when the person is mirrored; root: index of the joint that is the origin of
    root-relative poses.
    """

    names: tuple[str, ...]
    bones: tuple[tuple[int, int], ...]
    flip_pairs: tuple[tuple[int, int], ...]
    root: int

    def __len__(self) -> int:
        return len(self.names)

    @property
    def flip_permutation(self) -> np.ndarray:
        """(J,) int: `mirrored[..., j, :] = pose[..., flip_permutation[j], :]` with x negated."""
        order = np.arange(len(self.names))
        for a, b in self.flip_pairs:
            order[a], order[b] = b, a
        return order
