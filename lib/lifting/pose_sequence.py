"""The 3D poses of one person over time: what predictions are handed to the writers as."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from lib.errors import UserError
from lib.joints import JointSet
from lib.joints.imputation import frame_ranges
from lib.lifting.fitted_body import FittedBody
from lib.lifting.floor.plane import Floor
from lib.lifting.quality import Quality

MESH_NAMES = ("coarse", "fine")
"""What `PoseSequence.meshes` holds, in order: the network's two mesh scales."""


@dataclass(frozen=True)
class PoseSequence:
    """One person in T frames, J joints, N vertices; 3D in metres, camera axes (x right, y down, z forward), or, with a
    `floor`, its level axes.

    pose3d (T, J, 3): root-relative; pose2d (T, J, 2): pixels of an image of image_size (width, height);
    frames (T,) int, increasing: which frame of the input each one is, None for 0, 1, 2, ...; fps: frames of the input
    per second; person: its number; scores (T, J): confidence of the 2D joints; imputed (T, J) bool: joints that were not
    detected but imputed; root (T, 3): where the root joint is, None when unknown; meshes: per scale (T, N, 3), float32
    from a Lifter, relative to the same root as pose3d, with faces (F, 3) per scale; camera: f_x, f_y, c_x, c_y in pixels that
    the person was lifted with; assumed: which of "fps" and "camera" were not known but assumed; quality: how far the poses
    can be trusted; body: the SMPL-style body whose joints pose3d are, if one was fitted; extras: further results per frame
    by name, each an array (T, ...), for .npz and .json; floor: what the person was put on (`lib.lifting.floor`).
    """

    pose3d: np.ndarray
    pose2d: np.ndarray
    joint_set: JointSet
    fps: float
    image_size: tuple[int, int]
    person: int = 0
    scores: np.ndarray = None  # type: ignore[assignment]
    imputed: np.ndarray = None  # type: ignore[assignment]
    root: np.ndarray | None = None
    meshes: tuple[np.ndarray, ...] = ()
    faces: tuple[np.ndarray, ...] = ()
    frames: np.ndarray = None  # type: ignore[assignment]
    camera: tuple[float, ...] | None = None
    assumed: tuple[str, ...] = ()
    quality: Quality | None = None
    body: FittedBody | None = None
    floor: Floor | None = None
    extras: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __repr__(self) -> str:
        nodes = " and ".join(str(mesh.shape[1]) for mesh in self.meshes)
        parts = [
            f"person {self.person}",
            frame_ranges(self.frames),
            f"{self.fps:g} per second",
            f"{len(self.joint_set)} joints",
        ]
        parts += [f"meshes of {nodes} nodes"] * bool(nodes) + ["a body"] * (self.body is not None)
        return f"PoseSequence({', '.join(parts)})"

    def __post_init__(self):
        T, J = self.pose3d.shape[:2]
        defaults = {"scores": np.ones((T, J)), "imputed": np.zeros((T, J), bool), "frames": np.arange(T)}
        for name, value in defaults.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        want = {"pose3d": (T, len(self.joint_set), 3), "pose2d": (T, J, 2), "scores": (T, J), "imputed": (T, J)}
        want |= {"frames": (T,)} | ({} if self.root is None else {"root": (T, 3)})
        for name, shape in want.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"PoseSequence: {name} has shape {getattr(self, name).shape}, expected {shape}")
        if T == 0 or not self.fps > 0 or (np.diff(self.frames) <= 0).any():
            raise ValueError("PoseSequence: needs at least one frame, fps above 0 and increasing frame numbers")
        if len(self.meshes) != len(self.faces) or len(self.meshes) > len(MESH_NAMES):
            raise ValueError(
                f"PoseSequence: {len(self.meshes)} meshes, {len(self.faces)} faces; at most {len(MESH_NAMES)}, as many each"
            )
        for vertices, faces in zip(self.meshes, self.faces, strict=True):
            if vertices.ndim != 3 or len(vertices) != T or len(faces) == 0 or np.max(faces) >= vertices.shape[1]:
                raise ValueError(
                    f"PoseSequence: a mesh of shape {vertices.shape} for {T} frames, or its faces do not fit"
                )
        if self.body is not None and len(self.body.pose) != T:
            raise ValueError(f"PoseSequence: a body in {len(self.body.pose)} frames for {T} frames")
        for name, values in self.extras.items():
            if len(values) != T:
                raise ValueError(f"PoseSequence: {name} has {len(values)} rows for {T} frames")

    def rows(self, index: np.ndarray | list[int]) -> "PoseSequence":
        """The frames that `index`, row numbers or bool (T,), picks; everything per person stays."""
        arrays = {name: getattr(self, name)[index] for name in ("pose3d", "pose2d", "scores", "imputed", "frames")}
        root = None if self.root is None else self.root[index]
        meshes = tuple(mesh[index] for mesh in self.meshes)
        body = None if self.body is None else self.body.rows(index)
        extras = {name: v[index] for name, v in self.extras.items()}
        return replace(self, **arrays, root=root, meshes=meshes, body=body, extras=extras)

    @property
    def seconds(self) -> np.ndarray:
        """(T,) times of the frames, 0 at the first."""
        return (self.frames - self.frames[0]) / self.fps

    def require_finite(self) -> None:
        """UserError, naming the frames, where a joint or a vertex is not finite."""
        good = np.all([np.isfinite(points).all((1, 2)) for points in (self.pose3d, *self.meshes)], axis=0)
        if not good.all():
            raise UserError(f"person {self.person}: {frame_ranges(self.frames[~good])} hold NaN; skip them first")

    def conditions(self) -> str:
        """What the person was lifted under, in one line: image size, frame rate and focal length, and what is assumed."""
        text = f"image {self.image_size[0]} x {self.image_size[1]} px, {self.fps:g} frames per second"
        text += " (assumed)" if "fps" in self.assumed else ""
        if self.camera is not None:
            text += f", focal length {self.camera[0]:.0f} px" + (" (assumed)" if "camera" in self.assumed else "")
        return text
