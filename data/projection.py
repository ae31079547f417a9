"""Whether the 2D joints of published files are where their cameras project the 3D joints."""

from collections.abc import Iterator, Sequence

import numpy as np

from data.findings import Finding
from lib.errors import UserError

SAME_CAMERA = 1.0
"""Median px up to which ground-truth 2D joints are the projection of the 3D ones; published files agree to 0.01 px."""

OTHER_CAMERA = 20.0
"""Median px from which they are of another camera, unit or joint order. A lens moves joints by up to 10 px."""

OTHER_PERSON = 50.0
"""The same for detections, over a whole split: detectors are within 20 px."""


def refuse_other_camera(where: str, distance: np.ndarray, limit: float = OTHER_CAMERA) -> None:
    """UserError that begins with `where`, unless the median of the distances (px, any shape) is below `limit`."""
    if distance.size and not np.median(distance) < limit:
        raise UserError(
            f"{where}: the 3D joints project {np.median(distance):.1f} px (median) from the 2D ones; the 2D, the 3D and the "
            "camera do not belong together: look for another order of cameras or joints, and for other units"
        )


def check_projection(label: str, distances: Sequence[np.ndarray], detected: bool) -> Iterator[Finding]:
    """One finding on all distances (px) of a split; detected: whether the 2D joints are detections, not ground truth."""
    if not distances:
        return
    everything = np.concatenate([distance.reshape(-1) for distance in distances])
    median = np.median(everything)
    text = (
        f"{label}: the 3D joints project {median:.3g} px (median) from the 2D ones, {everything.max():.3g} px at most"
    )
    if detected and median > OTHER_PERSON:
        yield Finding("wrong", f"{text}; the detections are of other cameras, other images or in another joint order")
    elif detected or median < SAME_CAMERA:
        yield Finding("ok", text)
    else:
        yield Finding(
            "note", f"{text}; this is another projection than the published one, such as one without lens distortion"
        )
