"""Adjacency of meshes and skeletons."""

import numpy as np
import scipy.sparse as sp


def mesh_adjacency(faces: np.ndarray) -> sp.csr_matrix:
    """Triangles (F, 3) to the symmetric (V, V) float64 adjacency: 1 per edge, no self loops; V = largest index + 1."""
    faces = np.asarray(faces)
    count = int(faces.max()) + 1
    i, j = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).T
    adjacency = sp.coo_matrix((np.ones(len(i)), (i, j)), shape=(count, count)).tocsr()
    adjacency = ((adjacency + adjacency.T) > 0).astype(np.float64).tolil()
    adjacency.setdiag(0)
    adjacency = adjacency.tocsr()
    adjacency.eliminate_zeros()
    adjacency.sort_indices()
    return adjacency


def skeleton_adjacency(joint_count: int, bones: tuple[tuple[int, int], ...]) -> np.ndarray:
    """Bones and the identity as a symmetric (J, J) bool matrix: every joint is its own neighbour."""
    adjacency = np.eye(joint_count, dtype=bool)
    for a, b in bones:
        adjacency[a, b] = adjacency[b, a] = True
    return adjacency
