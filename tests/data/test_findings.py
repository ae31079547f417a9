import numpy as np
import pytest

from data.findings import describe_skeleton, leg_lengths, skeleton_measures
from data.projection import check_projection, refuse_other_camera
from lib.errors import UserError
from lib.joints import HUMAN36M_17


def skeleton(**places) -> np.ndarray:
    """(1, 17, 3) mm: a person whose hips are 200 mm apart, changed at the named joints."""
    at = {name: (0, 0, 0) for name in HUMAN36M_17.names} | {
        "R_Hip": (-100, 0, 0), "L_Hip": (100, 0, 0), "R_Knee": (-100, 0, -400), "L_Knee": (100, 0, -440),
        "Pelvis": (0, 0, 30), "Torso": (0, 0, 230), "Neck": (0, 0, 530), "Nose": (0, -60, 610), "Head": (0, 0, 730),
        "R_Shoulder": (-150, 0, 500), "L_Shoulder": (150, 0, 500),
    }  # fmt: skip
    return np.array([[(at | places)[name] for name in HUMAN36M_17.names]], float)


def test_the_lengths_of_legs_are_thigh_and_shin_of_the_right_and_of_the_left():
    joints = skeleton(R_Ankle=(-100, 0, -810), L_Ankle=(100, 300, -840))
    assert leg_lengths(joints).tolist() == [[400, 410, 440, 500]]


def test_the_measures_say_where_hips_torso_neck_and_head_are():
    measures = {name: value.item() for name, value in skeleton_measures(skeleton()).items()}
    assert measures == pytest.approx({
        "thigh": 420, "hip to hip": 200, "pelvis to the middle of the hips": 30, "pelvis to torso": 200, "torso to neck": 300,
        "neck to nose": 100, "nose to head": np.hypot(60, 120), "neck to head": 200, "shoulder to shoulder": 300,
    })  # fmt: skip


def test_the_check_names_the_median_of_each_measure():
    chunks = [skeleton(Neck=(0, 0, z)) for z in (530, 530, 900)]
    text = describe_skeleton("x train", [skeleton_measures(joints) for joints in chunks]).text
    assert text.startswith("x train: median mm: thigh 420, hip to hip 200, ")
    assert "torso to neck 300, neck to nose 100" in text


@pytest.mark.parametrize(
    ("distance", "detected", "state"),
    [(0.01, False, "ok"), (1.5, False, "note"), (15, True, "ok"), (51, True, "wrong")],
)
def test_ground_truth_must_be_nearer_to_the_projection_than_detections(distance, detected, state):
    distances = [np.full((2, 17), distance), np.full((2, 17), distance)]
    distances[1][0, 0] = 99
    (finding,) = check_projection("x test", distances, detected)
    assert finding.state == state
    assert finding.text.startswith(
        f"x test: the 3D joints project {distance} px (median) from the 2D ones, 99 px at most"
    )


def test_without_2d_in_the_files_there_is_no_finding():
    assert list(check_projection("x test", [], detected=False)) == []


def test_a_median_beyond_the_limit_is_refused_and_single_joints_are_not():
    distance = np.full((3, 17), 1.0)
    distance[0, :8] = 1000
    refuse_other_camera("a file", distance)
    refuse_other_camera("a file", np.zeros((0, 17)))
    with pytest.raises(UserError, match=r"^a file: the 3D joints project 21\.0 px \(median\)"):
        refuse_other_camera("a file", distance + 20)
