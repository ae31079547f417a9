"""The graphs that the network works on: the skeleton and the two coarse meshes."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch

from lib.graph.adjacency import mesh_adjacency, skeleton_adjacency
from lib.graph.coarsening import Coarsening, coarsen
from lib.joints import JointSet


@dataclass(frozen=True)
class GraphScale:
    """One graph of the network.

    adjacency (N, N) bool: which entries of the graph convolutions are learned; rows of padding nodes are empty.
    real_nodes (R,) int: position of real node k among the N padded, permuted nodes.
    pooling: sparse (R, V), mesh vertices to real nodes; None for the skeleton.
    faces (F, 3) int: triangles between real nodes, for images and obj files; None for the skeleton.
    """

    adjacency: np.ndarray
    real_nodes: np.ndarray
    pooling: sp.csr_matrix | None = None
    faces: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.adjacency)


def build_scales(joints: JointSet, faces: np.ndarray, coarsen_levels: int = 9) -> list[GraphScale]:
    """[skeleton, coarse mesh (level coarsen_levels - 1), fine mesh (coarsen_levels - 2)] for a mesh's faces (F, 3).

    The coarsest level itself is only the root layer of the tree permutation. UserError for a mesh that is too small.
    """
    coarsening = coarsen(mesh_adjacency(faces), coarsen_levels)
    skeleton = GraphScale(skeleton_adjacency(len(joints), joints.bones), np.arange(len(joints)))
    return [skeleton] + [_mesh_scale(coarsening, faces, level) for level in (coarsen_levels - 1, coarsen_levels - 2)]


def _mesh_scale(coarsening: Coarsening, faces: np.ndarray, level: int) -> GraphScale:
    graph = coarsening.graphs[level]
    position = np.argsort(coarsening.permutations[level], kind="stable")  # a permutation: no ties
    real_nodes = position[: graph.shape[0]]
    adjacency = np.zeros((len(position), len(position)), dtype=bool)
    row, col, _ = sp.find(graph > 0)
    adjacency[real_nodes[row], real_nodes[col]] = True
    cluster = np.arange(graph.shape[0] if level == 0 else len(coarsening.parents[0]))
    pooling = sp.identity(len(cluster), format="csr")
    for parent in coarsening.parents[:level]:
        cluster = parent[cluster]
        children = np.bincount(parent)
        mean = sp.csr_matrix((1.0 / children[parent], (parent, np.arange(len(parent)))))
        pooling = (mean @ pooling).tocsr()
    pooling.sort_indices()
    return GraphScale(adjacency, real_nodes, pooling, _coarse_faces(cluster[faces]))


def _coarse_faces(faces: np.ndarray) -> np.ndarray:
    """Triangles whose corners fell into three different clusters, each once, orientation kept."""
    a, b, c = faces.T
    faces = faces[(a != b) & (b != c) & (c != a)]
    start = faces.argmin(axis=1)
    rolled = faces[np.arange(len(faces))[:, None], (start[:, None] + np.arange(3)) % 3]
    return np.unique(rolled, axis=0).astype(np.int64)


def scales_to_state(scales: list[GraphScale]) -> list[dict[str, torch.Tensor]]:
    """The hierarchy as tensors, for a checkpoint; pooling stays out, it needs the body model anyway."""
    return [
        {"adjacency": torch.as_tensor(s.adjacency), "real_nodes": torch.as_tensor(s.real_nodes)}
        | ({"faces": torch.as_tensor(s.faces)} if s.faces is not None else {})
        for s in scales
    ]


def scales_from_state(state: list[dict[str, torch.Tensor]]) -> list[GraphScale]:
    """The inverse of `scales_to_state`; poolings are None. ValueError when it is no hierarchy of three graphs."""
    scales = [
        GraphScale(s["adjacency"].numpy(), s["real_nodes"].numpy(), None, s["faces"].numpy() if "faces" in s else None)
        for s in state
    ]
    for s in scales:
        if s.adjacency.dtype != bool or s.adjacency.shape != (len(s), len(s)):
            raise ValueError("a graph is not a square matrix")
        for index, count in ((s.real_nodes, len(s)), (s.faces, len(s.real_nodes))):
            if index is not None and (index.dtype != np.int64 or not ((index >= 0) & (index < count)).all()):
                raise ValueError("a graph names nodes that it does not have")
    if len(scales) != 3:
        raise ValueError(f"{len(scales)} graphs")
    return scales
