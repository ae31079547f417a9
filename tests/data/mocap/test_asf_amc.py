"""The Acclaim parser: worked sums and every way the two files can be wrong."""

import numpy as np
import pytest
from mocap_files import person_amc, person_asf

from data.Mocap.asf_amc import INCH, read_amc, read_asf
from data.Mocap.skeleton import forward_kinematics
from lib.errors import UserError

# Two bones, lengths 1 and 2 units; the lower turns about an x axis that is itself turned by 90 degrees about z.
ASF = """:units
  length 0.45
  angle deg
:root
  order TX TY TZ RX RY RZ
  axis XYZ
  position 0 0 0
  orientation 0 0 0
:bonedata
  begin
    id 1
    name upper
    direction 0 1 0
    length 1
    axis 0 0 0 XYZ
    dof rz
    limits (-10.0 10.0)
  end
  begin
    name lower
    direction 0 1 0
    length 2
    axis 0 0 90 XYZ
    dof rx
  end
:hierarchy
  begin
    root upper
    upper lower
  end
"""
AMC = ":FULLY-SPECIFIED\n:DEGREES\n1\nroot 0 0 0 0 0 0\nupper 0\nlower 0\n2\nroot 10 20 30 0 90 0\nupper 90\nlower 90\n"
UNIT = INCH / 0.45


def read(tmp_path, asf=ASF, amc=AMC):
    (tmp_path / "s.asf").write_text(asf)
    (tmp_path / "s_01.amc").write_text(amc)
    return read_amc(tmp_path / "s_01.amc", read_asf(tmp_path / "s.asf"), 120)


def test_a_two_bone_chain_moves_as_computed_by_hand(tmp_path):
    clip = read(tmp_path)
    positions, _ = forward_kinematics(clip)
    assert clip.skeleton.names == ("root", "upper", "lower", "lower_end")
    assert pytest.approx(0.0564444, abs=1e-6) == UNIT
    np.testing.assert_allclose(positions[0] / UNIT, [[0, 0, 0], [0, 0, 0], [0, 1, 0], [0, 3, 0]], atol=1e-12)
    # Frame 2. Upper: Rz(90) takes (0, 1, 0) to (-1, 0, 0); the root's Ry(90) takes that to (0, 0, 1).
    # Lower: C M C^-1 with C = Rz(90), M = Rx(90) is a turn by 90 degrees about C x = y: it leaves (0, 2, 0), which
    # then goes the same way as the upper bone: (0, 0, 2).
    expected = np.array([[0, 0, 0], [0, 0, 0], [0, 0, 1], [0, 0, 3]]) + [10, 20, 30]
    np.testing.assert_allclose(positions[1] / UNIT, expected, atol=1e-12)


def test_three_angles_apply_x_first(tmp_path):
    clip = read(tmp_path, amc=AMC.replace("0 90 0\nupper 90\nlower 90", "90 0 90\nupper 0\nlower 0"))
    # Rz(90) Rx(90) on (0, 3, 0): Rx gives (0, 0, 3), Rz leaves it.
    np.testing.assert_allclose(forward_kinematics(clip)[0][1, 3] / UNIT, [10, 20, 33], atol=1e-12)


def test_a_motion_that_names_no_unit_has_that_of_its_skeleton_and_its_own_line_wins(tmp_path):
    expected = read(tmp_path).rotations
    quarter = repr(np.pi / 2)
    in_radians = ASF.replace("angle deg", "angle rad").replace("0 0 90 XYZ", f"0 0 {quarter} XYZ")
    turned = AMC.replace("90", quarter)
    for asf, amc in (
        (in_radians, turned.replace(":DEGREES\n", "")),
        (in_radians, turned.replace("DEGREES", "RADIANS")),
        (in_radians, AMC),
        (ASF, AMC.replace(":DEGREES\n", "")),
        (ASF, turned.replace("DEGREES", "RADIANS")),
    ):
        np.testing.assert_allclose(read(tmp_path, asf, amc).rotations, expected, atol=1e-12)


def test_bones_of_a_frame_may_come_in_any_order(tmp_path):
    text = AMC.replace("upper 90\nlower 90", "lower 90\nupper 90")
    np.testing.assert_array_equal(read(tmp_path, amc=text).rotations, read(tmp_path).rotations)


def test_the_cmu_named_person_stands_on_splayed_legs(tmp_path):
    clip = read(tmp_path, person_asf(), person_amc([{}]))
    positions, _ = forward_kinematics(clip)
    # Hip 1.6 to the side, then 14 units down the splayed leg: x = 1.6 + 14 sin 30 = 8.6, y = 14 - 14 cos 30.
    left = positions[0, clip.skeleton.names.index("lfoot")]
    np.testing.assert_allclose(left / UNIT, [8.6, 14 - 14 * np.cos(np.pi / 6), 0], atol=1e-9)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("length 0.45", "length 0", "line 2: the unit of length must be positive"),
        ("angle deg", "angle turns", "line 3: angle unit 'turns'"),
        ("TX TY TZ RX", "TX TY TX RX", "line 5: degrees of freedom"),
        ("    direction 0 1 0\n    length 1\n", "    length 1\n", "line 17: the bone that ends here has no direction"),
        ("direction 0 1 0", "direction 0 up 0", "line 13: a number was expected"),
        ("axis 0 0 90 XYZ", "axis 0 0 90", "line 23: '' is not a rotation order"),
        ("dof rx", "dof rx tx", "line 24: degrees of freedom 'rx tx' are not supported"),
        ("name lower", "name upper", "line 25: bone upper is defined twice"),
        ("upper lower", "upper lowest", "line 29: the hierarchy names a bone 'lowest'"),
        ("upper lower", "upper lower\n lower upper", "line 30: bone upper has two parents"),
        ("upper lower", "upper root", "line 29: bone root has two parents"),
        (":hierarchy", ":skin", "without :bonedata or :hierarchy"),
    ],
)
def test_a_malformed_skeleton_is_refused_with_line_and_reason(tmp_path, old, new, message):
    assert old in ASF
    with pytest.raises(UserError, match=r"s\.asf") as caught:
        read(tmp_path, asf=ASF.replace(old, new, 1))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("upper 90", "upper 90 1", "line 9: 2 numbers, expected 1"),
        ("upper 90", "upper nan", "line 9: a number is not a number"),
        ("upper 90", "tail 90", "line 9: 'tail' is not a moving bone"),
        (
            "upper 90",
            "upper 90\nupper 90",
            "line 10: 'upper' is not a moving bone of this subject's .asf, or is there twice",
        ),
        ("lower 0\n", "", "line 6: the frame before has no values for lower"),
        ("1\nroot", "root", "line 3: a frame number was expected"),
        (AMC[AMC.index("1\n") :], "", "line 2: the file holds no frame"),
    ],
)
def test_a_malformed_motion_is_refused_with_line_and_reason(tmp_path, old, new, message):
    assert old in AMC
    with pytest.raises(UserError, match=r"s_01\.amc") as caught:
        read(tmp_path, amc=AMC.replace(old, new, 1))
    assert message in str(caught.value)
