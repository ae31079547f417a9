"""The keypoint conventions of common pose estimators. A joint of one name is the same joint in every convention."""

from itertools import pairwise

from lib.joints.joint_set import JointSet
from lib.joints.skeletons import COCO_17

_LIMBS = (
    ("Pelvis", "R_Hip"), ("R_Hip", "R_Knee"), ("R_Knee", "R_Ankle"), ("Pelvis", "L_Hip"), ("L_Hip", "L_Knee"),
    ("L_Knee", "L_Ankle"), ("Pelvis", "Neck"), ("Neck", "R_Shoulder"), ("R_Shoulder", "R_Elbow"),
    ("R_Elbow", "R_Wrist"), ("Neck", "L_Shoulder"), ("L_Shoulder", "L_Elbow"), ("L_Elbow", "L_Wrist"),
)  # fmt: skip
_FACE = (("Neck", "Nose"), ("Nose", "R_Eye"), ("R_Eye", "R_Ear"), ("Nose", "L_Eye"), ("L_Eye", "L_Ear"))
_FEET = (
    ("R_Ankle", "R_Heel"), ("R_Ankle", "R_BigToe"), ("R_BigToe", "R_SmallToe"),
    ("L_Ankle", "L_Heel"), ("L_Ankle", "L_BigToe"), ("L_BigToe", "L_SmallToe"),
)  # fmt: skip
_NO_PELVIS_OR_NECK = (
    ("L_Hip", "R_Hip"), ("R_Hip", "R_Knee"), ("R_Knee", "R_Ankle"), ("L_Hip", "L_Knee"), ("L_Knee", "L_Ankle"),
    ("L_Hip", "L_Shoulder"), ("L_Shoulder", "R_Shoulder"), ("R_Shoulder", "R_Elbow"), ("R_Elbow", "R_Wrist"),
    ("L_Shoulder", "L_Elbow"), ("L_Elbow", "L_Wrist"),
)  # fmt: skip
"""A tree for conventions without pelvis and neck, from the left hip."""


def _joint_set(names: tuple[str, ...], bones: tuple[tuple[str, str], ...], root: str) -> JointSet:
    """Bones by name; right and left joints are paired by name."""
    index = {name: i for i, name in enumerate(names)}
    return JointSet(
        names=names,
        bones=tuple((index[a], index[b]) for a, b in bones),
        flip_pairs=tuple((i, index["L" + name[1:]]) for name, i in index.items() if name.startswith("R_")),
        root=index[root],
    )


BODY_25 = _joint_set(
    (
        "Nose", "Neck", "R_Shoulder", "R_Elbow", "R_Wrist", "L_Shoulder", "L_Elbow", "L_Wrist", "Pelvis", "R_Hip",
        "R_Knee", "R_Ankle", "L_Hip", "L_Knee", "L_Ankle", "R_Eye", "L_Eye", "R_Ear", "L_Ear", "L_BigToe",
        "L_SmallToe", "L_Heel", "R_BigToe", "R_SmallToe", "R_Heel",
    ),
    _LIMBS + _FACE + _FEET, "Pelvis",
)  # fmt: skip
"""OpenPose's BODY_25 (Cao et al., TPAMI 2021); its MidHip is called Pelvis here."""

BODY_18 = _joint_set(
    (*(name for name in BODY_25.names[:15] if name != "Pelvis"), *BODY_25.names[15:19]),
    (*(bone for bone in _LIMBS if "Pelvis" not in bone), ("Neck", "R_Hip"), ("Neck", "L_Hip"), *_FACE), "Neck",
)  # fmt: skip
"""OpenPose's COCO model, the 18 joints that ControlNet's preprocessors, tf-pose and ST-GCN write too."""

_COCO_FEET = ("L_BigToe", "L_SmallToe", "L_Heel", "R_BigToe", "R_SmallToe", "R_Heel")

_COCO_BODY = (*_NO_PELVIS_OR_NECK, ("L_Shoulder", "Nose"), *_FACE[1:])

BODY_25B = _joint_set(
    (*COCO_17.names, "UpperNeck", "Head", *_COCO_FEET),
    (*_NO_PELVIS_OR_NECK, ("L_Shoulder", "UpperNeck"), ("UpperNeck", "Nose"), *_FACE[1:], ("UpperNeck", "Head"), *_FEET),
    "L_Hip",
)  # fmt: skip
"""OpenPose's BODY_25B (Hidalgo et al., ICCV 2019): COCO's order, MPII's upper neck and head top, feet."""

