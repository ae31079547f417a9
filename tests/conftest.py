"""Meshes and small hierarchies that several test files need."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from lib.graph.scales import GraphScale
from lib.models.factory import build_fast_predictor
from lib.models.hgn import HGN
from tests.plain.hgn import randomise

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repository() -> Path:
    return ROOT


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_the_disk() -> Iterator[None]:
    """The tests' files need not survive a power failure; waiting until they would takes half of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        patch.setattr(np.memmap, "flush", lambda array: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_thread_in_each_of_several_workers() -> Iterator[None]:
    """Workers and the commands that they start share the cores; threads that wait for each other would take most of them."""
    with pytest.MonkeyPatch.context() as patch:
        if "PYTEST_XDIST_WORKER" in os.environ:
            patch.setenv("OMP_NUM_THREADS", "1")
            torch.set_num_threads(1)
        yield


@pytest.fixture(scope="session")
def _predictors() -> dict[tuple, Callable]:
    return {}


@pytest.fixture
def shared_predictors(monkeypatch, _predictors) -> None:
    """Each `Lifter` of the same layers and weights gets the same predictor: making one takes a third of a second."""

    def predictor_of(model, device, joint_count):
        weights = b"".join(value.numpy().tobytes() for value in model.state_dict().values())
        key = (weights, repr(model), str(device), joint_count)
        if key not in _predictors:
            _predictors[key] = build_fast_predictor(model, device, joint_count)
        return _predictors[key]

    monkeypatch.setattr("lib.lifting.lifter.build_fast_predictor", predictor_of)


def _icosphere(subdivisions: int) -> np.ndarray:
    faces = np.array(
        [(0, 1 + k, 1 + (k + 1) % 5) for k in range(5)]  # cap around vertex 0
        + [(1 + k, 6 + k, 1 + (k + 1) % 5) for k in range(5)]  # belt
        + [(1 + (k + 1) % 5, 6 + k, 6 + (k + 1) % 5) for k in range(5)]
        + [(11, 6 + (k + 1) % 5, 6 + k) for k in range(5)]  # cap around vertex 11
    )
    for _ in range(subdivisions):
        middles = {}
        split = []
        for triangle in faces.tolist():
            ab, bc, ca = (
                middles.setdefault(frozenset(edge), int(faces.max()) + 1 + len(middles))
                for edge in zip(triangle, triangle[1:] + triangle[:1], strict=True)
            )
            a, b, c = triangle
            split += [(a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca)]
        faces = np.array(split)
    return faces


@pytest.fixture(scope="session")
def icosphere() -> Callable[[int], np.ndarray]:
    """subdivisions -> triangles (20 * 4^s, 3) of a closed surface with 10 * 4^s + 2 vertices: 12, 42, 162, 642, ..."""
    return _icosphere


def _random_scale(rng: np.random.Generator, nodes: int, real: int) -> GraphScale:
    """A mesh scale in miniature: some real nodes with loops, some without, and padding nodes with empty rows."""
    real_nodes = rng.permutation(nodes)[:real]
    adjacency = np.zeros((nodes, nodes), dtype=bool)
    for a, b in zip(real_nodes, np.roll(real_nodes, 1), strict=True):
        adjacency[a, b] = adjacency[b, a] = True
    looped = real_nodes[::2]
    adjacency[looped, looped] = True
    return GraphScale(adjacency, real_nodes)


def make_small_scales() -> list[GraphScale]:
    """Five joints in a chain, meshes of 6 nodes (5 real) and 12 nodes (9 real)."""
    rng = np.random.default_rng(3)
    skeleton = np.eye(5, dtype=bool) | np.eye(5, k=1, dtype=bool) | np.eye(5, k=-1, dtype=bool)
    return [GraphScale(skeleton, np.arange(5)), _random_scale(rng, 6, 5), _random_scale(rng, 12, 9)]


@pytest.fixture
def small_scales() -> list[GraphScale]:
    """Those of `make_small_scales`."""
    return make_small_scales()


@pytest.fixture
def small_hgn(small_scales) -> HGN:
    """An HGN of width 4 on `small_scales`, batch normalisation away from its starting values."""
    torch.manual_seed(0)
    model = HGN(small_scales, hidden_dim=4)
    randomise(model)
    return model
