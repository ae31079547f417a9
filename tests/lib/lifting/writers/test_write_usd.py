"""USD files, read back and skinned by Pixar's library."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from lib.errors import UserError
from lib.lifting.writers import check_output, write_poses
from tests.bodies import resting_body
from tests.lib.lifting.writers.test_write_body import in_camera
from tests.waving_person import make_sequence

Y_UP = np.array([1, -1, -1])


@pytest.fixture
def pxr():
    return pytest.importorskip("pxr", reason="needs usd-core (sh requirements.sh usd)")


def skinned(stage, person, frame):
    """Vertices (V, 3), metres, of a person at a time code: skeleton, animation and weights as UsdSkel evaluates them."""
    from pxr import Usd, UsdGeom, UsdSkel

    cache = UsdSkel.Cache()
    root = UsdSkel.Root(stage.GetPrimAtPath(f"/people/{person}"))
    cache.Populate(root, Usd.TraverseInstanceProxies())
    skeleton = cache.GetSkelQuery(UsdSkel.Skeleton(stage.GetPrimAtPath(f"/people/{person}/skeleton")))
    mesh = stage.GetPrimAtPath(f"/people/{person}/body")
    skin = cache.GetSkinningQuery(mesh)
    assert skin
    assert skin.HasJointInfluences()
    points = UsdGeom.Mesh(mesh).GetPointsAttr().Get()
    assert skin.ComputeSkinnedPoints(skeleton.ComputeSkinningTransforms(frame), points, frame)
    return np.array(points)


@pytest.mark.parametrize("ending", [".usd", ".usda", ".usdc"])
def test_the_skin_moves_as_the_body(pxr, sequence, tmp_path, ending):
    from pxr import Usd, UsdGeom

    path = tmp_path / f"a{ending}"
    assert write_poses(path, [sequence]) == [path]
    stage = Usd.Stage.Open(str(path))
    assert (UsdGeom.GetStageMetersPerUnit(stage), UsdGeom.GetStageUpAxis(stage)) == (1.0, "Y")
    assert stage.GetTimeCodesPerSecond() == sequence.fps
    assert (stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (0, len(sequence.frames) - 1)
    assert stage.GetDefaultPrim().GetPath() == "/people"
    whole = in_camera(sequence) * Y_UP
    for frame in (0, 3, 6):
        np.testing.assert_allclose(skinned(stage, "person_0", frame), whole[frame], atol=1e-4)


def test_skeleton_and_skin_are_complete(pxr, sequence, tmp_path):
    from pxr import Usd, UsdGeom, UsdSkel

    write_poses(tmp_path / "a.usda", [sequence])
    stage = Usd.Stage.Open(str(tmp_path / "a.usda"))
    joints = UsdSkel.Skeleton(stage.GetPrimAtPath("/people/person_0/skeleton")).GetJointsAttr().Get()
    assert joints[0] == "hips"
    assert "hips/spine/chest/upperChest/neck/head" in joints
    assert UsdSkel.Topology(joints).Validate()[0]
    mesh = UsdGeom.Mesh(stage.GetPrimAtPath("/people/person_0/body"))
    body = sequence.body
    np.testing.assert_allclose(mesh.GetPointsAttr().Get(), body.rest_vertices, atol=1e-6)
    np.testing.assert_array_equal(np.reshape(mesh.GetFaceVertexIndicesAttr().Get(), (-1, 3)), body.model.faces)
    binding = UsdSkel.BindingAPI(mesh)
    weights = np.reshape(binding.GetJointWeightsPrimvar().Get(), (-1, 4))
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-6)
    assert UsdGeom.Mesh.ValidateTopology(
        mesh.GetFaceVertexIndicesAttr().Get(), mesh.GetFaceVertexCountsAttr().Get(), len(weights)
    )[0]


def test_time_codes_are_frame_numbers_and_people_have_one_timeline(pxr, sequence, tmp_path):
    from pxr import Usd, UsdSkel

    late = replace(sequence, person=4, frames=sequence.frames * 2 + 3)
    write_poses(tmp_path / "a.usd", [sequence, late])
    stage = Usd.Stage.Open(str(tmp_path / "a.usd"))
    assert (stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (0, 15)
    motion = UsdSkel.Animation(stage.GetPrimAtPath("/people/person_4/motion"))
    assert motion.GetRotationsAttr().GetTimeSamples() == [3, 5, 7, 9, 11, 13, 15]
    np.testing.assert_allclose(
        skinned(stage, "person_4", 7), skinned(stage, "person_0", 2), atol=1e-5
    )  # the same person, later


def test_without_a_body_or_the_library_there_is_one_clear_line_and_no_file(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pxr", None)
    with pytest.raises(
        UserError, match=r"a\.usda: usd-core writes this format; install it: python -m pip install usd-core"
    ):
        check_output(tmp_path / "a.usda")
    with pytest.raises(UserError, match="usd-core writes this format"):
        write_poses(tmp_path / "a.usd", [replace(make_sequence(2), body=resting_body(2))])
    assert not list(tmp_path.iterdir())


def test_a_body_is_needed(pxr, tmp_path):
    with pytest.raises(UserError, match=r"a\.usd: this format holds a fitted body; add --fit-body"):
        write_poses(tmp_path / "a.usd", [make_sequence(2)])
    assert not list(tmp_path.iterdir())
