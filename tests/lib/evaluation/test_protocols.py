import numpy as np
import pytest

from lib.evaluation.protocols import COMMON_JOINTS, PROTOCOLS
from lib.evaluation.report import evaluate
from lib.joints import HUMAN36M_17
from lib.metrics import procrustes_align


def test_the_common_joints_are_limbs_neck_and_head():
    assert COMMON_JOINTS == [1, 2, 3, 4, 5, 6, 8, 10, 11, 12, 13, 14, 15, 16]
    left_out = set(HUMAN36M_17.names) - {HUMAN36M_17.names[k] for k in COMMON_JOINTS}
    assert left_out == {"Pelvis", "Torso", "Nose"}


@pytest.fixture
def poses():
    """Truth (4, 17, 3) mm with its root at 0, and predictions off by chosen distances along x."""
    truth = np.random.default_rng(0).normal(0, 300, (4, 17, 3)).round()  # exact sums
    truth[:, 0] = 0
    wrong = truth.copy()
    wrong[:2, COMMON_JOINTS, 0] += 100  # correct below 150 mm
    wrong[2, COMMON_JOINTS[:7], 0] += 150  # not strictly below
    wrong[3, COMMON_JOINTS, 0] += 1000
    wrong[:, [7, 9], 1] += 10_000  # torso and nose do not count
    return wrong, truth


def report_of(wrong, truth, protocol, sequences=("TS1", "TS1", "TS2", "TS2"), actions=("Sitting", "Sports") * 2):
    return evaluate(
        wrong, truth, np.array(actions), scoring=PROTOCOLS[protocol], sequences=np.array(sequences), frames=np.arange(4)
    ).to_dict()


def test_pck_and_auc_of_mpi_inf_3dhp_by_hand(poses):
    report = report_of(*poses, "mpi_inf_3dhp")
    assert report["pck_150"] == pytest.approx(100 * (14 + 14 + 7 + 0) / (4 * 14))
    # 100 mm is below 10 of the 31 thresholds (105, 110, ..., 150), 0 mm below all but the first, 150 and 1000 mm below none.
    assert report["auc"] == pytest.approx(100 * (28 * 10 / 31 + 7 * 30 / 31) / (4 * 14))


def test_tables_per_sequence_and_activity_split_the_same_numbers(poses):
    report = report_of(*poses, "mpi_inf_3dhp")
    assert list(report["per_sequence"]) == ["TS1", "TS2"]
    assert report["per_sequence"]["TS1"]["pck_150"] == 100
    assert report["per_sequence"]["TS2"]["pck_150"] == 25
    assert list(report["per_activity"]) == ["Sitting", "Sports"]
    assert report["per_activity"]["Sports"]["pck_150"] == 50
    assert [row["frames"] for row in report["per_sequence"].values()] == [2, 2]
    mean = np.mean([row["mpjpe"] for row in report["per_sequence"].values()])
    assert report["mpjpe"] == pytest.approx(mean)


def test_the_total_counts_frames_not_sequences(poses):
    report = report_of(*poses, "mpi_inf_3dhp", sequences=("TS1", "TS1", "TS1", "TS2"))
    assert report["pck_150"] == pytest.approx(62.5)
    assert np.mean([row["pck_150"] for row in report["per_sequence"].values()]) != pytest.approx(62.5)


def test_mpi_inf_3dhp_takes_the_prediction_as_it_is(poses):
    _, truth = poses
    shifted = report_of(truth + [0, 0, 160.0], truth, "mpi_inf_3dhp")
    assert shifted["pck_150"] == 0
    assert shifted["mpjpe"] == pytest.approx(160)


def test_3dpw_counts_14_joints_about_the_pelvis_and_aligns_them_alone(poses):
    wrong, truth = poses
    report = report_of(wrong + [0, 0, 160.0], truth, "3dpw")
    assert report["mpjpe_14"] == pytest.approx((14 * (100 + 100 + 1000) + 7 * 150) / (4 * 14))
    aligned = procrustes_align(wrong[:, COMMON_JOINTS], truth[:, COMMON_JOINTS])
    expected = np.linalg.norm(aligned - truth[:, COMMON_JOINTS], axis=-1).mean()
    assert report["pa_mpjpe_14"] == pytest.approx(expected)
    assert report["pa_mpjpe"] > 10 * report["pa_mpjpe_14"]  # the 17 hold torso and nose


def test_the_printed_tables_count_whole_frames(poses):
    sequences = np.array(["TS1", "TS1", "TS1", "TS2"])
    report = evaluate(
        *poses, np.array(["Sitting"] * 4), scoring=PROTOCOLS["mpi_inf_3dhp"], sequences=sequences, frames=np.arange(4)
    )
    rows = [line.split() for line in report.text().splitlines() if line.startswith("TS")]
    assert [row[:2] for row in rows] == [["TS1", "3"], ["TS2", "1"]]
    assert [row[4] for row in rows] == [f"{100 * 35 / 42:.2f}", "0.00"]
