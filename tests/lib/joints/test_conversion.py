import numpy as np
import pytest

from lib.joints import BODY_25, COCO_17, HALPE_26, HUMAN36M_17, JOINT_SETS
from lib.joints.conversion import CONVERSIONS, convert_joints
from tests.stick_person import stick_people

H = {name: i for i, name in enumerate(HUMAN36M_17.names)}


def person(joint_set, **points) -> np.ndarray:
    """(J, 3) with every joint at (50, 50), score 1, but for the named ones: (x, y) or (x, y, score)."""
    values = np.tile([50.0, 50.0, 1.0], (len(joint_set), 1))
    for name, point in points.items():
        values[joint_set.names.index(name), : len(point)] = point
    return values


@pytest.mark.parametrize("source", JOINT_SETS)
def test_every_human36_joint_has_a_source_and_weights_sum_to_one(source):
    names = JOINT_SETS[source].names
    for joint in HUMAN36M_17.names:
        formulas = CONVERSIONS[source].get(joint, ({joint: 1.0},))
        for formula in formulas:
            assert set(formula) <= set(names)
            assert sum(formula.values()) == pytest.approx(1)


def test_human36_is_copied():
    values = np.random.default_rng(0).uniform(1, 100, (4, 17, 2))
    xy, scores = convert_joints(values, "human36")
    assert (xy == values).all()
    assert (scores == 1).all()


def test_coco_pelvis_neck_torso_worked_example():
    values = person(COCO_17, L_Hip=(30, 60), R_Hip=(10, 64), L_Shoulder=(34, 20), R_Shoulder=(6, 24))
    xy, _ = convert_joints(values, "coco")
    assert xy[H["Pelvis"]].tolist() == [20, 62]  # (30 + 10) / 2, (60 + 64) / 2
    assert xy[H["Neck"]].tolist() == [20, 22]  # (34 + 6) / 2, (20 + 24) / 2
    assert xy[H["Torso"]].tolist() == [20, 42]  # half way between them


def test_coco_head_continues_the_line_from_neck_to_ears_by_half():
    values = person(COCO_17, L_Shoulder=(30, 100), R_Shoulder=(10, 100), L_Ear=(26, 82), R_Ear=(22, 82))
    xy, _ = convert_joints(values, "coco")
    # neck (20, 100), ears (24, 82): ears + ((24, 82) - (20, 100)) / 2 = (26, 73)
    assert xy[H["Head"]].tolist() == [26, 73]


@pytest.mark.parametrize(
    ("missing", "head"),
    [
        ((), (20, 70)),  # ears (20, 80), neck (20, 100): 80 - 20 / 2
        (("L_Ear",), (20, 64)),  # eyes (20, 76): 76 - 24 / 2
        (("L_Ear", "R_Eye"), (17, 70)),  # right ear (18, 80): 18 - 2 / 2, 80 - 20 / 2
        (("R_Ear", "R_Eye"), (23, 70)),  # left ear (22, 80)
        (("L_Ear", "R_Ear", "R_Eye"), (20, 72)),  # nose (20, 84): 84 - 0.75 * 16
        (("L_Ear", "R_Ear", "R_Eye", "Nose"), None),
    ],
)
def test_coco_head_uses_the_first_formula_whose_sources_are_there(missing, head):
    values = person(
        COCO_17, L_Shoulder=(30, 100), R_Shoulder=(10, 100), L_Ear=(22, 80), R_Ear=(18, 80), L_Eye=(21, 76),
        R_Eye=(19, 76), Nose=(20, 84),
    )  # fmt: skip
    for name in missing:
        values[COCO_17.names.index(name), 2] = 0
    xy, scores = convert_joints(values, "coco")
    if head is None:
        assert np.isnan(xy[H["Head"]]).all()
        assert scores[H["Head"]] == 0
    else:
        assert xy[H["Head"]].tolist() == pytest.approx(head)


