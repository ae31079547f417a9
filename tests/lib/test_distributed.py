"""Two and three ranks do what one process does. The same experiments (tests/lib/ranks.py) run in all three."""

import numpy as np
import pytest
import torch
from torch import nn

from lib.distributed import ALONE, GlobalBatchNorm1d, Group, process_group
from lib.graph.scales import build_scales
from lib.training import reporter
from tests.ranks import DETERMINISTIC, SAMPLES, everything, launch
from tests.tables import FIVE_JOINTS


@pytest.fixture(scope="module")
def found(icosphere, repository, tmp_path_factory):
    """{number of ranks: what each rank found}; 1 is a process without torchrun."""
    scales = build_scales(FIVE_JOINTS, icosphere(1), coarsen_levels=3)
    folder = tmp_path_factory.mktemp("ranks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reporter, "draw_curves", lambda *_: None)
        patch.setenv("PYTHONPATH", str(repository))
        alone = everything(scales, folder)
        return {1: [alone], 2: launch(2, everything, scales, folder), 3: launch(3, everything, scales, folder)}


@pytest.fixture(scope="module", params=[pytest.param(count, marks=pytest.mark.slow) for count in (2, 3)])
def ranks(found, request):
    return found[request.param]


@pytest.fixture(scope="module")
def alone(found):
    return found[1][0]


def assert_close(a: dict, b: dict, tolerance: float) -> None:
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=0, atol=tolerance, err_msg=name)


def assert_same_report(a: dict, b: dict, tolerance: float) -> None:
    """Errors in mm within the tolerance, everything else equal."""
    assert a.keys() == b.keys()
    for name, value in a.items():
        if isinstance(value, dict):
            assert_same_report(value, b[name], tolerance)
        elif isinstance(value, float):
            assert value == pytest.approx(b[name], rel=0, abs=tolerance), name
        else:
            assert value == b[name], name


@pytest.mark.parametrize(("count", "size"), [(8, 1), (8, 2), (8, 3), (7, 3), (1, 3), (0, 2), (64, 5)])
def test_shares_are_contiguous_complete_and_differ_by_one_at_most_with_the_most_on_rank_0(count, size):
    shares = [list(range(count))[Group(rank, size).shard(count)] for rank in range(size)]
    assert [item for share in shares for item in share] == list(range(count))
    lengths = [len(share) for share in shares]
    assert max(lengths) - min(lengths) <= 1
    assert lengths == sorted(lengths, reverse=True)


def test_a_process_without_torchrun_is_alone_and_starts_no_process_group():
    with process_group() as group:
        assert group is ALONE
        assert not torch.distributed.is_initialized()


def test_each_rank_takes_its_share_of_the_global_batch(ranks):
    rows = np.array([[step["rows"] for step in rank["steps"]] for rank in ranks])
    assert rows.sum(0).tolist() == [8, 1]
    assert rows.sum() == SAMPLES
    assert rows[:, 1].tolist() == [1] + [0] * (len(ranks) - 1)


def test_the_same_global_batch_gives_the_loss_and_gradients_of_one_process(ranks, alone):
    assert max(np.abs(value).max() for name, value in alone["steps"][0].items() if "bn" in name) > 1e-3
    for rank in ranks:
        for step, expected in zip(rank["steps"], alone["steps"], strict=True):
            assert_close(step | {"rows": 0}, expected | {"rows": 0}, 1e-9)


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_so_do_the_gradients_of_every_network(ranks, alone, name):
    for rank in ranks:
        for step, expected in zip(rank["networks"][name], alone["networks"][name], strict=True):
            largest = max(np.abs(value).max() for value in expected.values())
            assert_close(step | {"rows": 0}, expected | {"rows": 0}, 1e-9 * max(largest, 1))


def test_global_batch_norm_is_the_batch_norm_of_all_rows_also_far_from_zero_in_float32(ranks, alone):
    assert [len(rank["moments"]["x"]) for rank in ranks] == [6, 7, 0][: len(ranks)]
    for rank in ranks:
        rows = {name: np.concatenate([r["moments"][name] for r in ranks]) for name in ("x", "y")}
        assert_close(rank["moments"] | rows, alone["moments"], 5e-5)  # float32 sums of squares would give 6e-4


def test_global_batch_norm_has_the_parameters_of_batch_norm_and_needs_no_group_to_evaluate():
    torch.manual_seed(0)
    plain, ours, x = nn.BatchNorm1d(3), GlobalBatchNorm1d(3), torch.randn(5, 3)
    plain(x)
    ours.load_state_dict(plain.state_dict())
    assert torch.equal(ours.eval()(x), plain.eval()(x))


