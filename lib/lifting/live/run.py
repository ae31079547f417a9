"""A live session: images in, people lifted, shown to whoever has the page open, until it ends or is stopped."""

import threading
import time
from collections import deque
from dataclasses import dataclass, field

from lib.errors import UserError
from lib.lifting.detectors.people import PeopleFinder
from lib.lifting.live.board import Board, Shown
from lib.lifting.live.capture import Capture
from lib.lifting.live.live_lifter import LiveLifter
from lib.lifting.live.sources import Source

RATE_OVER = 2.0
"""Seconds over which the shown frame rate is counted."""


@dataclass
class LiveSession:
    """What became of a session: frames shown and dropped, seconds it took, of which detection and lifting, and notes, which are
    lines about how it ended."""

    shown: int = 0
    dropped: int = 0
    seconds: float = 0.0
    detected: float = 0.0
    lifted: float = 0.0
    notes: list[str] = field(default_factory=list)

    def count(self, detected: float, lifted: float) -> None:
        """A frame was shown, after so many seconds of each."""
        self.shown, self.detected, self.lifted = self.shown + 1, self.detected + detected, self.lifted + lifted

    def __str__(self) -> str:
        count = max(self.shown, 1)
        return (
            f"live: {self.shown} frames in {self.seconds:.1f} s ({self.shown / max(self.seconds, 1e-9):.1f} per second), "
            f"{self.dropped} dropped; a frame was searched in {1000 * self.detected / count:.0f} ms and lifted in "
            f"{1000 * self.lifted / count:.0f} ms"
        )


def run_live(
    source: Source, finder: PeopleFinder, lifter: LiveLifter, board: Board, stop: threading.Event
) -> LiveSession:
    """Show the source's frames on the board until it ends or stop is set; then the board says why. stop is set afterwards, so
    that the source is let go.

    A source that breaks, or changes the size of its images, ends the session with a line; what was found is kept.
    """
    capture, session = Capture(source, stop), LiveSession()
    begin = time.perf_counter()
    moments: deque[float] = deque()
    try:
        for captured in capture.frames():
            waited, start = time.time() - captured.time, time.perf_counter()
            people = finder.see(captured.number, captured.image)
            found = time.perf_counter()
            shown, lines = lifter(people)
            end = time.perf_counter()
            session.count(found - start, end - found)
            moments.append(end)
            while end - moments[0] > RATE_OVER:
                moments.popleft()
            rate = (len(moments) - 1) / max(end - moments[0], 1e-9)
            times = (max(waited, 0.0), found - start, end - found)
            board.publish(Shown(captured, shown, lines, *times, source.rate, rate, capture.dropped))
        session.notes += [] if stop.is_set() else source.ending()
    except UserError as problem:
        session.notes.append(f"warning: {problem}")
    finally:
        stop.set()
        session.dropped, session.seconds = capture.dropped, time.perf_counter() - begin
        board.end(session.notes[0] if session.notes else f"{source.name}: stopped")
    return session
