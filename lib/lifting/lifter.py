"""From 2D keypoints to 3D poses, in Python; main/predict.py is the command for files and videos.

from lib.predict import Lifter
poses = Lifter()(keypoints, image_size=(1920, 1080), joint_set="coco")  # keypoints (T, 17, 3): x, y, score
poses.pose3d                                                             # (T, 17, 3), metres
"""

import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch import nn

from lib.config import Config, DatasetConfig, ModelConfig, TestConfig, config_from_dict
from lib.errors import PoseWarning, UserError
from lib.graph.scales import build_scales
from lib.joints import HUMAN36M_17, JOINT_SETS
from lib.lifting import DEFAULT_FPS, FPS_RANGE, MAX_IMAGE_SIDE, PRETRAINED
from lib.lifting.doubts import doubts
from lib.lifting.floor.ground import on_floor
from lib.lifting.keypoints.conventions import clearly_better, doubt_of
from lib.lifting.keypoints.prepare import PreparedPerson, prepare_people
from lib.lifting.keypoints.readers import Keypoints, xy_and_scores
from lib.lifting.pose_sequence import PoseSequence
from lib.lifting.quality import Quality, inverted, jitter, limb_spread, misfit
from lib.lifting.root_translation import with_root_translation
from lib.lifting.usable import mended
from lib.lifting.virtual_camera import intrinsics, virtual_camera
from lib.models.factory import build_fast_predictor, find_weights, load_network
from lib.models.inference import evaluate_in_parts
from smplpytorch.smplpytorch.body_model import BodyModel
from smplpytorch.smplpytorch.load_body import load_body

if TYPE_CHECKING:
    from lib.lifting.body_fitter import BodyFitter

Item = TypeVar("Item")

ROOT = Path(__file__).resolve().parents[2]
"""This checkout."""

JOINT_REGRESSOR = ROOT / "data" / "Human36M" / "J_regressor_h36m_correct.npy"
"""SMPL's vertices to Human3.6M's joints; only fitting SMPL needs it (docs/data.md)."""

LIFTED_AT_ONCE = 4096
"""Frames that are lifted together, which bounds what a long video takes."""


