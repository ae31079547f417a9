import pytest

from lib.joints import COCO_17, HALPE_26, JOINT_SETS, SMPL_24

ALL = {**JOINT_SETS, "smpl": SMPL_24}


@pytest.mark.parametrize(
    ("name", "count"), [("human36", 17), ("coco", 17), ("coco19", 19), ("body25", 25), ("halpe26", 26)]
)
def test_command_line_names_have_the_published_number_of_joints(name, count):
    assert len(JOINT_SETS[name]) == len(set(JOINT_SETS[name].names)) == count


@pytest.mark.parametrize("name", ALL)
def test_flip_pairs_are_exactly_the_right_and_left_joints_of_one_name(name):
    joints = ALL[name]
    pairs = {(joints.names[r], joints.names[left]) for r, left in joints.flip_pairs}
    assert pairs == {(n, "L" + n[1:]) for n in joints.names if n.startswith("R_")}


@pytest.mark.parametrize("name", ALL)
def test_flipping_twice_changes_nothing(name):
    order = ALL[name].flip_permutation
    assert order[order].tolist() == list(range(len(ALL[name])))


@pytest.mark.parametrize("name", ALL)
def test_bones_connect_all_joints_without_doubles(name):
    joints = ALL[name]
    reached = {joints.root}
    for _ in joints.names:
        reached |= {j for bone in joints.bones if reached & set(bone) for j in bone}
    assert reached == set(range(len(joints)))
    assert len({frozenset(bone) for bone in joints.bones}) == len(joints.bones)


@pytest.mark.parametrize("name", set(ALL) - {"coco"})
def test_bones_form_a_tree_in_every_set_with_a_pelvis_that_has_no_drawn_face_loop(name):
    joints = ALL[name]
    assert joints.names[joints.root] == "Pelvis"
    loops = {"coco19": 1}.get(name, 0)  # eye - eye - nose
    assert len(joints.bones) == len(joints) - 1 + loops


def test_known_positions_in_the_published_orders():
    assert JOINT_SETS["body25"].names[8] == "Pelvis"  # MidHip
    assert JOINT_SETS["body25"].names[15:19] == ("R_Eye", "L_Eye", "R_Ear", "L_Ear")
    assert JOINT_SETS["body25"].names[19:25] == ("L_BigToe", "L_SmallToe", "L_Heel", "R_BigToe", "R_SmallToe", "R_Heel")
    assert HALPE_26.names[:17] == COCO_17.names
    assert HALPE_26.names[17:20] == ("Head", "Neck", "Pelvis")
    assert HALPE_26.names[20:22] == ("L_BigToe", "R_BigToe")
