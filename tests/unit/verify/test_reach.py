"""Who answers at the address of a replica: the one that is meant, another one, no gateway at all, or nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from aiops.verify.check import Failed
from aiops.verify.replicas import reach
from aiops.verify.replicas.tenant import Replica
from tests.unit.verify.answering import answering

NAMES = {"1": "box-1", "2": "box-2"}
NOBODY = "http://127.0.0.1:1"
WELL = {"accountant": "pass", "store": "pass", "redis": "pass", "counters": "pass", "usage": "pass"}
Serve = Callable[..., Replica]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A replica that says this when it is asked how it is, one after the other, and then the last one again."""
    with ExitStack() as stack:

        def serving(*said: object) -> Replica:
            left = list(said)
            url = stack.enter_context(answering(lambda path: (200, left[0] if len(left) == 1 else left.pop(0))))
            return Replica("1", "box-1", url)

        yield serving


def test_who_is_meant_is_told_from_everybody_else(serve: Serve) -> None:
    def who(*said: object) -> str:
        return reach.identity(serve(*said), NAMES, 5.0)

    assert who({"checks": {"replica": "1"}}).startswith("it is box-1 that answers at http://127.0.0.1:")
    with pytest.raises(Failed, match=r"is answered by box-2, not by box-1; .*`--at box-1=URL` says where"):
        who({"checks": {"replica": "2"}})
    with pytest.raises(Failed, match="is answered by another gateway, not by box-1"):
        who({"checks": {"replica": "3"}})
    with pytest.raises(Failed, match="does not say which gateway it is: `aiops upgrade` it"):
        who({"checks": {"port": "pass"}})
    for other in ({"status": "ok"}, [], {"checks": "pass"}):
        with pytest.raises(Failed, match=r"is no gateway of aiops; .*`--at box-1=URL`"):
            who(other)


def test_where_nobody_answers_it_is_said_where_it_was_looked_for() -> None:
    with pytest.raises(Failed, match=r"^nobody answers at http://127\.0\.0\.1:1: .*`--at box-1=URL` says where"):
        reach.identity(Replica("1", "box-1", NOBODY), NAMES, 5.0)


def test_one_worker_that_lacks_something_is_enough(serve: Serve) -> None:
    """The next one may say that all is well."""
    said = "accountant pass, store pass, redis pass, counters pass, usage pass"
    assert reach.stores(serve({"checks": WELL}), 5.0) == said
    lost = {"checks": {**WELL, "redis": "lost"}}
    with pytest.raises(Failed, match="redis lost, counters pass"):
        reach.stores(serve({"checks": WELL}, lost, {"checks": WELL}), 5.0)
    with pytest.raises(Failed, match="it says nothing of them"):
        reach.stores(serve({"checks": {"replica": "1"}}), 5.0)
