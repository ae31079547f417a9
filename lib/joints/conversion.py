"""2D keypoints of any known joint set to the 17 joints of Human3.6M.

A joint that both sets have under one name is copied. Every other joint is a weighted sum of source joints
(weights sum to 1, so images may be shifted and scaled freely); `CONVERSIONS` is the whole table, docs/joints.md
shows it. What Human3.6M's joints are: Pelvis, the midpoint of the hips; Torso, half way up the spine to the Neck;
Neck, the base of the neck between the shoulders; Nose, the face at the nose; Head, the top of the head.
"""

import numpy as np

from lib.joints import HUMAN36M_17, JOINT_SETS

Formula = dict[str, float]
"""Source joint name -> weight."""

_HIPS = {"L_Hip": 0.5, "R_Hip": 0.5}
_SHOULDERS = {"L_Shoulder": 0.5, "R_Shoulder": 0.5}
_PELVIS, _NECK = {"Pelvis": 1.0}, {"Neck": 1.0}


def _middle(a: Formula, b: Formula) -> Formula:
    return {name: weight / 2 for name, weight in {**a, **b}.items()}


def _head_top(neck: Formula) -> tuple[Formula, ...]:
    """The line from the neck to the ears goes on for half its length; eyes are as high as ears, the nose is lower.

    The factors are estimates from rough body proportions (heights above the neck: ears 19 cm, nose 16 cm, Human3.6M's
    head joint 28 cm); they were not fitted to recorded data.
    """
    faces = ({"L_Ear": 0.5, "R_Ear": 0.5}, {"L_Eye": 0.5, "R_Eye": 0.5}, {"L_Ear": 1.0}, {"R_Ear": 1.0}, {"Nose": 1.0})
    return tuple(
        {name: weight * factor for name, weight in face.items()}
        | {name: weight * (1 - factor) for name, weight in neck.items()}
        for face, factor in zip(faces, (1.5, 1.5, 1.5, 1.5, 1.75), strict=True)
    )


_MID_SPINE = (_middle(_PELVIS, _NECK),)
_LIKE_COCO: dict[str, tuple[Formula, ...]] = {
    "Pelvis": (_HIPS,),
    "Torso": (_middle(_HIPS, _SHOULDERS),),
    "Neck": (_SHOULDERS,),
    "Head": _head_top(_SHOULDERS),
}
_HAS_HEAD = {name: formulas for name, formulas in _LIKE_COCO.items() if name != "Head"}

_NOSE_HEIGHT = 0.58
"""Where the nose is between neck and head top: between 0.52 and 0.63 in three sets of motion capture, 9 to 10 cm behind it.
The least-squares foot of the nose on that line; the head's yaw, which moves the nose off it, is not in such conventions."""

_NOSE: tuple[Formula, ...] = ({"Neck": 1 - _NOSE_HEIGHT, "Head": _NOSE_HEIGHT},)
_NECK_AND_HEAD: dict[str, tuple[Formula, ...]] = {
    "Pelvis": (_HIPS,),
    "Torso": (_middle(_HIPS, _NECK),),
    "Nose": _NOSE,
}

CONVERSIONS: dict[str, dict[str, tuple[Formula, ...]]] = {
    "human36": {},
    "coco": _LIKE_COCO,
    "body18": {"Pelvis": (_HIPS,), "Torso": (_middle(_HIPS, _NECK),), "Head": _head_top(_NECK)},
    "coco19": {"Torso": _MID_SPINE, "Head": _head_top(_NECK)},
    "body25": {"Torso": _MID_SPINE, "Head": _head_top(_NECK)},
    "body25b": _HAS_HEAD,
    "halpe26": {"Torso": _MID_SPINE},
    "halpe136": {"Torso": _MID_SPINE},
    "wholebody": _LIKE_COCO,
    "mediapipe": _LIKE_COCO,
    "mpii": {"Torso": _MID_SPINE, "Nose": _NOSE},
    "aic": _NECK_AND_HEAD,
    "crowdpose": _NECK_AND_HEAD,
    "human36_32": {},
}
"""Joint set -> Human3.6M joint -> formulas, of which the first whose sources are all present is used."""


def weighted_joint(
    xy: np.ndarray, scores: np.ndarray, names: tuple[str, ...], formulas: tuple[Formula, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """One joint from the first formula whose source joints all have a score above 0, chosen frame by frame.

    xy (..., J, 2), scores (..., J), names: J joint names. Returns xy (..., 2), NaN where no formula applies, and
    scores (...): the lowest score among the sources, 0 where no formula applies.
    """
    out, out_score = np.full(xy.shape[:-2] + (2,), np.nan), np.zeros(scores.shape[:-1])
    for formula in formulas:
        if (out_score > 0).all():
            break
        index = [names.index(name) for name in formula]
        weights = np.array(list(formula.values()))
        score = scores[..., index].min(-1)
        use = (out_score == 0) & (score > 0)
        out = np.where(use[..., None], (xy[..., index, :] * weights[:, None]).sum(-2), out)
        out_score = np.where(use, score, out_score)
    return out, out_score


def convert_joints(keypoints: np.ndarray, source: str) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints (..., J, 2 or 3) of joint set `source` to Human3.6M's 17: xy (..., 17, 2) and scores (..., 17).

    Last axis x, y and, if there, the score. A joint whose score is not above 0 or with any NaN is missing; what
    needs it becomes NaN with score 0. Coordinates may be in any unit; raises KeyError for an unknown set.
    """
    names = JOINT_SETS[source].names
    if keypoints.shape[-2] != len(names) or keypoints.shape[-1] not in (2, 3):
        raise ValueError(f"{source} keypoints are (..., {len(names)}, 2 or 3), got {keypoints.shape}")
    xy = np.asarray(keypoints[..., :2], np.float64)
    scores = np.asarray(keypoints[..., 2], np.float64) if keypoints.shape[-1] == 3 else np.ones(xy.shape[:-1])
    present = np.isfinite(xy).all(-1) & (scores > 0)
    xy, scores = np.where(present[..., None], xy, np.nan), np.where(present, scores, 0.0)
    same = [name for name in HUMAN36M_17.names if name not in CONVERSIONS[source]]
    here, there = [HUMAN36M_17.names.index(name) for name in same], [names.index(name) for name in same]
    joints = np.empty((*xy.shape[:-2], len(HUMAN36M_17), 2))
    joint_scores = np.empty(joints.shape[:-1])
    joints[..., here, :], joint_scores[..., here] = xy[..., there, :], scores[..., there]
    for name, formulas in CONVERSIONS[source].items():
        j = HUMAN36M_17.names.index(name)
        joints[..., j, :], joint_scores[..., j] = weighted_joint(xy, scores, names, formulas)
    return joints, joint_scores