_HALPE_BONES = (*_LIMBS, *_FACE, *_FEET, ("Nose", "Head"))

HALPE_26 = _joint_set(
    (
        *COCO_17.names, "Head", "Neck", "Pelvis", "L_BigToe", "R_BigToe", "L_SmallToe", "R_SmallToe", "L_Heel",
        "R_Heel",
    ),
    _HALPE_BONES, "Pelvis",
)  # fmt: skip
"""The body and foot keypoints of Halpe Full-Body (AlphaPose; Fang et al., TPAMI 2022); Head is the top of the head."""


def _face_68() -> tuple[tuple[str, ...], tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
    """Names of the 68 face landmarks of 300-W, their bones (chains from the nose), by side where they have a partner.

    300-W counts from the image's left, which is the person's right.
    """
    mirror = dict(zip([*range(8), *range(17, 22), *range(31, 33), *range(36, 42), *range(48, 51), *range(58, 60),
                       *range(60, 62), 67],
                      [*range(16, 8, -1), *range(26, 21, -1), *range(35, 33, -1), 45, 44, 43, 42, 47, 46,
                       54, 53, 52, 56, 55, 64, 63, 65], strict=True))  # fmt: skip
    names = {i: f"Face_{i}" for i in range(68)}
    for right, left in mirror.items():
        names[right], names[left] = f"R_Face_{right}", f"L_Face_{right}"
    chains = ([33, *range(8, -1, -1)], range(8, 17), [27, *range(21, 16, -1)], [27, *range(22, 27)], [33, 30, 29, 28, 27],
              [33, 32, 31], [33, 34, 35], [27, 39, *range(38, 35, -1), 41, 40], [27, *range(42, 48)],
              [33, 51, 50, 49, 48], [51, 52, 53, 54], [51, 62, 61, 60], [62, 63, 64],
              [8, 57, 58, 59], [57, 56, 55], [57, 66, 67], [66, 65])  # fmt: skip
    bones = tuple((names[a], names[b]) for chain in chains for a, b in pairwise(chain))
    return tuple(names[i] for i in range(68)), bones, (("Nose", names[33]),)


def _hand_21(side: str) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Wrist again, then four joints for each of the five fingers from the thumb; every finger hangs at the wrist."""
    names = tuple(f"{side}_Hand_{i}" for i in range(21))
    bones = [(f"{side}_Wrist", names[0])]
    for finger in range(5):
        chain = (0, *range(1 + 4 * finger, 5 + 4 * finger))
        bones += [(names[a], names[b]) for a, b in pairwise(chain)]
    return names, tuple(bones)


def _whole_body(body: tuple[str, ...], bones: tuple[tuple[str, str], ...], root: str) -> JointSet:
    """A body with 68 face landmarks, left hand and right hand after it."""
    (face, face_bones, join), (left, left_bones), (right, right_bones) = _face_68(), _hand_21("L"), _hand_21("R")
    return _joint_set((*body, *face, *left, *right), (*bones, *join, *face_bones, *left_bones, *right_bones), root)


COCO_WHOLEBODY_133 = _whole_body((*COCO_17.names, *_COCO_FEET), (*_COCO_BODY, *_FEET), "L_Hip")
"""COCO-WholeBody (Jin et al., ECCV 2020): body, feet, 68 face landmarks, left hand, right hand."""

HALPE_136 = _whole_body(HALPE_26.names, _HALPE_BONES, "Pelvis")
"""Halpe Full-Body (AlphaPose; Fang et al., TPAMI 2022): HALPE_26, 68 face landmarks, left hand, right hand."""

MEDIAPIPE_33 = _joint_set(
    (
        "Nose", "L_EyeInner", "L_Eye", "L_EyeOuter", "R_EyeInner", "R_Eye", "R_EyeOuter", "L_Ear", "R_Ear", "L_Mouth",
        "R_Mouth", "L_Shoulder", "R_Shoulder", "L_Elbow", "R_Elbow", "L_Wrist", "R_Wrist", "L_Pinky", "R_Pinky",
        "L_Index", "R_Index", "L_Thumb", "R_Thumb", "L_Hip", "R_Hip", "L_Knee", "R_Knee", "L_Ankle", "R_Ankle",
        "L_Heel", "R_Heel", "L_BigToe", "R_BigToe",
    ),
    (
        *_NO_PELVIS_OR_NECK, ("L_Shoulder", "Nose"),
        *((f"{s}_{a}", f"{s}_{b}") for s in "LR" for a, b in (
            ("EyeInner", "Eye"), ("Eye", "EyeOuter"), ("EyeOuter", "Ear"), ("Wrist", "Pinky"), ("Wrist", "Index"),
            ("Wrist", "Thumb"), ("Ankle", "Heel"), ("Heel", "BigToe"),
        )),
        *(("Nose", f"{s}_{a}") for s in "LR" for a in ("EyeInner", "Mouth")),
    ),
    "L_Hip",
)  # fmt: skip
"""MediaPipe Pose (BlazePose; Bazarevsky et al., 2020); its foot index is called BigToe here."""

MPII_16 = _joint_set(
    (
        "R_Ankle", "R_Knee", "R_Hip", "L_Hip", "L_Knee", "L_Ankle", "Pelvis", "Neck", "UpperNeck", "Head", "R_Wrist",
        "R_Elbow", "R_Shoulder", "L_Shoulder", "L_Elbow", "L_Wrist",
    ),
    (*_LIMBS, ("Neck", "UpperNeck"), ("UpperNeck", "Head")), "Pelvis",
)  # fmt: skip
"""MPII Human Pose (Andriluka et al., CVPR 2014); its thorax is called Neck here, as in Human3.6M."""

_HEAD_AND_NECK = (*_NO_PELVIS_OR_NECK[:6], ("L_Shoulder", "Neck"), ("Neck", "Head"), ("Neck", "R_Shoulder"),
                  *_NO_PELVIS_OR_NECK[7:])  # fmt: skip

AIC_14 = _joint_set(
    (
        "R_Shoulder", "R_Elbow", "R_Wrist", "L_Shoulder", "L_Elbow", "L_Wrist", "R_Hip", "R_Knee", "R_Ankle", "L_Hip",
        "L_Knee", "L_Ankle", "Head", "Neck",
    ),
    _HEAD_AND_NECK, "L_Hip",
)  # fmt: skip
"""AI Challenger (Wu et al., 2017)."""

CROWDPOSE_14 = _joint_set(
    (
        "L_Shoulder", "R_Shoulder", "L_Elbow", "R_Elbow", "L_Wrist", "R_Wrist", "L_Hip", "R_Hip", "L_Knee", "R_Knee",
        "L_Ankle", "R_Ankle", "Head", "Neck",
    ),
    _HEAD_AND_NECK, "L_Hip",
)  # fmt: skip
"""CrowdPose (Li et al., CVPR 2019)."""

_HUMAN36M_PARENTS = (
    -1, 0, 1, 2, 3, 4, 0, 6, 7, 8, 9, 0, 11, 12, 13, 14, 12, 16, 17, 18, 19, 20, 19, 22, 12, 24, 25, 26, 27, 28, 27, 30,
)  # fmt: skip

_HUMAN36M_NAMES = (
    "Pelvis", "R_Hip", "R_Knee", "R_Ankle", "R_FootBase", "R_BigToe", "L_Hip", "L_Knee", "L_Ankle", "L_FootBase",
    "L_BigToe", "Spine", "Torso", "Neck", "Nose", "Head", "L_Collar", "L_Shoulder", "L_Elbow", "L_Wrist", "L_HandBase",
    "L_Thumb", "L_Hand", "L_HandEnd", "R_Collar", "R_Shoulder", "R_Elbow", "R_Wrist", "R_HandBase", "R_Thumb", "R_Hand",
    "R_HandEnd",
)  # fmt: skip

HUMAN36M_32 = _joint_set(
    _HUMAN36M_NAMES,
    tuple((_HUMAN36M_NAMES[p], _HUMAN36M_NAMES[c]) for c, p in enumerate(_HUMAN36M_PARENTS) if p >= 0),
    "Pelvis",
)
"""Human3.6M as recorded (Ionescu et al., TPAMI 2014): the 17 joints, toes, hands and copies (11 of 0; 16, 24 of 13; ...)."""
