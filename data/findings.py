"""What `prepare_data.py check` reports, and what it measures on skeletons: their unit, and where their joints are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lib.joints import HUMAN36M_17

PLAUSIBLE_LEG = (250.0, 650.0)
"""Median length of thighs and shins, mm."""


@dataclass(frozen=True)
class Finding:
    """One line of the check. state: "ok", "note" (works, but look at it) or "wrong" (has to be mended)."""

    state: str
    text: str


def leg_lengths(joints: np.ndarray) -> np.ndarray:
    """Lengths (N, 4) of thighs and shins, right ones first, of joints (N, 17, 3) in Human3.6M's order, in their unit."""
    legs = [[HUMAN36M_17.names.index(f"{side}_{name}") for name in ("Hip", "Knee", "Ankle")] for side in "RL"]
    return np.concatenate([np.linalg.norm(np.diff(joints[:, leg], axis=1), axis=-1) for leg in legs], axis=1)


def check_units(label: str, legs: np.ndarray) -> Iterator[Finding]:
    """The lengths of shin and thigh distinguish millimetres from metres or centimetres, and one joint order from another."""
    if not PLAUSIBLE_LEG[0] < np.median(legs) < PLAUSIBLE_LEG[1]:
        yield Finding(
            "wrong",
            f"{label}: thighs and shins measure {np.median(legs):.3g}, expected about 450: joints in mm, Human3.6M's order",
        )


def skeleton_measures(joints: np.ndarray) -> dict[str, np.ndarray]:
    """Lengths by which one data set's joints can be told from another's, {words: (N,)}, of joints (N, 17, 3) mm.

    They say where hips, pelvis, torso, neck, nose and head of a data set are, whoever was recorded; docs/data.md compares
    them.
    """
    at = {name: joints[:, k] for k, name in enumerate(HUMAN36M_17.names)}

    def between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.linalg.norm(a - b, axis=-1)

    thighs = [between(at[f"{side}_Hip"], at[f"{side}_Knee"]) for side in "LR"]
    return {
        "thigh": np.mean(thighs, axis=0),
        "hip to hip": between(at["L_Hip"], at["R_Hip"]),
        "pelvis to the middle of the hips": between(at["Pelvis"], (at["L_Hip"] + at["R_Hip"]) / 2),
        "pelvis to torso": between(at["Pelvis"], at["Torso"]),
        "torso to neck": between(at["Torso"], at["Neck"]),
        "neck to nose": between(at["Neck"], at["Nose"]),
        "nose to head": between(at["Nose"], at["Head"]),
        "neck to head": between(at["Neck"], at["Head"]),
        "shoulder to shoulder": between(at["L_Shoulder"], at["R_Shoulder"]),
    }


def describe_skeleton(label: str, measures: Sequence[dict[str, np.ndarray]]) -> Finding:
    """The medians of all `skeleton_measures` of a split."""
    medians = {name: np.median(np.concatenate([m[name] for m in measures])) for name in measures[0]}
    return Finding("ok", f"{label}: median mm: " + ", ".join(f"{name} {value:.0f}" for name, value in medians.items()))
