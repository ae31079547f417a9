"""Graph coarsening by heavy-edge matching on dense matrices, step by step as described for the release."""

import numpy as np


def plain_argsort(values: np.ndarray) -> list[int]:
    """Indices that sort `values`, ties as in the classic index quicksort with insertion sort below 17 values."""
    order = list(range(len(values)))

    def exchange(a: int, b: int) -> None:
        order[a], order[b] = order[b], order[a]

    def sort(lo: int, hi: int) -> None:
        if hi - lo <= 15:
            order[lo : hi + 1] = sorted(order[lo : hi + 1], key=lambda index: values[index])  # stable, as insertion is
            return
        mid = lo + (hi - lo) // 2
        for a, b in [(lo, mid), (mid, hi), (lo, mid)]:
            if values[order[b]] < values[order[a]]:
                exchange(a, b)
        pivot = values[order[mid]]
        exchange(mid, hi - 1)
        i, j = lo, hi - 1
        while i < j:
            i = next(k for k in range(i + 1, hi + 1) if values[order[k]] >= pivot)
            j = next(k for k in range(j - 1, lo - 1, -1) if values[order[k]] <= pivot)
            if i < j:
                exchange(i, j)
        exchange(i, hi - 1)
        sort(lo, i - 1)
        sort(i + 1, hi)

    sort(0, len(values) - 1)
    return order


def plain_coarsen(adjacency: np.ndarray, levels: int) -> tuple[list, list, list]:
    """Dense (n, n) weights to (parents, permutations, graphs), as in `lib.graph.coarsening.Coarsening`."""
    graphs, parents = [np.array(adjacency, dtype=np.float64)], []
    for level in range(levels):
        W = graphs[-1]
        parent = _match(W, self_weight_counts=level > 0)
        merged = np.zeros((max(parent) + 1, max(parent) + 1))
        for i, j in np.argwhere(W != 0):
            merged[parent[i], parent[j]] += W[i, j]
        parents.append(parent)
        graphs.append(merged)
    return parents, _permutations(parents), graphs


def _match(W: np.ndarray, self_weight_counts: bool) -> list[int]:
    total = W.sum(axis=0)
    degree = total if self_weight_counts else total - np.diag(W)
    rows = [[(j, W[i, j]) for j in np.flatnonzero(W[i])] for i in range(len(W))]
    first = [row[0][1] for row in rows]  # stands where the self weight is meant
    visible = [list(row) for row in rows]
    visible[0].append(rows[1][0])  # row 0 sees one entry too many, the last row one too few
    visible[-1].pop()
    cluster = [None] * len(W)
    next_id = 0
    for i in plain_argsort(total):
        if cluster[i] is not None:
            continue
        scores = {}
        for j, weight in visible[i]:
            if j != i and cluster[j] is None:
                score = (2 * weight + first[i] + first[j]) / (degree[i] + degree[j] + 1e-9)
                scores[j] = max(score, scores.get(j, 0))
        cluster[i] = next_id
        if scores:
            cluster[max(scores, key=scores.get)] = next_id  # the first one of equals, columns come in order
        next_id += 1
    return cluster


def _permutations(parents: list[list[int]]) -> list[list[int]]:
    layouts = [list(range(max(parents[-1]) + 1))]
    for parent in reversed(parents):
        layout, next_padding = [], len(parent)
        for node in layouts[-1]:
            children = [child for child, p in enumerate(parent) if p == node]
            while len(children) < 2:
                children.append(next_padding)
                next_padding += 1
            layout += children
        layouts.append(layout)
    return layouts[::-1]


def plain_pooling(parents: list[list[int]]) -> np.ndarray:
    """(nodes of the last level, nodes of level 0) weights: a node is the mean of its children, level by level."""
    pooling = np.eye(len(parents[0]))
    for parent in parents:
        means = [
            pooling[[c for c, p in enumerate(parent) if p == node]].mean(axis=0) for node in range(max(parent) + 1)
        ]
        pooling = np.array(means)
    return pooling
