"""Questions are asked side by side, and nobody has to wait for those who do not answer."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from aiops.verify.side_by_side import side_by_side

INTERRUPTED = """
import signal, sys, time
from aiops.verify.side_by_side import side_by_side

def ask(seconds):
    print("asked", flush=True)
    time.sleep(seconds)

list(side_by_side(ask, [600.0, 600.0], 2))
"""


def test_answers_come_in_the_order_of_the_questions() -> None:
    turns = [threading.Event() for _ in range(3)]

    def act(number: int) -> int:
        if number < 2:
            assert turns[number + 1].wait(10)  # the later ones answer first
        turns[number].set()
        return number * 2

    assert list(side_by_side(act, range(3), 3)) == [0, 2, 4]


def test_no_more_are_asked_at_a_time_than_may_be() -> None:
    lock, now, most = threading.Lock(), [0], [0]

    def act(_: int) -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        threading.Event().wait(0.01)
        with lock:
            now[0] -= 1

    list(side_by_side(act, range(12), 3))
    assert most[0] <= 3


def test_what_goes_wrong_is_raised_where_the_answer_would_be() -> None:
    answers = side_by_side(lambda number: 1 // number, [1, 0], 1)
    assert next(answers) == 1
    with pytest.raises(ZeroDivisionError):
        next(answers)


def test_who_stops_listening_has_no_more_asked() -> None:
    asked: list[int] = []
    heard, others = threading.Event(), set(threading.enumerate())

    def act(number: int) -> None:
        asked.append(number)
        if number:
            assert heard.wait(10)

    answers = side_by_side(act, range(100), 1)
    next(answers)
    answers.close()
    heard.set()
    for thread in set(threading.enumerate()) - others:
        thread.join(10)
    assert len(asked) <= 2


def test_ctrl_c_does_not_wait_for_an_answer() -> None:
    child = subprocess.Popen([sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert child.stdout is not None
    try:
        child.stdout.readline()
        child.send_signal(signal.SIGINT)
        assert child.wait(60) == -signal.SIGINT
    finally:
        child.kill()
        child.wait()
