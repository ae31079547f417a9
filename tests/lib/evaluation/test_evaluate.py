from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from lib.errors import UserError
from lib.evaluation.evaluate import Evaluator, describe_protocol, predict
from lib.joints import HUMAN36M_17
from tests.tables import FIVE_JOINTS, random_table

CPU = torch.device("cpu")
TABLE = random_table(7, seed=1, joints=FIVE_JOINTS)


def state_of(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


class Echo(nn.Module):
    """Answers every pose with numbers that name it, and notes the batches it saw."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, pose2d):
        self.seen.append(pose2d[:, 0, 0].tolist())
        pose3d = torch.cat([pose2d, pose2d[..., :1]], -1)
        return type("Output", (), {"pose3d": pose3d, "meshes": (pose3d[:, :2], pose3d[:, :3])})()


def test_predictions_stand_in_the_samples_own_order_whatever_the_order_of_testing():
    pose2d = np.arange(5, dtype=np.float32)[:, None, None] * np.ones((5, 4, 2), np.float32)
    model = Echo()
    predictions = predict(model, pose2d, 2, CPU, order=np.array([3, 0, 4, 1, 2]))
    assert model.seen == [[3, 0], [4, 1], [2]]
    np.testing.assert_array_equal(predictions.pose3d[:, 0, 0], [0, 1000, 2000, 3000, 4000])  # metres to mm
    np.testing.assert_array_equal(predictions.meshes[1][:, 0, 0], [0, 1, 2, 3, 4])  # metres
    assert [m.shape for m in predictions.meshes] == [(5, 2, 3), (5, 3, 3)]


def test_predicting_uses_running_statistics_and_leaves_them_alone(small_hgn):
    small_hgn.train()
    before = state_of(small_hgn)
    one = predict(small_hgn, TABLE.pose2d, 3, CPU).pose3d
    assert not small_hgn.training
    np.testing.assert_allclose(one, predict(small_hgn, TABLE.pose2d, 7, CPU).pose3d, atol=1e-3)
    after = small_hgn.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_shuffled_testing_reports_the_same(small_hgn):
    evaluators = [Evaluator({"a": TABLE}, FIVE_JOINTS, CPU, 3, shuffle) for shuffle in (False, True)]
    (a, _), (b, _) = (evaluator.run("a", small_hgn, "w") for evaluator in evaluators)
    np.testing.assert_allclose(a.mpjpe, b.mpjpe, rtol=1e-6)
    assert list(a.per_action) == list(b.per_action)


def test_an_output_that_is_not_finite_is_an_error_that_names_the_weights_and_a_sample(small_hgn):
    with torch.no_grad():
        small_hgn.outputs[0].bias.fill_(float("nan"))
    with pytest.raises(UserError, match=r"epoch 3: .*not finite for 7 of 7 samples, the first is picture_000000"):
        Evaluator({"a": TABLE}, FIVE_JOINTS, CPU).run("a", small_hgn, "epoch 3")


def test_the_protocol_says_split_count_input_and_that_the_root_counts():
    text = describe_protocol("Human36M", "test", TABLE, HUMAN36M_17)
    for words in ("Human36M", "test split", "7 samples", "ground-truth 2D", "17 joints", "own zero is included"):
        assert words in text
    detected = replace(TABLE, input2d="detected")
    assert "detected 2D" in describe_protocol("Human36M", "test", detected, HUMAN36M_17)


def test_a_protocol_that_leaves_the_prediction_unchanged_does_not_say_that_it_is_taken_relative_to_its_root():
    text = describe_protocol("MPIINF3DHP", "test", replace(TABLE, protocol="mpi_inf_3dhp"), HUMAN36M_17)
    assert "the truth relative to the Pelvis" in text
    assert "whose own zero" not in text


def test_the_evaluator_takes_the_root_from_the_joint_set(small_hgn):
    last = replace(FIVE_JOINTS, root=4)
    pose3d = TABLE.pose3d - TABLE.pose3d[:, 4:]
    report, predictions = Evaluator({"a": replace(TABLE, pose3d=pose3d)}, last, CPU).run("a", small_hgn, "w")
    relative = predictions.pose3d - predictions.pose3d[:, 4:]
    expected = np.linalg.norm(relative - 1000 * pose3d, axis=-1).mean()
    np.testing.assert_allclose(report.mpjpe, expected, rtol=1e-5)
