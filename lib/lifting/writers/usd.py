"""Universal Scene Description (.usd, .usda, .usdc): every person's skinned body, moving, by Pixar's own library (usd-core).

Metres, Y up, time codes are the input's frame numbers. Schemas: UsdSkel (Skeleton, SkelAnimation, SkelBindingAPI), UsdGeom.
As in .glb, pose blend shapes are missing.
"""

from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from lib.errors import UserError
from lib.files import replacing
from lib.lifting.fitted_body import FittedBody
from lib.lifting.pose_sequence import PoseSequence
from lib.lifting.writers.body_motion import Y_UP, body_of, bone_names, strongest_weights
from lib.lifting.writers.drawing import MESH_COLOUR
from lib.lifting.writers.geometry import placements, timeline
from lib.lifting.writers.surface import vertex_normals


def check_usd(path: Path) -> None:
    """UserError, naming the output, where usd-core is not installed."""
    try:
        import pxr  # noqa: F401
    except ImportError:
        raise UserError(f"{path}: usd-core writes this format; install it: python -m pip install usd-core") from None


def write_usd(path: Path, sequences: list[PoseSequence]) -> list[Path]:
    """One file with `/people/person_N` for every person: `skeleton` with the bones hips, spine, leftUpperLeg, ..., `motion`,
    and `body`, the skin. .usda is text, the others are binary. UserError without bodies or without usd-core."""
    check_usd(path)
    from pxr import Usd, UsdGeom

    frames = timeline(sequences)
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    stage.SetTimeCodesPerSecond(sequences[0].fps)
    stage.SetFramesPerSecond(sequences[0].fps)
    stage.SetStartTimeCode(int(frames[0]))
    stage.SetEndTimeCode(int(frames[-1]))
    stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, "/people").GetPrim())
    for sequence, offset in zip(sequences, placements(sequences), strict=True):
        _add_person(stage, f"/people/person_{sequence.person}", sequence, body_of(sequence, path), offset[:, 0])
    with replacing(path) as temporary:
        stage.GetRootLayer().Export(str(temporary))
    return [path]


def _add_person(stage: Any, place: str, sequence: PoseSequence, body: FittedBody, offset: np.ndarray) -> None:
    """offset (T, 3) metres, camera axes."""
    from pxr import UsdSkel

    root = UsdSkel.Root.Define(stage, place)
    joints = _joint_paths(body)
    skeleton = _skeleton(stage, f"{place}/skeleton", body, joints)
    motion = _motion(stage, f"{place}/motion", sequence, body, joints, offset)
    UsdSkel.BindingAPI.Apply(skeleton.GetPrim()).CreateAnimationSourceRel().SetTargets([motion.GetPath()])
    skin = _mesh(stage, f"{place}/body", body)
    binding = UsdSkel.BindingAPI.Apply(skin.GetPrim())
    binding.CreateSkeletonRel().SetTargets([skeleton.GetPath()])
    indices, weights = strongest_weights(body.model.lbs_weights)
    width = weights.shape[1]
    binding.CreateJointIndicesPrimvar(False, width).Set(indices.astype(np.int32).ravel())
    binding.CreateJointWeightsPrimvar(False, width).Set(weights.ravel())
    binding.CreateGeomBindTransformAttr(_matrices(np.zeros((1, 3)))[0])
    UsdSkel.BindingAPI.Apply(root.GetPrim())


def _joint_paths(body: FittedBody) -> list[str]:
    """UsdSkel's names of joints: the way to each from the root, such as hips/spine/chest."""
    paths: list[str] = []
    for name, parent in zip(bone_names(body), body.model.parents.tolist(), strict=True):
        paths.append(name if parent < 0 else f"{paths[parent]}/{name}")
    return paths


def _skeleton(stage: Any, place: str, body: FittedBody, joints: list[str]) -> Any:
    from pxr import UsdSkel

    skeleton = UsdSkel.Skeleton.Define(stage, place)
    skeleton.CreateJointsAttr(joints)
    skeleton.CreateBindTransformsAttr(_matrices(body.rest_joints))
    skeleton.CreateRestTransformsAttr(_matrices(_along(body)))
    return skeleton


def _motion(
    stage: Any, place: str, sequence: PoseSequence, body: FittedBody, joints: list[str], offset: np.ndarray
) -> Any:
    from pxr import Gf, UsdSkel, Vt

    motion = UsdSkel.Animation.Define(stage, place)
    motion.CreateJointsAttr(joints)
    motion.CreateScalesAttr([Gf.Vec3h(1, 1, 1)] * len(joints))
    places, turns = motion.CreateTranslationsAttr(), motion.CreateRotationsAttr()
    along = _along(body)
    root = (body.rest_joints[0] + body.transl + offset) @ Y_UP.T
    for frame, pose, at in zip(sequence.frames.tolist(), body.pose.reshape(len(root), -1, 3), root, strict=True):
        rotations = Rotation.from_rotvec(pose)
        rotations = Rotation.concatenate([Rotation.from_matrix(Y_UP) * rotations[0], rotations[1:]])
        quaternions = [Gf.Quatf(w, x, y, z) for x, y, z, w in rotations.as_quat().tolist()]
        turns.Set(Vt.QuatfArray(quaternions), frame)
        places.Set(Vt.Vec3fArray.FromNumpy(np.concatenate([at[None], along[1:]]).astype(np.float32)), frame)
    return motion


def _mesh(stage: Any, place: str, body: FittedBody) -> Any:
    """The skin at rest, with normals."""
    from pxr import Gf, UsdGeom, Vt

    mesh = UsdGeom.Mesh.Define(stage, place)
    points = Vt.Vec3fArray.FromNumpy(body.rest_vertices.astype(np.float32))
    mesh.CreatePointsAttr(points)
    mesh.CreateExtentAttr(UsdGeom.PointBased.ComputeExtent(points))
    mesh.CreateFaceVertexCountsAttr([3] * len(body.model.faces))
    mesh.CreateFaceVertexIndicesAttr(body.model.faces.astype(np.int32).ravel())
    mesh.CreateNormalsAttr(Vt.Vec3fArray.FromNumpy(vertex_normals(body.rest_vertices, body.model.faces)))
    mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    mesh.CreateDisplayColorAttr([Gf.Vec3f(*((MESH_COLOUR / 255) ** 2.2).tolist())])
    return mesh


def _along(body: FittedBody) -> np.ndarray:
    """(K, 3) metres: every joint at rest from its parent, the root from the origin."""
    rest, parents = body.rest_joints, body.model.parents
    return np.where(parents[:, None] < 0, rest, rest - rest[parents])


def _matrices(places: np.ndarray) -> list:
    """Translations (N, 3) as USD's matrices, which have them in the last row."""
    from pxr import Gf

    return [Gf.Matrix4d(1.0).SetTranslateOnly(Gf.Vec3d(*place)) for place in places.tolist()]
