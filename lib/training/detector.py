"""Input as a 2D detector and `lib.lifting` make it: keypoints on the body's surface, misplaced, converted to 17 joints."""

from dataclasses import dataclass

import numpy as np
import torch

from lib.device import to_device
from lib.joints import HUMAN36M_17, JOINT_SETS
from lib.joints.conversion import convert_joints
from lib.joints.imputation import impute_from_body
from lib.pose_table import PoseTable
from lib.training.people import PeopleMaker

DETECTED_SETS = ("coco", "body25", "halpe26")
"""The keypoint conventions of people's detectors."""

KEYPOINTS = tuple(dict.fromkeys(name for s in DETECTED_SETS for name in JOINT_SETS[s].names))
"""All keypoints of these conventions; each sample uses those of one."""

_MISSING = (
    ("Ear",), ("L_Ear", "L_Eye"), ("Eye", "Ear"), ("Nose", "Eye"), ("L_Wrist",),
    ("L_Elbow", "L_Wrist"), ("L_Ankle",), ("L_Knee", "L_Ankle"), ("L_Ear",), ("L_Hip",), ("L_Shoulder",), ("L_Elbow",),
    ("L_Knee",), ("L_Wrist", "L_Ear"), ("L_Ear", "L_Eye", "L_Shoulder", "L_Elbow", "L_Wrist"),
)  # fmt: skip
"""Keypoints that get lost together, of both sides where none is named; the same holds for the right side."""

_SPREAD = {
    "Nose": 0.5, "Eye": 0.5, "Ear": 0.7, "Shoulder": 0.9, "Elbow": 1.0, "Wrist": 1.4, "Hip": 1.2, "Knee": 1.0, "Ankle": 1.3,
    "Neck": 0.8, "Pelvis": 1.0, "Head": 0.8,
}  # fmt: skip
_LIMB_ENDS = ("Elbow", "Wrist", "Knee", "Ankle")


@dataclass(frozen=True)
class DetectorErrors:
    """How a detector errs. std: standard deviation of a usual joint, over the larger side of the person's box (1 % of a
    standing person is 17 mm); quality: standard deviation of its logarithm from image to image; coarse: fraction of joints
    with four times the error; legs, arms, all: fraction of images in which left and right change places there; pulled: fraction
    of elbows, wrists, knees and ankles found on the other limb; outlier: fraction of joints anywhere in the box; missing:
    fraction of images in which some keypoints are missing and imputed."""

    std: float = 0.008
    quality: float = 0.6
    coarse: float = 0.04
    legs: float = 0.012
    arms: float = 0.008
    all: float = 0.004
    pulled: float = 0.006
    outlier: float = 0.003
    missing: float = 0.3


