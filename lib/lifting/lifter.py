"""From 2D keypoints to 3D poses, in Python; main/predict.py is the command for files and videos.

from lib.predict import Lifter
poses = Lifter()(keypoints, image_size=(1920, 1080), joint_set="coco")  # keypoints (T, 17, 3): x, y, score
poses.pose3d                                                             # (T, 17, 3), metres
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from lib.config import Config, DatasetConfig, TestConfig
from lib.errors import UserError
from lib.graph.hierarchy import build_hierarchy
from lib.joints import HUMAN36M_17, JOINT_SETS
from lib.joints.conversion import convert_joints
from lib.joints.imputation import MAX_FROM_BODY, frame_ranges, impute_from_body, impute_from_time
from lib.lifting.keypoints.prepare import PreparedPerson, prepare_people
from lib.lifting.keypoints.readers import Keypoints
from lib.lifting.pose_sequence import PoseSequence
from lib.lifting.root_translation import fit_root_translation
from lib.lifting.smoothing import one_euro
from lib.lifting.virtual_camera import virtual_camera
from lib.models.factory import build_predictor, find_weights, load_network
from lib.models.inference import evaluate_in_parts
from smplpytorch.smplpytorch.load_body import load_body

PRETRAINED = Path(__file__).resolve().parents[2] / "experiment" / "HGN_mocap_pretrained"
"""The project's own weights."""

DEFAULT_FPS = 25.0

MIN_USABLE = 0.5
"""Part of a person's frames that must be usable; a person with fewer is left out."""

PAUSE = 5
"""A gap of more than this many usual steps between two frames is not smoothed over."""


class Lifter:
    """The trained network, ready for use: 17 joints in 2D to 17 joints in 3D and, where the network has them, body meshes.

    weights: a checkpoint of this project or of the release, or a folder that holds some; device: where to compute;
    average_flip: lift the mirrored person too and average the joints (twice the work, a few mm less error; the meshes,
    whose nodes have no mirror partners, stay as they are).
    """

    def __init__(
        self, weights: str | Path = PRETRAINED, device: str | torch.device = "cpu", average_flip: bool = False
    ):
        model, self.faces = load_model(weights)
        self.average_flip = average_flip
        self.device = torch.device(device)
        self.network = build_predictor(model).to(self.device)

    def __call__(
        self,
        keypoints: np.ndarray,
        image_size: tuple[int, int],
        joint_set: str = "human36",
        fps: float = DEFAULT_FPS,
        camera: Sequence[float] | None = None,
    ) -> PoseSequence:
        """Lift one person.

        keypoints (T, J, 2 or 3): x, y in pixels and, if there, a score; a joint is missing where a value is NaN, the
        score is not above 0 or x = y = 0. image_size: (width, height) of the picture in pixels; joint_set: a key of
        `lib.joints.JOINT_SETS`, docs/joints.md shows their order; camera: f_x, f_y, c_x, c_y in pixels, if known.
        The result's pose3d (T, 17, 3) and meshes are in metres, camera axes, relative to the pelvis; with a camera its
        `root` (T, 3) says where the pelvis is. UserError where the input cannot be used, as docs/joints.md tells.
        """
        person = prepare_people([_keypoints_of(keypoints, image_size, joint_set)])[0]
        sequence = self.lift([person], fps, camera)[0]
        return sequence if camera is None else with_root_translation(sequence, camera)[0]

    def lift(
        self, people: list[PreparedPerson], fps: float = DEFAULT_FPS, camera: Sequence[float] | None = None
    ) -> list[PoseSequence]:
        """Lift several persons in common batches; one sequence each, in the same order.

        Poses and meshes are moved so that the pelvis is exactly 0: the network puts it some millimetres beside.
        """
        views = [virtual_camera(p.pixels, p.image_size, camera) for p in people]
        outputs = self._run(np.concatenate([view.pose2d for view in views]))
        root = outputs[0][:, [HUMAN36M_17.root]]
        pose3d, *meshes = (points - root for points in outputs)
        ends = np.cumsum([len(p.frames) for p in people])[:-1]
        parts = zip(people, views, *(np.split(a, ends) for a in (pose3d, *meshes)), strict=True)
        return [
            PoseSequence(
                pose3d=pose @ view.rotation,
                pose2d=person.pixels,
                joint_set=HUMAN36M_17,
                fps=fps,
                image_size=person.image_size,
                person=person.person,
                scores=person.scores,
                imputed=person.imputed,
                meshes=tuple(mesh @ view.rotation for mesh in persons_meshes),
                faces=self.faces,
                frames=person.frames,
            )
            for person, view, pose, *persons_meshes in parts
        ]

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


def load_model(weights: str | Path) -> tuple[nn.Module, tuple[np.ndarray, ...]]:
    """The network of a checkpoint, or of the best one in a folder, and the faces (F, 3) of each of its meshes."""
    cfg = Config(DATASET=DatasetConfig((), ()), TEST=TestConfig(weight_path=str(weights)))
    try:
        path = find_weights(cfg)
    except UserError:
        ours = " (this project's own belong there)" if Path(weights) == PRETRAINED else ""
        raise UserError(f"no .pth.tar file at {weights}{ours}; name a checkpoint with --weights PATH") from None
    model, scales, content = load_network(path, cfg, lambda: build_hierarchy(cfg, load_body(cfg.MODEL.smpl_dir).faces))
    names = tuple(content.get("joint_names", HUMAN36M_17.names))
    if names != HUMAN36M_17.names:
        raise UserError(f"{path}: was trained on other joints ({', '.join(names[:3])}, ...), Human3.6M's 17 are needed")
    return model, tuple(scale.faces for scale in scales[1:])


