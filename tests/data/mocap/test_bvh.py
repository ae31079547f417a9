"""The BVH parser: worked sums, any channel order, and every way a file can be wrong."""

import numpy as np
import pytest

from data.Mocap.bvh import read_bvh
from data.Mocap.skeleton import forward_kinematics
from lib.errors import UserError

TWO_BONES = """HIERARCHY
ROOT base
{
  OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT arm
  {
    OFFSET 0 2 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    End Site
    {
      OFFSET 0 0 1
    }
  }
}
MOTION
Frames: 2
Frame Time: 0.04
0 0 0 0 0 0 0 0 0
1 2 3 90 0 0 0 90 0
"""


def read(tmp_path, text):
    path = tmp_path / "a.bvh"
    path.write_text(text)
    return read_bvh(path)


def test_a_two_bone_chain_moves_as_computed_by_hand(tmp_path):
    clip = read(tmp_path, TWO_BONES)
    positions, _ = forward_kinematics(clip)
    assert clip.skeleton.names == ("base", "arm", "arm_end")
    assert clip.fps == pytest.approx(25)
    np.testing.assert_allclose(positions[0], [[0, 0, 0], [0, 2, 0], [0, 2, 1]], atol=1e-12)
    # Frame 2: Rz(90) takes the arm (0, 2, 0) to (-2, 0, 0): (1, 2, 3) + (-2, 0, 0) = (-1, 2, 3).
    # Rx(90) takes (0, 0, 1) to (0, -1, 0), Rz(90) takes that to (1, 0, 0): the end is at (0, 2, 3).
    np.testing.assert_allclose(positions[1], [[1, 2, 3], [-1, 2, 3], [0, 2, 3]], atol=1e-12)


def test_rotations_multiply_in_the_order_of_the_channels(tmp_path):
    text = TWO_BONES.replace("CHANNELS 3 Zrotation Xrotation Yrotation", "CHANNELS 3 Xrotation Zrotation Yrotation")
    positions, _ = forward_kinematics(read(tmp_path, text.replace("90 0 0 0 90 0", "0 0 0 90 90 0")))
    # Rx(90) Rz(90) on (0, 0, 1): Rz leaves it, Rx gives (0, -1, 0): (1, 2 + 2 - 1, 3).
    np.testing.assert_allclose(positions[1, 2], [1, 3, 3], atol=1e-12)


def test_channels_may_come_in_any_order_and_number(tmp_path):
    text = TWO_BONES.replace(
        "CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation",
        "CHANNELS 3 Zposition Yrotation Xposition",
    )
    clip = read(
        tmp_path, text.replace("0 0 0 0 0 0 0 0 0", "0 0 0 0 0 0").replace("1 2 3 90 0 0 0 90 0", "3 90 1 0 0 0")
    )
    np.testing.assert_allclose(clip.translation[1], [1, 0, 3])
    # Ry(90) takes (0, 0, 1) to (1, 0, 0).
    np.testing.assert_allclose(forward_kinematics(clip)[0][1, 2], [2, 2, 3], atol=1e-12)


def test_braces_on_the_keyword_line_and_windows_line_ends_are_read(tmp_path):
    text = TWO_BONES.replace("ROOT base\n{", "ROOT base {").replace("End Site\n    {", "End Site {")
    assert read(tmp_path, text.replace("\n", "\r\n")).skeleton.names == ("base", "arm", "arm_end")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Frames: 2", "Frames: 1000000000000", "line 17: a number is not a number or not within +-1e+09"),
        ("Frames: 2", "Frames: 999999999", "line 20: 2 frames found, 999999999 announced"),
        ("Frames: 2", "Frames: 3", "line 20: 2 frames found, 3 announced"),
        ("Frames: 2", "Frames: nan", "line 17: a number is not a number"),
        ("Frame Time: 0.04", "Frame Time: 0", "line 18: a frame time of 0.0 s is not plausible"),
        ("Frame Time: 0.04", "", "line 19: 'Frame Time:' expected"),
        ("1 2 3 90", "1 2 3", "line 20: 8 numbers, expected 9"),
        ("1 2 3 90", "1 2 x 90", "line 20: a number was expected"),
        ("1 2 3 90", "1 2 inf 90", "line 20: a number is not a number or not within"),
        ("OFFSET 0 2 0", "OFFSET 0 2", "line 8: 2 numbers, expected 3"),
        ("    OFFSET 0 2 0\n", "", "line 15: joint arm has no OFFSET"),
        ("CHANNELS 3 Z", "CHANNELS 999999999999 Z", "line 9: CHANNELS must give"),
        ("CHANNELS 3 Zrotation", "CHANNELS 3 Xrotation", "line 9: CHANNELS must give"),
        ("CHANNELS 3 Zrotation", "CHANNELS 3 Wrotation", "line 9: CHANNELS must give"),
        ("}\nMOTION", "MOTION", "line 15: MOTION before the hierarchy is complete"),
        ("JOINT arm\n  {", "JOINT arm\n", "line 8: 'OFFSET' does not belong here"),
        ("JOINT arm", "JOINT", "line 6: JOINT without a name"),
        ("JOINT arm", "ROOT arm", "line 6: ROOT outside the tree"),
        ("}\nMOTION", "}\nROOT second\n{\n}\nMOTION", "line 16: ROOT outside the tree"),
        (TWO_BONES[TWO_BONES.index("MOTION") :], "", "line 15: the file ends inside the hierarchy"),
        ("HIERARCHY\n", "\0\1", "binary data"),
    ],
)
def test_a_malformed_file_is_refused_with_line_and_reason(tmp_path, old, new, message):
    assert old in TWO_BONES
    with pytest.raises(UserError, match=r"a\.bvh") as caught:
        read(tmp_path, TWO_BONES.replace(old, new, 1))
    assert message in str(caught.value)


def nested(depth):
    joints = "".join(f"JOINT j{i}\n{{\nOFFSET 0 1 0\n" for i in range(depth))
    header = "HIERARCHY\nROOT r\n{\nOFFSET 0 0 0\nCHANNELS 1 Xposition\n" + joints + "}\n" * (depth + 1)
    return header + "MOTION\nFrames: 1\nFrame Time: 0.1\n0\n"


def test_nesting_is_bounded_by_the_number_of_joints_not_by_recursion(tmp_path):
    assert len(read(tmp_path, nested(999)).skeleton.names) == 1000
    with pytest.raises(UserError, match="more than 1000 joints"):
        read(tmp_path, nested(100_000))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.bvh: no such file"):
        read_bvh(tmp_path / "nowhere.bvh")