class Lifter:
    """The trained network, ready for use: 17 joints in 2D to 17 joints in 3D and, where the network has them, body meshes.

    weights: a checkpoint of this project or of the release, or a folder that holds some; device: where to compute;
    average_flip: lift the mirrored person too and average the joints (twice the work, about 1 mm less error; the meshes,
    whose nodes have no mirror partners, stay unchanged); smpl_dir: where SMPL's file is, which only weights of the
    release need, by default the place in this checkout that docs/data.md names. Nothing is written.

    On a CPU the network is run by ONNX Runtime if that is installed: up to 4 frames by one thread, which is fastest and
    steadiest where threads would mostly wait for each other; with more frames each thread computes a part of them, at most
    32 at a time. A GPU computes up to 4,096 at once. Nothing has to be tuned (`lib.models.inference`).
    """

    def __init__(
        self,
        weights: str | Path = PRETRAINED,
        device: str | torch.device = "cpu",
        average_flip: bool = False,
        smpl_dir: str | Path | None = None,
    ):
        model, self.faces, self._trained = _load(weights, smpl_dir)
        self._smpl_dir = ROOT / self._trained.smpl_dir if smpl_dir is None else Path(smpl_dir)
        self.average_flip = average_flip
        self.device = torch.device(device)
        self.network = build_fast_predictor(model, self.device, len(HUMAN36M_17))

    def __call__(
        self,
        keypoints: np.ndarray,
        image_size: tuple[int, int],
        joint_set: str = "human36",
        fps: float | None = None,
        camera: Sequence[float] | np.ndarray | None = None,
        frames: Sequence[int] | np.ndarray | None = None,
    ) -> PoseSequence | list[PoseSequence]:
        """Lift one person, or several.

        keypoints: (T, J, 2 or 3) for one person, (P, T, J, 2 or 3) for several: x, y in pixels and, if there, a score;
        a joint is missing where a value is NaN, the score is not above 0 or x = y = 0. image_size: (width, height) of the
        image in pixels; joint_set: a key of `lib.joints.JOINT_SETS`, docs/joints.md shows their order; fps: frames per
        second. With it the frames are one motion, in which left and right that a detector took for each other are exchanged
        back (`lib.lifting.swaps`); where it is None, DEFAULT_FPS is assumed. camera: f_x, f_y, c_x, c_y in pixels, if known;
        frames (T,): increasing frame numbers, by default 0, 1, 2, ...

        One person gives a PoseSequence with all T frames, several a list with one for each, in which frames without any
        joint of the person are skipped. pose3d (T, 17, 3) and meshes are in metres, camera axes, relative to the pelvis;
        with a camera `root` (T, 3) is the position of the pelvis, and frames without a place in front of it are skipped.
        UserError where the input cannot be used (docs/joints.md).

        What main/predict.py says in lines is a PoseWarning each: joints and frames that are left out, left and right exchanged
        back, joints that look like another joint_set, persons who jump, numbers of `quality` above their limits.
        """
        keypoints, image_size = _checked_keypoints(keypoints, joint_set), _checked_size(image_size)
        frames = _checked_frames(frames, keypoints.shape[-3])
        several = keypoints.ndim == 4
        given = [
            _keypoints_of(person, frames, image_size, joint_set, number, skip_empty=several)
            for number, person in enumerate(keypoints if several else keypoints[None])
        ]
        rate = _checked_fps(fps)
        lines = _other_convention(given)
        people, more = _each(lambda k: mended(k, fps), given)
        sequences = self.lift(prepare_people(people, rate), fps, camera)
        lines += more
        if camera is not None:
            sequences, more = _each(lambda sequence: with_root_translation(sequence, camera), sequences)
            lines += more
        for line in lines + doubts(sequences, motion=fps is not None):
            warnings.warn(line, PoseWarning, stacklevel=2)
        return sequences if several else sequences[0]

    def lift(
        self,
        people: list[PreparedPerson],
        fps: float | None = None,
        camera: Sequence[float] | np.ndarray | None = None,
        latest: bool = False,
    ) -> list[PoseSequence]:
        """Lift several persons in common batches; one sequence each, in the same order.

        fps, camera: as in `__call__`. latest: only the last frame of each person; those before only smooth the virtual
        camera's motion. Poses and meshes are moved so that the pelvis is exactly 0: the network puts it some millimetres
        beside.
        """
        assumed = ("fps",) * (fps is None) + ("camera",) * (camera is None)
        fps = _checked_fps(fps)
        views = [virtual_camera(p.pixels, p.image_size, camera, p.frames, fps) for p in people]
        if latest:
            people, views = [p.last() for p in people], [view.last() for view in views]
        pose3d, turned, *meshes = self._lifted(
            np.concatenate([view.pose2d for view in views]), np.concatenate([view.rotation for view in views])
        )
        ends = np.cumsum([len(p.frames) for p in people])[:-1]
        parts = zip(people, views, *(np.split(a, ends) for a in (pose3d, turned, *meshes)), strict=True)
        return [
            PoseSequence(
                pose3d=turned,
                pose2d=person.pixels,
                joint_set=HUMAN36M_17,
                fps=fps,
                image_size=person.image_size,
                person=person.person,
                scores=person.scores,
                imputed=person.imputed,
                meshes=tuple(persons_meshes),
                faces=self.faces,
                frames=person.frames,
                camera=intrinsics(camera, person.image_size),
                assumed=assumed,
                quality=Quality(
                    limb_spread(turned, HUMAN36M_17),
                    misfit(pose, view.pose2d),
                    inverted(person.pixels, HUMAN36M_17),
                    jitter(turned, person.frames, fps),
                    float(person.imputed.mean()),
                ),
            )
            for person, view, pose, turned, *persons_meshes in parts
        ]

    def fit(self, sequence: PoseSequence, height: float | None = None, smoothness: float = 0.0) -> PoseSequence:
        """Fit an SMPL-style body to a sequence of this lifter: `body` of the result, one shape and a pose per frame.

        pose3d and meshes of the result are those of the body, so limbs have one length; `body.residual` is how far they are
        from what the network gave. height: how tall the person is, metres; everything is scaled to it. smoothness: seconds
        over which joints turn smoothly, 0 for each frame by itself; or smooth the sequence first (`lib.lifting.smoothing`).

        The body is the one that the network was trained on: the built-in one, or SMPL where its file is. UserError where it is
        not there, where the network has no trained meshes (docs/body.md), and for a height or smoothness that means nothing.
        """
        return self._body_fitter(sequence, height, smoothness)

    def on_floor(
        self, sequences: list[PoseSequence], up: Sequence[float] | None = None
    ) -> tuple[list[PoseSequence], list[str]]:
        """Put the people of one clip on the floor: level axes with the floor at y = 0, a root's way that follows planted feet,
        and feet that neither slide nor sink; with lines about skipped frames.

        For a camera that stands still. Roots come from the camera that the people were lifted with, known or assumed. up (3,):
        the vertical in camera axes, estimated where it is None. With fitted bodies heels and toes are planted, else ankles.
        `floor` of each result states the vertical, the height and their uncertainty, `extras` the contacts (docs/body.md).
        UserError where nobody can be placed in front of the camera.
        """
        if all(sequence.body is not None for sequence in sequences):
            feet = self._body_fitter.feet
            return on_floor(sequences, up, feet, feet.plant)
        return on_floor(sequences, up)

    @cached_property
    def _body_fitter(self) -> "BodyFitter":
        from lib.lifting.body_fitter import build_fitter

        faces = self.faces if self._trained.mesh_loss_weight > 0 else ()
        levels = self._trained.coarsen_levels
        return build_fitter(faces, levels, self._smpl_dir, JOINT_REGRESSOR, self.device)

    def require_body(self) -> BodyModel:
        """The body that `fit` fits. UserError as in `fit`: for use before long computations."""
        return self._body_fitter.model

    def _lifted(self, pose2d: np.ndarray, rotation: np.ndarray) -> list[np.ndarray]:
        """Network's inputs (N, 17, 2) and the rotations (N, 3, 3) of their virtual cameras to what a sequence holds.

        The pose (N, 17, 3) in the virtual camera's axes, the same in the real camera's, float64, and there the meshes
        (N, R, 3) float32, metres relative to the pelvis. Beside these results only LIFTED_AT_ONCE frames take memory.
        """
        results: list[np.ndarray] = []
        for start in range(0, len(pose2d), LIFTED_AT_ONCE):
            rows = slice(start, start + LIFTED_AT_ONCE)
            outputs = self._run(pose2d[rows])
            pose3d, *meshes = (points - outputs[0][:, [HUMAN36M_17.root]] for points in outputs)
            part = [pose3d, *(points @ rotation[rows] for points in (pose3d, *meshes))]
            if not results:
                kinds = [np.float64, np.float64] + [np.float32] * len(meshes)
                results = [np.empty((len(pose2d), *a.shape[1:]), kind) for a, kind in zip(part, kinds, strict=True)]
            for whole, values in zip(results, part, strict=True):
                whole[rows] = values
        return results

    def _run(self, pose2d: np.ndarray) -> list[np.ndarray]:
        """pose2d (N, 17, 2) to [pose3d (N, 17, 3), a mesh (N, R, 3) per scale], float64 metres."""
        inputs = torch.as_tensor(pose2d, device=self.device)
        output = evaluate_in_parts(self.network, inputs)
        pose3d, *meshes = (points.double().cpu().numpy() for points in (output.pose3d, *output.meshes))
        if self.average_flip:
            partner = HUMAN36M_17.flip_permutation
            mirrored = (inputs * inputs.new_tensor([-1.0, 1.0]))[:, partner]
            again = evaluate_in_parts(self.network, mirrored).pose3d.double().cpu().numpy()
            pose3d = (pose3d + again[:, partner] * [-1.0, 1.0, 1.0]) / 2
        return [pose3d, *meshes]


