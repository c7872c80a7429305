"""Several questions at a time, whose answers nobody has to wait for.

``concurrent.futures`` waits for its threads when a ``with`` ends and once more at exit: Ctrl-C would be obeyed when the
slowest provider has answered.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def side_by_side(act: Callable[[T], R], items: Iterable[T], parallel: int) -> Iterator[R]:
    """``act`` of each item, at most ``parallel`` at a time, in their order. Raises what ``act`` does.

    When the caller stops listening no more are begun, and those that were go on unheard.
    """
    jobs = [(item, Future[R]()) for item in items]
    waiting = deque(jobs)
    threads = [threading.Thread(target=_work, args=(act, waiting), daemon=True) for _ in jobs[:parallel]]
    for thread in threads:
        thread.start()
    try:
        for _, answer in jobs:
            yield answer.result()
    finally:
        waiting.clear()


def _work(act: Callable[[T], R], waiting: deque[tuple[T, Future[R]]]) -> None:
    while True:
        try:
            item, answer = waiting.popleft()
        except IndexError:
            return
        try:
            answer.set_result(act(item))
        except BaseException as error:
            answer.set_exception(error)