@pytest.mark.parametrize("index", [0, 1], ids=["11 samples", "fewer samples than ranks"])
def test_a_sharded_evaluation_gives_the_numbers_of_one_process_and_counts_every_sample_once(ranks, alone, index):
    expected = alone["report"][index]
    for rank in ranks:
        assert_same_report(rank["report"][index]["report"], expected["report"], 1e-6)
    assert expected["report"]["num_samples"] == (11, 1)[index]
    for name in ("pose3d", "fine"):
        np.testing.assert_allclose(ranks[0]["report"][index][name], expected[name], rtol=0, atol=1e-9)


def test_a_sharded_evaluation_in_float32_differs_by_rounding_only(ranks, alone):
    expected = alone["float32 report"]["report"]
    assert_same_report(ranks[0]["float32 report"]["report"], expected, 1e-6 * expected["mpjpe"])


def test_an_epoch_gives_the_weights_and_the_log_of_one_process(ranks, alone):
    for rank in ranks:
        assert_close(rank["epoch"]["weights"], alone["epoch"]["weights"], 1e-5)
        (entry,), (expected,) = rank["epoch"]["log"], alone["epoch"]["log"]
        assert_same_report(entry, expected, 1e-5)


def test_an_average_of_weights_and_its_statistics_are_those_of_one_process(ranks, alone):
    plain, averaged = alone["epoch"]["weights"], alone["averaged"]["weights"]
    for name in ("input_conv.gconv.weight", "input_conv.bn.running_mean"):
        assert np.abs(plain[name] - averaged[name]).max() > 1e-6
    for rank in ranks:
        assert_close(rank["averaged"]["weights"], averaged, 1e-5)


def test_all_ranks_end_an_epoch_with_the_same_weights_and_statistics(ranks):
    for experiment in ("epoch", "not finite"):
        for rank in ranks[1:]:
            assert_close(rank[experiment]["weights"], ranks[0][experiment]["weights"], 1e-12)
    for rank in ranks[1:]:
        assert_close(rank["separate statistics"]["weights"], ranks[0]["separate statistics"]["weights"], 1e-12)


def test_without_sync_bn_every_rank_has_statistics_of_its_share_as_dataparallel_has(ranks, alone):
    weights, whole = ranks[0]["separate statistics"]["weights"], alone["epoch"]["weights"]
    assert all(np.isfinite(value).all() for value in weights.values())
    assert np.abs(weights["input_conv.bn.running_mean"] - whole["input_conv.bn.running_mean"]).max() > 1e-6


def test_a_batch_that_is_not_finite_on_one_rank_is_left_out_on_all(ranks, alone):
    assert alone["not finite"]["skipped"] == 1
    for rank in ranks:
        assert rank["not finite"]["skipped"] == 1
        assert_close(rank["not finite"]["weights"], alone["not finite"]["weights"], 1e-5)


@pytest.mark.slow
def test_a_signal_to_one_rank_stops_all_after_the_same_step_and_resuming_with_more_ranks_changes_nothing(found):
    assert [rank["signalled"] for rank in found[2]] == [{"code": 143, "step": 1}] * 2
    for rank in found[3]:
        assert_close(rank["resumed"]["weights"], found[1][0]["resumed"]["weights"], 1e-5)
        for entry, expected in zip(rank["resumed"]["log"], found[1][0]["resumed"]["log"], strict=True):
            assert_same_report(entry, expected, 1e-5)


def test_only_one_rank_writes_the_files_that_one_process_writes(ranks, alone):
    assert alone["epoch"]["files"] == ["best.pth.tar", "config.yml", "last.pth.tar", "log.jsonl"]
    assert all(rank["epoch"]["files"] == alone["epoch"]["files"] for rank in ranks)


@pytest.mark.slow
def test_rank_0_goes_first_then_one_process_of_every_other_host_then_the_rest(found):
    # A rank reads the file within or after its turn, so the last one has seen all.
    assert found[2][1]["turns"] == "01"
    assert found[3][2]["turns"] == "012"
    assert all("012".startswith(rank["turns"]) for rank in found[3])


def test_a_rank_with_another_setting_names_it_and_rank_0_does_not_complain(ranks):
    assert ranks[0]["different"] == ""
    assert all(rank["different"].startswith("TRAIN.lr is 0.2 here but 0.1 on rank 0") for rank in ranks[1:])


def test_ranks_agree_on_maxima_and_on_what_rank_0_says_which_alone_gets_all_values(ranks):
    count = len(ranks)
    assert [rank["agreement"] for rank in ranks] == [[[count - 1, 0], 0, list(range(count))]] + [
        [[count - 1, 0], 0, None]
    ] * (count - 1)