def prepare_usable(people: list[Keypoints]) -> tuple[list[PreparedPerson], list[str]]:
    """`prepare_people` without the frames and persons that cannot be used, and a line for each about what was left out.

    A person of whom less than MIN_USABLE of the frames can be completed is left out whole.
    """
    prepared, notes = [], []
    for whole in people:
        part = whole
        while not (rows := _completable(part)).all():
            part = _take(part, rows)
        enough = len(part.frames) >= MIN_USABLE * len(whole.frames)
        try:
            prepared += prepare_people([part if enough else whole])
        except UserError as problem:
            notes.append(f"left out: {problem}")
            continue
        if part is not whole:
            lost = np.setdiff1d(whole.frames, part.frames)
            notes.append(f"person {whole.person}: too few joints, so left out: {frame_ranges(lost)}")
    return prepared, notes


def with_root_translation(sequence: PoseSequence, camera: Sequence[float]) -> tuple[PoseSequence, list[str]]:
    """The sequence with the root's place before the camera (f_x, f_y, c_x, c_y, px), and what was left out for it.

    Frames whose place cannot be found are left out; UserError where that is all of them.
    """
    f, c = np.array(camera[:2]), np.array(camera[2:])

    def fit(s: PoseSequence) -> np.ndarray:
        return fit_root_translation(s.pose3d, s.pose2d, s.scores, f, c)

    try:
        return replace(sequence, root=fit(sequence)), []
    except UserError as problem:
        good = np.zeros(len(sequence.frames), bool)
        for t in range(len(good)):
            try:
                fit(_rows(sequence, [t]))
                good[t] = True
            except UserError:
                continue
        if not good.any():
            raise UserError(f"person {sequence.person}: {problem}") from None
    lost = f"person {sequence.person}: no place before the camera, so left out: {frame_ranges(sequence.frames[~good])}"
    kept = _rows(sequence, good)
    return replace(kept, root=fit(kept)), [lost]


def smoothed(sequence: PoseSequence) -> PoseSequence:
    """The sequence with pose, root and meshes filtered over time (lib.lifting.smoothing.one_euro), anew after each pause."""
    steps = np.diff(sequence.frames)
    step = float(np.median(steps)) if len(steps) else 1.0
    starts = np.flatnonzero(steps > PAUSE * step) + 1

    def smooth(points: np.ndarray) -> np.ndarray:
        return np.concatenate([one_euro(part, sequence.fps / step) for part in np.split(points, starts)])

    root = None if sequence.root is None else smooth(sequence.root[:, None])[:, 0]
    meshes = tuple(smooth(mesh) for mesh in sequence.meshes)
    return replace(sequence, pose3d=smooth(sequence.pose3d), root=root, meshes=meshes)


def _keypoints_of(keypoints: np.ndarray, image_size: tuple[int, int], joint_set: str) -> Keypoints:
    """An array of one person as `lib.lifting.keypoints.readers` would have read it from a file."""
    if joint_set not in JOINT_SETS:
        raise UserError(f"unknown joint set {joint_set}; known are {', '.join(JOINT_SETS)}")
    keypoints, count = np.asarray(keypoints, np.float64), len(JOINT_SETS[joint_set])
    if keypoints.ndim != 3 or keypoints.shape[1] != count or keypoints.shape[2] not in (2, 3) or not len(keypoints):
        raise UserError(f"keypoints of shape {keypoints.shape}; {joint_set} needs (frames, {count}, 2 or 3)")
    xy = keypoints[..., :2]
    scores = keypoints[..., 2] if keypoints.shape[2] == 3 else np.ones(xy.shape[:-1])
    missing = ~np.isfinite(keypoints).all(-1) | ~(scores > 0) | (xy == 0).all(-1)
    if missing.all():
        raise UserError("keypoints: every joint is missing")
    xy, scores = np.where(missing[..., None], np.nan, xy), np.where(missing, 0.0, np.minimum(scores, 1.0))
    return Keypoints(0, np.arange(len(xy)), xy, scores, joint_set, image_size, "keypoints")


def _completable(k: Keypoints) -> np.ndarray:
    """(T,) bool: frames whose missing joints can be imputed (`lib.joints.imputation`)."""
    xy, _ = convert_joints(np.concatenate([k.xy, k.scores[..., None]], axis=-1), k.joint_set)
    timed = impute_from_time(xy, k.frames)
    few = np.isnan(timed[..., 0]).sum(1) <= MAX_FROM_BODY
    return few & np.isfinite(impute_from_body(timed)).all((1, 2))


def _take(k: Keypoints, rows: np.ndarray) -> Keypoints:
    return replace(k, frames=k.frames[rows], xy=k.xy[rows], scores=k.scores[rows])


def _rows(s: PoseSequence, rows: np.ndarray | list[int]) -> PoseSequence:
    arrays = {name: getattr(s, name)[rows] for name in ("pose3d", "pose2d", "scores", "imputed", "frames")}
    root = None if s.root is None else s.root[rows]
    return replace(s, **arrays, root=root, meshes=tuple(mesh[rows] for mesh in s.meshes))