def test_score_of_a_derived_joint_is_the_lowest_of_its_sources():
    values = person(COCO_17, L_Hip=(1, 1, 0.7), R_Hip=(1, 1, 0.4), L_Shoulder=(1, 1, 0.5))
    _, scores = convert_joints(values, "coco")
    assert scores[H["Pelvis"]] == 0.4
    assert scores[H["Neck"]] == 0.5
    assert scores[H["Torso"]] == 0.4
    assert scores[H["L_Hip"]] == 0.7


@pytest.mark.parametrize("bad", [(5, 5, 0), (5, 5, -1), (np.nan, 5, 1), (5, 5, np.nan)])
def test_a_missing_source_makes_the_derived_joint_missing(bad):
    xy, scores = convert_joints(person(COCO_17, L_Hip=bad), "coco")
    gone = [n for n in HUMAN36M_17.names if scores[H[n]] == 0]
    assert gone == ["Pelvis", "L_Hip", "Torso"]
    assert np.isnan(xy[[H[n] for n in gone]]).all()


@pytest.mark.parametrize(("joint_set", "source"), [(BODY_25, "body25"), (HALPE_26, "halpe26")])
def test_sets_with_pelvis_and_neck_use_them_and_not_hips_and_shoulders(joint_set, source):
    xy, _ = convert_joints(person(joint_set, Pelvis=(7, 80), Neck=(9, 20)), source)
    assert xy[H["Pelvis"]].tolist() == [7, 80]
    assert xy[H["Neck"]].tolist() == [9, 20]
    assert xy[H["Torso"]].tolist() == [8, 50]


def test_halpe_head_is_copied():
    xy, _ = convert_joints(person(HALPE_26, Head=(3, 4)), "halpe26")
    assert xy[H["Head"]].tolist() == [3, 4]


@pytest.mark.parametrize("source", JOINT_SETS)
def test_conversion_commutes_with_shifting_and_scaling_the_picture(source):
    values = np.random.default_rng(1).uniform(1, 100, (5, len(JOINT_SETS[source]), 2))
    xy, _ = convert_joints(values, source)
    moved, _ = convert_joints(values * 3 + [10, -7], source)
    np.testing.assert_allclose(moved, xy * 3 + [10, -7])


@pytest.mark.parametrize("source", JOINT_SETS)
def test_every_set_gives_the_same_stick_person(source):
    body = stick_people()[0]
    truth = np.stack([body[n] for n in HUMAN36M_17.names], axis=1)[..., :2]
    unknown = np.full((len(truth), 3), np.nan)  # fingers and face landmarks, which no formula needs
    values = np.stack([body.get(n, unknown) for n in JOINT_SETS[source].names], axis=1)[..., :2]
    xy, _ = convert_joints(values, source)
    guessed = [H["Nose"]] if {"Nose"} & set(CONVERSIONS[source]) else []
    exact = np.setdiff1d(range(17), guessed)
    # Orthographic, so weighted sums hold exactly in the plane.
    np.testing.assert_allclose(xy[:, exact], truth[:, exact], atol=1e-9)
    assert np.abs(xy[:, guessed] - truth[:, guessed]).max(initial=0) < 0.12  # metres; conventions without a nose


@pytest.mark.parametrize("source", ["mpii", "aic", "crowdpose"])
def test_without_a_nose_it_is_a_little_above_the_middle_of_neck_and_head(source):
    xy, _ = convert_joints(person(JOINT_SETS[source], Neck=(10, 100), Head=(20, 50)), source)
    assert xy[H["Nose"]].tolist() == pytest.approx([15.8, 71])  # 0.42 * 10 + 0.58 * 20, 0.42 * 100 + 0.58 * 50


def test_human36s_32_recorded_joints_hold_the_17_at_the_published_places():
    places = [0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27]
    values = np.random.default_rng(0).uniform(1, 100, (4, 32, 2))
    assert (convert_joints(values, "human36_32")[0] == values[:, places]).all()


def test_wrong_shape_is_refused():
    with pytest.raises(ValueError, match="body25 keypoints are"):
        convert_joints(np.zeros((3, 17, 2)), "body25")