class Detector:
    """17 joints from a person's joints and landmarks in 2D; landmark_names (L,): see `FlexibleBody`."""

    def __init__(
        self, landmark_names: tuple[str, ...], device: torch.device | str, errors: DetectorErrors | None = None
    ):
        self.errors = errors or DetectorErrors()

        def tensor(values: np.ndarray, dtype: torch.dtype = torch.float32) -> torch.Tensor:
            return torch.as_tensor(values).to(device, dtype)

        self.sources = tensor(keypoint_sources(landmark_names))  # (K, 17 + L)
        self.spread = tensor(np.array([_SPREAD.get(name.split("_")[-1], 1.0) for name in KEYPOINTS]))
        partner = [_other_side(name) for name in KEYPOINTS]
        self.partner = tensor(np.array([KEYPOINTS.index(name) for name in partner]), torch.long)
        part = [name.split("_")[-1] for name in KEYPOINTS]
        self.leg = tensor(np.isin(part, ("Hip", "Knee", "Ankle")), torch.bool)
        self.arm = tensor(np.isin(part, ("Shoulder", "Elbow", "Wrist")), torch.bool)
        self.limb_end = tensor(np.isin(part, _LIMB_ENDS), torch.bool)
        whole, partial = conversion_matrices()
        self.whole, self.partial = tensor(whole), tensor(partial)

    def __call__(self, joints: torch.Tensor, landmarks: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """(B, 17, 2) from joints (B, 17, 2) and landmarks (B, L, 2), all normalized image coordinates."""
        keypoints = self.misplace(self.sources @ torch.cat([joints, landmarks], dim=1), joints, generator)
        B, device, e = len(joints), joints.device, self.errors
        which = to_device(torch.rand(B, 3, generator=generator), device)
        whole = self.whole[(which[:, 1] * len(self.whole)).long()]
        partial = self.partial[(which[:, 2] * len(self.partial)).long()]
        return torch.where((which[:, 0] < e.missing)[:, None, None], partial, whole) @ keypoints

    def misplace(self, keypoints: torch.Tensor, joints: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Keypoints (B, K, 2) with a detector's errors; the box is that of joints (B, 17, 2)."""
        B, K, device, e = len(keypoints), len(KEYPOINTS), keypoints.device, self.errors
        draws = to_device(torch.rand(B, K, 5, generator=generator), device)
        noise = to_device(torch.randn(B, K + 1, 2, generator=generator), device)
        low, high = joints.amin(1, keepdim=True), joints.amax(1, keepdim=True)
        box = high - low
        swap = draws[:, 0, 4:]  # one number for the image
        swapped = (swap < e.all) | (swap > 1 - e.legs) & self.leg | ((swap - 0.5).abs() < e.arms / 2) & self.arm
        swapped |= (draws[..., 0] < e.pulled) & self.limb_end
        keypoints = torch.where(swapped[..., None], keypoints[:, self.partner], keypoints)
        std = e.std * torch.exp(e.quality * noise[:, K:, :1]) * box.amax(-1, keepdim=True)
        std = std * torch.where(draws[..., 1] < e.coarse, 4.0, 1.0)[..., None] * self.spread[:, None]
        keypoints = keypoints + std * noise[:, :K]
        outlier = (draws[..., 2] < e.outlier)[..., None]
        anywhere = low + box * torch.stack([draws[..., 3], draws[..., 0]], -1)
        return torch.where(outlier, anywhere, keypoints)


def detect(table: PoseTable, people: PeopleMaker, joint_set: str, seed: int = 0) -> np.ndarray:
    """What a detector of convention `joint_set` finds in the images of a table all of whose samples have SMPL parameters.

    people: made of that table. Returns (N, J, 2) pixels, the same for the same seed; none is missing.
    """
    with torch.no_grad():
        pose3d, root = (torch.as_tensor(np.array(a)) for a in (table.pose3d, table.root))
        rows = torch.arange(len(table))
        marks = people.landmarks(rows, torch.zeros(len(table), dtype=torch.bool), pose3d)
        seen = torch.cat([pose3d, marks], dim=1) + root[:, None]
        f, c = (torch.as_tensor(np.array(table.camera[:, i : i + 2]))[:, None] for i in (0, 2))
        pixels = seen[..., :2] / seen[..., 2:] * f + c
        detector = Detector(people.body.landmark_names, "cpu")
        generator = torch.Generator().manual_seed(seed)
        found = detector.misplace(detector.sources @ pixels, pixels[:, : pose3d.shape[1]], generator)
    return found[:, [KEYPOINTS.index(name) for name in JOINT_SETS[joint_set].names]].numpy()


def keypoint_sources(landmark_names: tuple[str, ...]) -> np.ndarray:
    """(K, 17 + L): each of KEYPOINTS as a weighted sum of Human3.6M joints and landmarks.

    A landmark where there is one, else the joint of the same name; the detectors' necks and pelvises are the middles of
    their shoulders and hips.
    """
    names = (*HUMAN36M_17.names, *landmark_names)
    last = {name: i for i, name in enumerate(names)}  # a landmark hides the joint of its name
    sources = np.zeros((len(KEYPOINTS), len(names)))
    for k, name in enumerate(KEYPOINTS):
        ends = {"Neck": ("L_Shoulder", "R_Shoulder"), "Pelvis": ("L_Hip", "R_Hip")}.get(name, (name,))
        for end in ends:
            sources[k, last[end]] += 1 / len(ends)
    return sources


def conversion_matrices() -> tuple[np.ndarray, np.ndarray]:
    """What lib.joints makes of keypoints, as matrices (17, K): whole (S, 17, K), one for each of DETECTED_SETS with nothing
    missing, and partial (P, 17, K), one for each of them and each of the keypoints that get lost together.

    Conversion and imputation are linear in the keypoints once it is known which are missing. So their own code, applied
    to unit vectors, gives the matrix.
    """
    whole, partial = [], []
    for joint_set in DETECTED_SETS:
        whole.append(conversion_matrix(joint_set, ()))
        for lost in _MISSING:
            for side in ("L", "R"):
                names = tuple(name if side == "L" else _other_side(name) for name in lost)
                partial.append(conversion_matrix(joint_set, names))
    return np.stack(whole), np.stack(partial)


def conversion_matrix(joint_set: str, missing: tuple[str, ...]) -> np.ndarray:
    """(17, K): the joints from KEYPOINTS of which those named, or ending so, are missing."""
    names = JOINT_SETS[joint_set].names
    lost = [any(name == m or name.endswith("_" + m) for m in missing) for name in names]
    units = np.repeat(np.eye(len(names))[..., None], 2, axis=2)  # (J, J, 2): unit vector, joint, coordinate
    units[:, lost] = np.nan
    joints = impute_from_body(convert_joints(units, joint_set)[0])[..., 0]  # (J, 17)
    matrix = np.zeros((joints.shape[1], len(KEYPOINTS)))
    kept = np.flatnonzero(~np.array(lost))
    matrix[:, [KEYPOINTS.index(names[j]) for j in kept]] = joints[kept].T
    return matrix


def _other_side(name: str) -> str:
    return {"L_": "R_", "R_": "L_"}.get(name[:2], name[:2]) + name[2:]