def load_model(weights: str | Path, smpl_dir: str | Path | None = None) -> tuple[nn.Module, tuple[np.ndarray, ...]]:
    """The network of a checkpoint, or of the best one in a folder, and the faces (F, 3) of each of its meshes.

    smpl_dir: where SMPL's file is, for weights of the release; None: its place in this checkout.
    """
    model, faces, _ = _load(weights, smpl_dir)
    return model, faces


def checkpoint_file(weights: str | Path) -> Path:
    """The checkpoint that `weights` means: a file, or the best or final one in a folder."""
    try:
        return find_weights(_config_of(weights))
    except UserError:
        ours = " (this project's own belong there)" if Path(weights) == PRETRAINED else ""
        raise UserError(f"no .pth.tar file at {weights}{ours}; name a checkpoint with --weights PATH") from None


def _config_of(weights: str | Path) -> Config:
    return Config(DATASET=DatasetConfig((), ()), TEST=TestConfig(weight_path=str(weights)))


def _load(weights: str | Path, smpl_dir: str | Path | None) -> tuple[nn.Module, tuple[np.ndarray, ...], ModelConfig]:
    """As `load_model`, and the MODEL section that the network was trained with."""
    path, cfg = checkpoint_file(weights), _config_of(weights)

    def scales_of_the_body():
        body = load_body(ROOT / cfg.MODEL.smpl_dir if smpl_dir is None else smpl_dir)
        return build_scales(HUMAN36M_17, body.faces, cfg.MODEL.coarsen_levels)

    model, scales, content = load_network(path, cfg, scales_of_the_body)
    names = tuple(content.get("joint_names", HUMAN36M_17.names))
    if names != HUMAN36M_17.names:
        raise UserError(f"{path}: was trained on other joints ({', '.join(names[:3])}, ...), Human3.6M's 17 are needed")
    trained = config_from_dict(content["config"], path).MODEL if "config" in content else cfg.MODEL
    return model, tuple(scale.faces for scale in scales[1:] if scale.faces is not None), trained


