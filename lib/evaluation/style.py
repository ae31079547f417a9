"""Colours and viewpoints of all images of poses."""

from lib.joints import JointSet

SIDE_COLOURS = {"right": "#d1495b", "left": "#2274a5", "middle": "#6b7280"}
"""One colour for each side of the body, also for colour-blind readers."""

VIEWS = {"front": (8.0, -90.0), "side": (8.0, -20.0)}
"""Viewpoint -> (elevation, azimuth) in degrees: the camera's own view, and one from the image's right."""

GRID = 0.5
"""Metres between the grid lines of 3D images."""


def bone_sides(joint_set: JointSet) -> tuple[str, ...]:
    """For every bone "right", "left" or "middle": the side that its two joints, as far as they have one, agree on."""
    side = dict.fromkeys(range(len(joint_set)), "middle")
    for right, left in joint_set.flip_pairs:
        side[right], side[left] = "right", "left"
    ends = [{side[a], side[b]} - {"middle"} for a, b in joint_set.bones]
    return tuple(found.pop() if len(found) == 1 else "middle" for found in ends)
