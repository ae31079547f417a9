"""Graph scales of a mesh, computed once and kept on disk."""

from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from lib.config import Config
from lib.files import replacing
from lib.graph.scales import GraphScale, build_scales
from lib.joints import JOINT_SETS, JointSet

CACHE_VERSION = 1


def build_hierarchy(cfg: Config, faces: np.ndarray) -> list[GraphScale]:
    """[skeleton, coarse mesh, fine mesh] of the configured joint set and levels, for a body mesh with faces (F, 3);
    cached beside the data."""
    joints = JOINT_SETS[cfg.DATASET.target_joint_set]
    return cached_scales(joints, faces, cfg.MODEL.coarsen_levels, Path(cfg.DATASET.data_dir) / "cache")


def cached_scales(joints: JointSet, faces: np.ndarray, coarsen_levels: int, folder: Path) -> list[GraphScale]:
    """`build_scales`, read from `folder` when it was computed for the same arguments before; an unwritable folder is no error."""
    faces = np.ascontiguousarray(faces, dtype=np.int64)
    identity = repr((CACHE_VERSION, joints, faces.shape, coarsen_levels)).encode() + faces.tobytes()
    path = Path(folder) / f"hierarchy-{sha256(identity).hexdigest()[:16]}.npz"
    try:
        return _read(path)
    except Exception:  # missing or damaged
        scales = build_scales(joints, faces, coarsen_levels)
    with suppress(OSError):
        _write(path, scales)
    return scales


def _read(path: Path) -> list[GraphScale]:
    with np.load(path, allow_pickle=False) as z:
        scales = []
        for i in range(int(z["count"])):
            pooling = faces = None
            if i > 0:
                pooling = sp.csr_matrix(
                    (z[f"{i}_data"], z[f"{i}_indices"], z[f"{i}_indptr"]), shape=tuple(z[f"{i}_shape"])
                )
                faces = z[f"{i}_faces"]
            scales.append(GraphScale(z[f"{i}_adjacency"], z[f"{i}_real_nodes"], pooling, faces))
        return scales


def _write(path: Path, scales: list[GraphScale]) -> None:
    arrays: dict[str, np.ndarray] = {"count": np.array(len(scales))}
    for i, scale in enumerate(scales):
        arrays |= {f"{i}_adjacency": scale.adjacency, f"{i}_real_nodes": scale.real_nodes}
        if scale.pooling is not None and scale.faces is not None:
            p = scale.pooling
            arrays |= {f"{i}_data": p.data, f"{i}_indices": p.indices, f"{i}_indptr": p.indptr}
            arrays |= {f"{i}_shape": np.array(p.shape), f"{i}_faces": scale.faces}
    with replacing(path) as temporary:
        np.savez(temporary, **arrays)  # type: ignore[arg-type]  # the stubs also match them with `allow_pickle: bool`
