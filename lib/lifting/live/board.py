"""The newest result of a live session, which any number of readers wait for."""

import threading
from dataclasses import dataclass

from lib.lifting.live.capture import Captured
from lib.lifting.live.live_lifter import LivePerson


@dataclass(frozen=True)
class Shown:
    """One frame as it is shown: its people, and lines about those who are not lifted; seconds that it waited, and was
    searched and lifted in; frames per second, of the source and shown; how many were dropped so far."""

    captured: Captured
    people: list[LivePerson]
    lines: list[str]
    waited: float
    detected: float
    lifted: float
    source_rate: float
    rate: float
    dropped: int


class Board:
    """Holds one `Shown`; ended: why no more will come, None while more may; asked: whether anybody ever asked for one."""

    def __init__(self):
        self._change = threading.Condition()
        self._shown: Shown | None = None
        self.ended: str | None = None
        self.asked = False

    def publish(self, shown: Shown) -> None:
        """Replace what is held."""
        with self._change:
            self._shown = shown
            self._change.notify_all()

    def end(self, why: str) -> None:
        """No more will come."""
        with self._change:
            self.ended = why
            self._change.notify_all()

    def newer(self, number: int, seconds: float) -> Shown | None:
        """The newest frame, once its number exceeds this; None if there is none after that many seconds or `ended`."""
        with self._change:
            self.asked = True
            self._change.wait_for(lambda: self.ended or self._has(number), seconds)
            return self._shown if self._has(number) else None

    def _has(self, number: int) -> bool:
        return self._shown is not None and self._shown.captured.number > number
