"""Annotations of procedural motions in Human3.6M's format, for machines without the licensed data."""

import json
import shutil
from pathlib import Path
from uuid import uuid4

import numpy as np
import torch
from tqdm import tqdm

from data.Human36M.annotations import Motion, write_subject
from data.Human36M.dataset import SPLITS
from data.studio import studio_cameras
from data.Synthetic.kinematics import Skeleton
from data.Synthetic.motions import ACTIONS, motion
from lib.errors import UserError
from smplpytorch.smplpytorch.body_model import BodyModel
from smplpytorch.smplpytorch.pytorch.smpl_layer import SMPL_Layer

FIRST_ACTION = 2  # Human3.6M's action_idx of Directions
FRAME_STEP = 5  # of the 50 Hz frames the readers take one in 5 for training and one in 50 for testing
MARKER = "synthetic.json"
VERSION = 1  # to be raised whenever the same arguments give other motions


def generate(
    folder: Path,
    body: BodyModel,
    train_frames: int = 14,
    test_frames: int = 30,
    subactions: int = 2,
    seed: int = 0,
    progress: bool = True,
) -> None:
    """Write to `folder` the four annotation files of each of Human3.6M's seven subjects and the file `MARKER`.

    train_frames, test_frames: frames per motion at 10 Hz for the subjects of either split, numbered 5, 10, 15, ... as
    of a 50 Hz recording; subactions: motions per subject and action. Every motion is drawn from its own stream of
    `seed`, and the same arguments give the same bytes. A folder that these arguments have made before is left as it
    is, one that other arguments have made is replaced. The files are made in a folder beside it, which is renamed when
    all are there, so an interruption at any time leaves no folder that looks complete.

    Raises UserError where the body has no regressor of Human3.6M's joints or `folder` holds files of another origin.
    """
    folder = Path(folder)
    if body.joint_regressor is None:
        raise UserError(f"{body.source}: has no regressor of the Human3.6M joints; generate with the built-in body")
    recipe = {
        "version": VERSION,
        "body": body.digest(),
        "train_frames": train_frames,
        "test_frames": test_frames,
        "subactions": subactions,
        "seed": seed,
    }
    if _made_by(folder) == recipe:
        return
    partial = folder.with_name(f".{folder.name}.{uuid4().hex[:8]}.partial")
    partial.mkdir(parents=True)
    try:
        layer = SMPL_Layer(body, torch.float64)
        frames_of = dict.fromkeys(SPLITS["train"].subjects, train_frames)
        frames_of |= dict.fromkeys(SPLITS["test"].subjects, test_frames)
        with tqdm(total=len(frames_of) * len(ACTIONS), desc="synthetic motions", disable=not progress) as bar:
            for subject, frames in frames_of.items():
                betas = person(subject, body, seed)
                motions = []
                for offset, name in enumerate(ACTIONS):
                    action = (subject, FIRST_ACTION + offset, name)
                    motions += act(layer, body.joint_regressor, betas, action, subactions, frames, seed)
                    bar.update()
                write_subject(partial, motions, studio_cameras(100 * seed + subject))
        (partial / MARKER).write_text(json.dumps(recipe, indent=1) + "\n")
        _put_in_place(partial, folder, recipe)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def person(subject: int, body: BodyModel, seed: int) -> np.ndarray:
    """(S,) betas of a subject, all within (-2, 2)."""
    rng = np.random.default_rng([seed, subject])
    return np.round(np.clip(rng.normal(0, 0.8, body.shapedirs.shape[-1]), -1.9, 1.9), 5)


def act(
    layer: SMPL_Layer,
    joint_regressor: np.ndarray,
    betas: np.ndarray,
    action: tuple[int, int, str],
    subactions: int,
    frames: int,
    seed: int,
) -> list[Motion]:
    """The motions of one person and action = (subject, action_idx, action_name), `frames` frames at 10 Hz each.

    The lowest vertex of every frame is on the floor, and the joints are regressed from the mesh of exactly the
    parameters that are written, that is, of the rounded ones.
    """
    subject, action_idx, name = action
    betas_row = torch.as_tensor(betas)[None]
    with torch.inference_mode():
        vertices, joints = layer(torch.zeros(1, 3 * len(layer.parents), dtype=torch.float64), betas_row)
    skeleton = Skeleton(joints[0].numpy(), float(vertices[0, :, 1].min()))
    clips = []
    for subaction in range(1, subactions + 1):
        rng = np.random.default_rng([seed, subject, action_idx, subaction])
        pose, transl = motion(name, frames * FRAME_STEP, skeleton, rng)
        clips.append((pose[FRAME_STEP - 1 :: FRAME_STEP], transl[FRAME_STEP - 1 :: FRAME_STEP]))
    pose, transl = (np.concatenate(part) for part in zip(*clips, strict=True))
    pose = np.round(pose.reshape(len(pose), -1), 5)
    with torch.inference_mode():
        vertices, _ = layer(torch.as_tensor(pose), betas_row.expand(len(pose), -1))
    vertices = vertices.numpy()
    transl[:, 2] = -vertices[..., 2].min(1)
    transl = np.round(transl, 6)
    joints = 1000 * (joint_regressor @ vertices + transl[:, None])
    numbers = np.arange(1, frames + 1) * FRAME_STEP
    return [
        Motion(subject, action_idx, k + 1, name, numbers, joints[part], pose[part], betas, transl[part])
        for k, part in enumerate(slice(k * frames, (k + 1) * frames) for k in range(subactions))
    ]


def _made_by(folder: Path) -> dict | None:
    """The arguments that made `folder`, or None where there is no such folder or an empty one."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    try:
        return json.loads((folder / MARKER).read_text())
    except (OSError, ValueError):
        message = f"{folder}: holds files but no readable {MARKER}, so it was not made here; remove it or name another"
        raise UserError(message) from None


def _put_in_place(partial: Path, folder: Path, recipe: dict) -> None:
    """Rename the finished folder; where another process was faster with the same recipe, keep that one's."""
    if _made_by(folder) not in (None, recipe):
        # Out of sight first: a removal that is cut short must not leave a part of the older set under this name.
        old = partial.with_suffix(".old")
        folder.rename(old)
        shutil.rmtree(old, ignore_errors=True)
    try:
        partial.replace(folder)
    except OSError:
        if _made_by(folder) != recipe:
            raise
