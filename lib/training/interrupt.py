"""Stopping between two steps when the system or the user asks."""

import signal
from types import FrameType


class StopRequest:
    """While active, Ctrl-C and SIGTERM set `signal` instead of ending the process; a second Ctrl-C ends it at once."""

    def __init__(self):
        self.signal: signal.Signals | None = None
        self._previous: dict = {}

    def __enter__(self) -> "StopRequest":
        self._previous = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = signal.Signals(number)

    @property
    def exit_code(self) -> int:
        """128 + signal number: 130 for Ctrl-C, 143 for SIGTERM; 0 while there was none."""
        return 0 if self.signal is None else 128 + int(self.signal)
