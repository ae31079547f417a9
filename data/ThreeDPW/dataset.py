"""3DPW (von Marcard et al., ECCV 2018): people outdoors, recorded by a hand-held camera, with SMPL parameters."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from data.body_joints import BodyJoints
from data.source import Chunk, SmplFrames, Source, file_identity
from data.studio import MIN_DEPTH
from data.ThreeDPW.sequence import Actor, Sequence, read_sequence
from lib.camera import camera_to_pixel, world_to_camera
from lib.config import DatasetConfig
from lib.errors import UserError
from lib.joints import BODY_18, COCO_17, HUMAN36M_17
from lib.joints.conversion import convert_joints
from lib.joints.imputation import MAX_GAP, impute_from_body, impute_from_time
from smplpytorch.smplpytorch.body_model import BodyModel

RATE = 30.0
"""Frames per second of the videos."""

MAX_FROM_BODY = 6
"""Joints of one frame that may come from the rest of the body; frames with more missing have no detection."""

PUBLISHED_SEQUENCES = {"train": 24, "validation": 12, "test": 24}

COCO_FROM_OPENPOSE = [BODY_18.names.index(name) for name in COCO_17.names]
"""Columns of poses2d, which are BODY_18. Its neck is the middle of the shoulders; without it these are COCO's joints."""


@dataclass(frozen=True)
class ThreeDPWSource(Source):
    """Every frame of every actor whose camera is valid; actors are persons of their own.

    detections: "gt" (projected joints) or "openpose" (the file's detections; frames without are dropped and counted).
    """

    folder: Path
    joints: BodyJoints
    detections: str = "gt"
    drop_nan: bool = False
    protocol = "3dpw"
    genders = ("neutral", "male", "female")
    parts = tuple(PUBLISHED_SEQUENCES)

    @property
    def input2d(self) -> str:
        return "ground-truth" if self.detections == "gt" else f"detected ({self.detections})"

    def identity(self, split: str) -> list:
        return [
            self.detections,
            MAX_GAP,
            self.drop_nan,
            [file_identity(path) for path in self._files(split)],
            self.joints.identity(),
        ]

    def chunks(self, split: str, workers: int = 0, progress: bool = True) -> Iterator[Chunk]:
        actions: dict[str, int] = {}
        files = self._files(split)
        notes = ()
        if len(files) != PUBLISHED_SEQUENCES[split]:
            notes = (f"3DPW {split}: {len(files)} of the {PUBLISHED_SEQUENCES[split]} published sequences",)
        for path in tqdm(files, desc=f"3DPW {split}", disable=not progress):
            sequence = read_sequence(path, self.drop_nan)
            place = re.sub(r"_\d+$", "", sequence.name)
            action = actions.setdefault(place, len(actions))
            for number, actor in enumerate(sequence.actors):
                chunk = self._chunk(sequence, number, actor, {action: place})
                yield replace(chunk, notes=notes + chunk.notes)
                notes = ()

    def _files(self, split: str) -> list[Path]:
        folder = self.folder / "sequenceFiles" / split
        files = sorted(folder.glob("*.pkl"))
        if not files:
            raise UserError(f"{folder}: holds no .pkl file; see docs/data.md for where to get 3DPW and where to put it")
        return files

    def _chunk(self, sequence: Sequence, number: int, actor: Actor, action: dict[int, str]) -> Chunk:
        world = self.joints(actor.gender, actor.pose, np.tile(actor.betas, (len(actor.frame), 1)), actor.trans)
        joints = world_to_camera(world, actor.R, 1000 * actor.t)
        ahead = joints[..., 2].min(1, initial=np.inf) > MIN_DEPTH
        pixels, seen = self._input(sequence, actor, joints)
        rows = np.flatnonzero(ahead & seen)
        label = f"{sequence.name} actor {number}"
        counts = {
            "with NaN": actor.missing,
            "behind the camera": int((~ahead).sum()),
            "in which OpenPose found too few joints": int((ahead & ~seen).sum()),
        }
        notes = tuple(f"{label}: dropped {count} frames {why}" for why, count in counts.items() if count)
        lens, size = np.array([*sequence.f, *sequence.c]), np.array([sequence.width, sequence.height])
        return Chunk(
            names=np.array([f"{sequence.name}_actor_{number}_image_{f:05d}.jpg" for f in actor.frame[rows]], np.str_),
            actions=np.full(len(rows), next(iter(action))),
            action_names=action,
            sequences=np.zeros(len(rows), np.int64),
            sequence_names=(label,),
            frames=actor.frame[rows],
            joints=joints[rows],
            camera=np.tile(lens, (len(rows), 1)),
            image_size=np.tile(size, (len(rows), 1)),
            pixels=pixels[rows],
            smpl=SmplFrames(
                np.arange(len(rows)), actor.pose[rows], np.tile(actor.betas, (len(rows), 1)), actor.trans[rows],
                world[rows, 0], actor.R[rows], actor.gender, vertical(world),
            ),
            notes=notes + self.joints.notes(),
        )  # fmt: skip

    def _input(self, sequence: Sequence, actor: Actor, joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels (n, 17, 2) of the 2D input, and (n,) bool which frames have one."""
        if self.detections == "gt":
            safe = np.where(joints[..., 2:] > MIN_DEPTH, joints, 1.0)
            return camera_to_pixel(safe, sequence.f, sequence.c), np.ones(len(joints), bool)
        return openpose_joints(actor.detections, actor.frame)


def three_dpw(cfg: DatasetConfig, body: BodyModel) -> ThreeDPWSource:
    """The source under DATASET.data_dir/3DPW; DATASET.detections: gt or openpose."""
    if cfg.detections not in ("gt", "openpose"):
        raise UserError(f"DATASET.detections is {cfg.detections}; 3DPW comes with gt and openpose")
    data_dir = Path(cfg.data_dir)
    return ThreeDPWSource(data_dir / "3DPW", BodyJoints(body, data_dir), cfg.detections, cfg.nan_frames == "drop")


def vertical(world: np.ndarray) -> tuple[float, float, float]:
    """The axis of the world that people's own vertical is nearest to, from their joints (n, 17, 3) in world axes.

    The data set does not say which of its axes points up; over a recording people are upright.
    """
    at = {name: world[:, HUMAN36M_17.names.index(name)] for name in ("Neck", "R_Ankle", "L_Ankle")}
    upright = (at["Neck"] - (at["R_Ankle"] + at["L_Ankle"]) / 2).sum(0)
    axis = int(np.abs(upright).argmax())
    x, y, z = np.eye(3)[axis] * np.sign(upright[axis])
    return x, y, z


def openpose_joints(detections: np.ndarray, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """OpenPose's joints (n, 18, 3) px and score to the 17: xy (n, 17, 2) px, and (n,) bool which frames have them all.

    Joints that were missed are imputed from neighbouring frames, then from the rest of the body; frames in which that
    cannot be done have none: joints from a plausible pose, as a user's own keypoints get, would be no detections.
    """
    found = (detections[..., 2] > 0).any(1)
    xy, _ = convert_joints(detections[found][:, COCO_FROM_OPENPOSE], "coco")
    timed = impute_from_time(xy, frames[found], RATE)
    whole = impute_from_body(timed)
    usable = np.isfinite(whole).all((1, 2)) & (np.isnan(timed[..., 0]).sum(1) <= MAX_FROM_BODY)
    pixels, has = np.zeros((len(detections), *xy.shape[1:])), np.zeros(len(detections), bool)
    has[np.flatnonzero(found)[usable]] = True
    pixels[has] = whole[usable]
    return pixels, has