def _each(use: Callable[[Item], tuple[Item, list[str]]], items: Iterable[Item]) -> tuple[list[Item], list[str]]:
    """What becomes of the items, and the lines about all of them."""
    results = [use(item) for item in items]
    return [result for result, _ in results], [line for _, lines in results for line in lines]


def _other_convention(people: list[Keypoints]) -> list[str]:
    """A line where the people's joints clearly look like those of another convention."""
    name = people[0].joint_set
    values = np.concatenate([np.concatenate([k.xy, k.scores[..., None]], axis=-1) for k in people])
    better = clearly_better(values, name)
    return [] if better is None else [f"{doubt_of(name, better)}; give joint_set={better!r}"]


def _checked_keypoints(keypoints: np.ndarray, joint_set: str) -> np.ndarray:
    """(T, J, 2 or 3) or (P, T, J, 2 or 3) float64; UserError for anything else."""
    if joint_set not in JOINT_SETS:
        raise UserError(f"unknown keypoint convention {joint_set}; known are {', '.join(JOINT_SETS)}")
    count = len(JOINT_SETS[joint_set])
    try:
        keypoints = np.asarray(keypoints, np.float64)
    except (TypeError, ValueError):
        raise UserError("keypoints: an array of numbers is needed") from None
    shape = keypoints.shape
    if len(shape) not in (3, 4) or shape[-2] != count or shape[-1] not in (2, 3) or not keypoints.size:
        raise UserError(
            f"keypoints of shape {shape}; {joint_set} needs (frames, {count}, 2 or 3) or "
            f"(persons, frames, {count}, 2 or 3)"
        )
    return keypoints


def _checked_size(image_size: Sequence[int]) -> tuple[int, int]:
    """(width, height) as whole numbers within reason."""
    try:
        width, height = (int(n) for n in image_size)
        sensible = all(0 < n <= MAX_IMAGE_SIDE for n in (width, height))
    except (TypeError, ValueError, OverflowError):
        sensible = False
    if not sensible:
        raise UserError(f"image size {image_size}: two numbers are needed, width and height in pixels")
    return width, height


def _checked_fps(fps: float | None) -> float:
    """Frames per second, DEFAULT_FPS where it is None; UserError for what is no rate."""
    fps = DEFAULT_FPS if fps is None else fps
    if not FPS_RANGE[0] <= fps <= FPS_RANGE[1]:
        raise UserError(f"{fps:g} frames per second: must be {FPS_RANGE[0]:g} to {FPS_RANGE[1]:g}")
    return fps


def _checked_frames(frames: Sequence[int] | np.ndarray | None, count: int) -> np.ndarray:
    """(T,) int, increasing."""
    numbers = np.arange(count) if frames is None else np.asarray(frames)
    if numbers.shape != (count,) or numbers.dtype.kind not in "iu" or (np.diff(numbers) <= 0).any():
        raise UserError(f"frames: {count} increasing whole numbers are needed, one for each row of the keypoints")
    return numbers.astype(np.int64)


def _keypoints_of(
    keypoints: np.ndarray,
    frames: np.ndarray,
    image_size: tuple[int, int],
    joint_set: str,
    person: int,
    skip_empty: bool,
) -> Keypoints:
    """An array (T, J, 2 or 3) of one person as `lib.lifting.keypoints.readers` would have read it from a file."""
    values = np.ones((*keypoints.shape[:2], 3))
    values[..., : keypoints.shape[2]] = keypoints
    xy, scores = xy_and_scores(values)
    if not scores.any():
        why = "every joint is missing" if (values[..., 2] > 0).any() else "no score is above 0"
        raise UserError(f"keypoints of person {person}: {why}")
    rows = scores.any(1) if skip_empty else np.ones(len(frames), bool)
    return Keypoints(person, frames[rows], xy[rows], scores[rows], joint_set, image_size, "keypoints")
