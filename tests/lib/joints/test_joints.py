import pytest

from lib.joints import COCO_17, HALPE_26, JOINT_SETS, SMPL_24

ALL = {**JOINT_SETS, "smpl": SMPL_24}


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("human36", 17),
        ("coco", 17),
        ("coco19", 19),
        ("body18", 18),
        ("body25", 25),
        ("body25b", 25),
        ("halpe26", 26),
        ("halpe136", 136),
        ("wholebody", 133),
        ("mediapipe", 33),
        ("mpii", 16),
        ("aic", 14),
        ("crowdpose", 14),
        ("human36_32", 32),
    ],
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


@pytest.mark.parametrize("name", sorted(set(ALL) - {"coco", "coco19"}))
def test_bones_form_a_tree(name):
    joints = ALL[name]
    assert len(joints.bones) == len(joints) - 1
    assert sorted(child for _, child in joints.bones) == sorted(set(range(len(joints))) - {joints.root})


def test_known_positions_in_the_published_orders():
    assert JOINT_SETS["body18"].names[1:4] == ("Neck", "R_Shoulder", "R_Elbow")
    assert JOINT_SETS["body18"].names[8:14] == ("R_Hip", "R_Knee", "R_Ankle", "L_Hip", "L_Knee", "L_Ankle")
    assert JOINT_SETS["body18"].names[14:] == ("R_Eye", "L_Eye", "R_Ear", "L_Ear")
    assert JOINT_SETS["body25"].names[8] == "Pelvis"  # MidHip
    assert JOINT_SETS["body25"].names[15:19] == ("R_Eye", "L_Eye", "R_Ear", "L_Ear")
    assert JOINT_SETS["body25"].names[19:25] == ("L_BigToe", "L_SmallToe", "L_Heel", "R_BigToe", "R_SmallToe", "R_Heel")
    assert HALPE_26.names[:17] == COCO_17.names
    assert HALPE_26.names[17:20] == ("Head", "Neck", "Pelvis")
    assert HALPE_26.names[20:22] == ("L_BigToe", "R_BigToe")
    assert JOINT_SETS["body25b"].names[:17] == COCO_17.names
    assert JOINT_SETS["body25b"].names[17:20] == ("UpperNeck", "Head", "L_BigToe")
    assert JOINT_SETS["halpe136"].names[:26] == HALPE_26.names
    assert JOINT_SETS["wholebody"].names[17:23] == JOINT_SETS["body25b"].names[19:]


@pytest.mark.parametrize(("name", "face", "left", "right"), [("wholebody", 23, 91, 112), ("halpe136", 26, 94, 115)])
def test_whole_bodies_hold_68_face_landmarks_then_the_left_and_the_right_hand(name, face, left, right):
    names = JOINT_SETS[name].names
    assert names[face + 8] == "Face_8"  # the chin, in the middle
    assert names[face] == "R_Face_0"  # 300-W begins at the image's left, the person's right
    assert names[face + 16] == "L_Face_0"
    assert names[face + 36 : face + 40 : 3] == ("R_Face_36", "R_Face_39")  # right eye: outer and inner corner
    assert names[face + 42 : face + 46 : 3] == ("L_Face_39", "L_Face_36")
    assert names[left : left + 21] == tuple(f"L_Hand_{i}" for i in range(21))
    assert names[right:] == tuple(f"R_Hand_{i}" for i in range(21))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "mediapipe",
            {0: "Nose", 7: "L_Ear", 11: "L_Shoulder", 16: "R_Wrist", 24: "R_Hip", 27: "L_Ankle", 30: "R_Heel"},
        ),
        ("mpii", {0: "R_Ankle", 6: "Pelvis", 7: "Neck", 9: "Head", 10: "R_Wrist", 13: "L_Shoulder", 15: "L_Wrist"}),
        ("aic", {0: "R_Shoulder", 3: "L_Shoulder", 8: "R_Ankle", 11: "L_Ankle", 12: "Head", 13: "Neck"}),
        ("crowdpose", {0: "L_Shoulder", 3: "R_Elbow", 6: "L_Hip", 11: "R_Ankle", 12: "Head", 13: "Neck"}),
    ],
)
def test_published_orders_of_other_conventions(name, expected):
    assert {i: JOINT_SETS[name].names[i] for i in expected} == expected
