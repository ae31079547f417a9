import pytest
import torch

from lib.training.mixing import epoch_length, mixed_order


def order(lengths, shuffle=True, seed=0):
    return mixed_order(lengths, shuffle, torch.Generator().manual_seed(seed))


def test_one_set_gives_each_row_once_in_order_or_shuffled():
    assert order([7], shuffle=False).tolist() == list(range(7))
    shuffled = order([50]).tolist()
    assert shuffled != list(range(50))
    assert sorted(shuffled) == list(range(50))


def test_an_epoch_of_several_sets_is_as_long_as_all_of_them_filled_up_to_the_longest():
    assert epoch_length([9]) == 9
    assert epoch_length([3, 10, 4]) == 30
    assert len(order([3, 10, 4])) == 30


def test_every_set_comes_equally_often_however_long_it_is():
    rows = order([10, 4000])
    share = (rows < 10).float().mean()
    # 8,000 draws with probability 1/2: a standard deviation is 0.0056
    assert abs(share - 0.5) < 5 * 0.0056
    assert 0 <= rows.min() <= rows.max() < 4010


def test_a_shorter_set_comes_round_in_turn_so_that_no_row_is_ahead_by_more_than_one():
    rows = order([7, 100])
    counts = torch.bincount(rows[rows < 7], minlength=7)
    assert counts.max() - counts.min() <= 1
    assert counts.min() > 5
    own = rows[rows < 7]
    assert own[:7].sort().values.tolist() == own[7:14].sort().values.tolist() == list(range(7))
    assert own[:7].tolist() != own[7:14].tolist()  # in a new order


def test_a_set_drawn_more_often_than_it_is_long_goes_round_too():
    rows = order([6, 6], seed=3)
    counts = torch.bincount(rows, minlength=12)
    assert len(rows) == 12
    for part in (counts[:6], counts[6:]):
        assert part.max() - part.min() <= 1


def test_without_shuffling_each_set_s_rows_come_in_order_but_the_sets_still_mix():
    rows = order([3, 5], shuffle=False)
    first, second = rows[rows < 3], rows[rows >= 3] - 3
    assert first.tolist() == [i % 3 for i in range(len(first))]
    assert second.tolist() == [i % 5 for i in range(len(second))]
    assert len(first)
    assert len(second)


@pytest.mark.parametrize("lengths", [[5], [3, 8], [4, 1, 9]])
def test_the_order_follows_from_the_generator_alone(lengths):
    assert order(lengths, seed=1).tolist() == order(lengths, seed=1).tolist()
    assert order(lengths, seed=1).tolist() != order(lengths, seed=2).tolist()
