"""Reading motion-capture text files: bounded size, numbered lines, errors that name file and line."""

from pathlib import Path

from lib.errors import UserError

MAX_BYTES = 256 * 2**20
"""Larger files are refused before they are read; an hour at 120 frames a second fits many times."""

MAX_JOINTS = 1000
"""More joints or bones than any skeleton has; bounds all memory that depends on the hierarchy."""

MAX_NUMBER = 1e9
"""Larger lengths and angles come from damage, and would overflow when squared and multiplied."""


class Lines:
    """The non-empty lines of a text file, one at a time, with the position kept for error messages."""

    def __init__(self, path: Path, comment: str | None = None):
        self.path = Path(path)
        if not self.path.is_file():
            raise UserError(f"{self.path}: no such file")
        if self.path.stat().st_size > MAX_BYTES:
            raise UserError(f"{self.path}: larger than {MAX_BYTES >> 20} MiB; cut the recording into shorter files")
        # Real files hold author names in 8-bit code pages; Latin-1 reads every byte and all keywords are ASCII.
        text = self.path.read_bytes().decode("latin-1")
        if "\0" in text:
            raise UserError(f"{self.path}: binary data, not a motion-capture text file")
        self.number = 0
        self._lines = iter(text.splitlines())
        self._comment = comment

    def __iter__(self):
        for line in self._lines:
            self.number += 1
            if self._comment is not None:
                line = line.split(self._comment, 1)[0]
            words = line.split()
            if words:
                yield words

    def error(self, problem: str) -> UserError:
        """A UserError for the current line, to be raised by the caller."""
        return UserError(f"{self.path}, line {self.number}: {problem}")

    def floats(self, words: list[str], count: int) -> list[float]:
        """Exactly `count` numbers within MAX_NUMBER, or an error for the current line."""
        if len(words) != count:
            raise self.error(f"{len(words)} numbers, expected {count}")
        try:
            values = list(map(float, words))
        except ValueError:
            raise self.error(f"a number was expected in '{' '.join(words)[:60]}'") from None
        if not all(-MAX_NUMBER <= v <= MAX_NUMBER for v in values):  # False for NaN, too
            raise self.error(f"a number is not a number or not within +-{MAX_NUMBER:.0e}")
        return values
