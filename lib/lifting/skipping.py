"""People used one after the other: who cannot be used is skipped with a line, and the others go on."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from lib.errors import UserError

MARK = "skipped: "
"""How a line about a skipped item begins."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def skipping(use: Callable[[Item], tuple[Result, list[str]]], items: Iterable[Item]) -> tuple[list[Result], list[str]]:
    """What becomes of the items that can be used, in their order, and the lines about all items.

    use: an item to its result and lines about it. An item for which it raises a UserError is skipped; a line says why.
    """
    results: list[Result] = []
    lines: list[str] = []
    for item in items:
        try:
            result, more = use(item)
        except UserError as problem:
            lines.append(f"{MARK}{problem}")
            continue
        results.append(result)
        lines += more
    return results, lines


def problem_of(line: str) -> UserError:
    """The error that a line about a skipped item was made of: to be raised where no item is left."""
    return UserError(line.removeprefix(MARK))
