"""Ctrl-C as the usual end of a live session."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Yield an event that the first Ctrl-C, or the first SIGTERM, sets; from the second on both act as they did before.

    For the main thread.
    """
    stop = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def first(number, frame) -> None:
        restore()
        stop.set()

    for number in before:
        signal.signal(number, first)
    try:
        yield stop
    finally:
        restore()
