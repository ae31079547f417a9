"""Joint sets: names, bones, left/right pairs and root of every skeleton the project reads or writes.

Joint indices are positions in `JointSet.names`. Left and right are the person's own.
"""

from lib.joints.detector_sets import (
    AIC_14,
    BODY_18,
    BODY_25,
    BODY_25B,
    COCO_WHOLEBODY_133,
    CROWDPOSE_14,
    HALPE_26,
    HALPE_136,
    HUMAN36M_32,
    MEDIAPIPE_33,
    MPII_16,
)
from lib.joints.joint_set import JointSet
from lib.joints.skeletons import COCO_17, COCO_19, HUMAN36M_17, SMPL_24, SMPL_PARENTS

JOINT_SETS = {
    "human36": HUMAN36M_17,
    "coco": COCO_17,
    "coco19": COCO_19,
    "body18": BODY_18,
    "body25": BODY_25,
    "body25b": BODY_25B,
    "halpe26": HALPE_26,
    "halpe136": HALPE_136,
    "wholebody": COCO_WHOLEBODY_133,
    "mediapipe": MEDIAPIPE_33,
    "mpii": MPII_16,
    "aic": AIC_14,
    "crowdpose": CROWDPOSE_14,
    "human36_32": HUMAN36M_32,
}
"""The joint sets 2D keypoints may come in, by their names on the command line and in DATASET.input_joint_set."""


def joint_sets_of(count: int) -> list[str]:
    """The names of JOINT_SETS with so many joints."""
    return [name for name, joints in JOINT_SETS.items() if len(joints) == count]


def known_joint_sets() -> str:
    """All JOINT_SETS and how many joints they have, for messages."""
    return ", ".join(f"{name} ({len(joints)})" for name, joints in JOINT_SETS.items())


__all__ = [
    "AIC_14",
    "BODY_18",
    "BODY_25",
    "BODY_25B",
    "COCO_17",
    "COCO_19",
    "COCO_WHOLEBODY_133",
    "CROWDPOSE_14",
    "HALPE_26",
    "HALPE_136",
    "HUMAN36M_17",
    "HUMAN36M_32",
    "JOINT_SETS",
    "MEDIAPIPE_33",
    "MPII_16",
    "SMPL_24",
    "SMPL_PARENTS",
    "JointSet",
    "joint_sets_of",
    "known_joint_sets",
]
