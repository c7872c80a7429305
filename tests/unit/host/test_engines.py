"""Which of an instance's containers is the one to run."""

from __future__ import annotations

from aiops.host.engines import Container, current, runtime_of

OLD = Container("aiops-x-9", "running", "image-a", "1")
NEW = Container("aiops-x-10", "running", "image-b", "2")


def test_it_is_the_newest_of_the_image_that_was_committed() -> None:
    assert current([OLD, NEW], "image-b") == NEW
    assert current([OLD, NEW], "image-a") == OLD, "one that was never confirmed does not count"
    later = Container("aiops-x-11", "created", "image-a", "3")
    assert current([OLD, NEW, later], "image-a") == later


def test_without_a_commit_or_with_its_image_gone_it_is_the_newest_there_is() -> None:
    assert current([OLD, NEW], None) == NEW
    assert current([OLD, NEW], "image-c") == NEW
    assert current([], "image-a") is None


def test_an_image_is_named_alike_by_both_engines() -> None:
    assert runtime_of("sha256:0123456789abcdef") == runtime_of("0123456789abcdef") == "image-0123456789ab"
