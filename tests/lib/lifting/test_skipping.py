import pytest

from lib.errors import UserError
from lib.lifting.skipping import problem_of, skipping


def halved(number):
    if number % 2:
        raise UserError(f"{number} is odd")
    return number // 2, [f"{number} was halved"] if number else []


def test_what_cannot_be_used_is_skipped_with_a_line_in_its_place():
    assert skipping(halved, [4, 3, 0, 8]) == ([2, 0, 4], ["4 was halved", "skipped: 3 is odd", "8 was halved"])


def test_where_nothing_can_be_used_every_line_is_a_problem():
    results, lines = skipping(halved, [3, 5])
    assert results == []
    assert [str(problem_of(line)) for line in lines] == ["3 is odd", "5 is odd"]


def test_other_errors_come_through():
    with pytest.raises(TypeError):
        skipping(halved, [None])
