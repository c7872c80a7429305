"""For processes under libfaketime. Its clock_nanosleep, which ``time.sleep`` is, fails with EINVAL when the monotonic
clock is left alone (0.9.10); with that one moved, waiting for a lock takes the whole difference."""

import select
import time


def _sleep(seconds: float) -> None:
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    select.select([], [], [], seconds)


time.sleep = _sleep
