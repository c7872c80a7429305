"""The settings in the record of a generation, also of one that an older version made."""

from __future__ import annotations

import json

import pytest

from aiops.render.routes import read_routes, routes_json
from aiops.spec.routes.kept import Container, Gateway, Kept, Verify

OLDEST = {"gateway.host": "127.0.0.1", "gateway.port": 4000}


def test_what_an_older_version_did_not_record_has_the_default_of_the_files() -> None:
    from aiops.spec.shapes import settings as shapes

    settings = shapes.Settings(gateway=shapes.Gateway(port=4000))
    kept = Kept.of(OLDEST)
    assert kept.gateway == Gateway(settings.gateway.host, settings.gateway.port)
    assert kept.verify == Verify(settings.verify.timeout, settings.verify.billable)
    assert kept.supervisor == settings.supervisor
    assert kept.master_key_file == settings.master_key_file
    assert kept.container is None
    assert Kept.of({**OLDEST, "container.image": "i:1"}).container == Container("i:1", settings.container.engine)


def test_what_is_recorded_is_what_verbs_ask_for() -> None:
    kept = Kept.of(
        {
            "container.engine": "podman",
            "container.image": "gateway:2",
            "gateway.host": "::1",
            "gateway.port": 4100,
            "master_key_file": "/keys/master",
            "supervisor": "container",
            "verify.billable": True,
            "verify.timeout": 5,
        }
    )
    assert kept.gateway == Gateway("::1", 4100)
    assert kept.container == Container("gateway:2", "podman")
    assert (kept.supervisor, kept.master_key_file, kept.verify) == ("container", "/keys/master", Verify(5.0, True))


def test_names_that_only_another_version_knows_are_kept_as_they_are_written() -> None:
    recorded = {**OLDEST, "cache.kind": "redis", "rate_limited.cooldown": 3}
    written = json.dumps(
        {"providers": {}, "routes": [], "settings": recorded, "unrouted": []}, sort_keys=True, separators=(",", ":")
    )
    table, summary = read_routes(written.encode())
    assert summary.settings.recorded == recorded
    assert json.loads(routes_json(table, summary))["settings"] == recorded


def test_a_record_without_an_address_is_damaged_and_not_guessed() -> None:
    with pytest.raises(KeyError, match=r"gateway\.host"):
        Kept.of({})
