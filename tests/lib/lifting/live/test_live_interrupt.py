import os
import signal

import pytest

from lib.lifting.live.interrupt import stop_on_signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_to_stop_and_the_second_acts_as_ever(number):
    reached = []
    before = signal.signal(number, lambda *_: reached.append(number))
    try:
        with stop_on_signals() as stop:
            assert not stop.is_set()
            os.kill(os.getpid(), number)
            assert stop.is_set()
            assert reached == []
            os.kill(os.getpid(), number)
            assert reached == [number]
    finally:
        signal.signal(number, before)


def test_afterwards_signals_act_as_before():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with stop_on_signals():
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] != before
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
