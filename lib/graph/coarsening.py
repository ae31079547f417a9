"""Graph coarsening by heavy-edge matching, bit for bit as the released HGN hierarchies were made.

The method is that of Dhillon, Guan and Kulis (Graclus, PAMI 2007) as used by Defferrard et al. (NIPS 2016) and HGN;
the particulars that decide which hierarchy comes out (score, tie order) are written down in docs/architecture.md.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from lib.errors import UserError


@dataclass(frozen=True)
class Coarsening:
    """A hierarchy of `levels + 1` graphs, 0 = the input, each at most halved.

    parents[k] (n_k,): the node of level k+1 that node i of level k was merged into, k = 0..levels-1.
    permutations[k] (p_k,): the node at each position of level k when the tree is laid out so that the children of
    position i are at 2i and 2i+1 one level below; numbers >= n_k are padding nodes. k = 0..levels.
    graphs[k] (n_k, n_k): sparse edge weights of level k, summed over merged edges. k = 0..levels.
    """

    parents: list[np.ndarray]
    permutations: list[np.ndarray]
    graphs: list[sp.csr_matrix]


def coarsen(adjacency: sp.spmatrix, levels: int) -> Coarsening:
    """Coarsen a symmetric weighted graph (n, n) `levels` times; UserError when it has too few nodes for that."""
    weights = sp.csr_matrix(adjacency, dtype=np.float64, copy=True)
    weights.sort_indices()
    parents, graphs = [], [weights]
    for level in range(levels):
        column_sums = np.asarray(weights.sum(axis=0)).ravel()
        degree = column_sums - weights.diagonal() if level == 0 else column_sums
        clusters = _match_heavy_edges(weights, classic_argsort(column_sums), degree)
        count = int(clusters.max()) + 1 if len(clusters) else 0
        if count < 2 or count == len(clusters):
            raise UserError(
                f"a mesh of {adjacency.shape[0]} vertices cannot be coarsened {levels} times: level {level + 1} would "
                f"have {count} of {len(clusters)} nodes left; lower MODEL.coarsen_levels or use a finer, connected mesh"
            )
        row, col, value = sp.find(weights)
        weights = sp.csr_matrix((value, (clusters[row], clusters[col])), shape=(count, count))
        weights.sum_duplicates()
        parents.append(clusters)
        graphs.append(weights)
    return Coarsening(parents, _tree_permutations(parents), graphs)


def classic_argsort(values: np.ndarray) -> np.ndarray:
    """Indices (n,) that sort `values`, ties in the order of the classic unvectorised index quicksort.

    Degrees of a mesh have thousands of ties, `numpy.argsort` breaks them differently by version and CPU, and the
    published hierarchy depends on the outcome. The algorithm: median of three with the pivot parked next to the end,
    the larger part is put aside, and parts of up to 16 values are sorted by insertion.
    """
    v = np.asarray(values).tolist()
    order = list(range(len(v)))
    pending = [(0, len(v) - 1)]
    while pending:
        lo, hi = pending.pop()
        while hi - lo > 15:
            mid = lo + (hi - lo) // 2
            for a, b in ((lo, mid), (mid, hi), (lo, mid)):
                if v[order[b]] < v[order[a]]:
                    order[a], order[b] = order[b], order[a]
            pivot = v[order[mid]]
            order[mid], order[hi - 1] = order[hi - 1], order[mid]
            i, j = lo, hi - 1
            while True:
                i += 1
                while v[order[i]] < pivot:
                    i += 1
                j -= 1
                while pivot < v[order[j]]:
                    j -= 1
                if i >= j:
                    break
                order[i], order[j] = order[j], order[i]
            order[i], order[hi - 1] = order[hi - 1], order[i]
            if i - lo < hi - i:
                pending.append((i + 1, hi))
                hi = i - 1
            else:
                pending.append((lo, i - 1))
                lo = i + 1
        for i in range(lo + 1, hi + 1):
            moving = order[i]
            j = i
            while j > lo and v[moving] < v[order[j - 1]]:
                order[j] = order[j - 1]
                j -= 1
            order[j] = moving
    return np.array(order, dtype=np.int64)


def _match_heavy_edges(weights: sp.csr_matrix, visiting_order: np.ndarray, degree: np.ndarray) -> np.ndarray:
    """Cluster number (n,) int32 of every node: itself alone or with its best unmatched neighbour."""
    indptr, indices, data = weights.indptr.tolist(), weights.indices.tolist(), weights.data.tolist()
    degree = degree.tolist()
    # The release means the self weight W_ii but reads the first stored value of the row. Kept: it decides the hierarchy.
    first = [data[indptr[i]] if indptr[i] < indptr[i + 1] else 0.0 for i in range(len(degree))]
    # Likewise its row lengths are shifted by one entry: row 0 also sees the first entry of row 1, as if it were its
    # own, and the last row does not see its last entry.
    end = indptr[1:]
    if len(end) > 1:
        end[0] = min(end[0] + 1, len(data))
        end[-1] -= 1
    clusters = [-1] * len(degree)
    count = 0
    for i in visiting_order.tolist():
        if clusters[i] >= 0:
            continue
        best, best_score = -1, 0.0
        for k in range(indptr[i], end[i]):
            j = indices[k]
            if j == i or clusters[j] >= 0:
                continue
            score = (2 * data[k] + first[i] + first[j]) / (degree[i] + degree[j] + 1e-9)
            if score > best_score:
                best, best_score = j, score
        clusters[i] = count
        if best >= 0:
            clusters[best] = count
        count += 1
    return np.array(clusters, dtype=np.int32)


def _tree_permutations(parents: list[np.ndarray]) -> list[np.ndarray]:
    """Lay the levels out as a binary tree, coarsest level in its own order; see `Coarsening.permutations`."""
    permutations = [np.arange(int(parents[-1].max()) + 1)]
    for parent in reversed(parents):
        children: list[list[int]] = [
            [] for _ in range(len(permutations[0]))
        ]  # by node number of the coarser, padded level
        for child, node in enumerate(parent.tolist()):
            children[node].append(child)
        layout, padding = [], len(parent)
        for node in permutations[0].tolist():
            missing = 2 - len(children[node])
            layout += children[node] + list(range(padding, padding + missing))
            padding += missing
        permutations.insert(0, np.array(layout, dtype=np.int64))
    return permutations
