"""What is put off at the import answers as stock LiteLLM does: two processes, asked the same, say the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.kit.warm.product import ROOT

# The list of paths comes first: it has to be whole although nobody has asked for anything yet.
ASKED = (
    "/openapi.json", "/routes", "/key/info", "/key/info/", "/key/generate", "/global/spend/report", "/spend/logs",
    "/budget/list", "/user/info", "/user/daily/activity", "/team/list", "/organization/list", "/customer/list",
    "/model/info", "/v1/batches", "/v1/files", "/files/", "/sso/key/generate", "/rerank", "/health", "/nothing/there",
)  # fmt: skip
PROGRAM = """
import asyncio, json, sys
from aiops.gateway.worker import put_off, runtime
from aiops.gateway.worker.put_off_modules import PASSED_BY
runtime.prepare_environment()
with runtime.without_collection():
    runtime.load()
import httpx
from fastapi.routing import iter_route_contexts

app = runtime.app()
imported = len(sys.modules)
waiting = put_off.waiting()

async def ask():
    answers = {}
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://self") as client:
        for path in json.loads(sys.argv[1]):
            for method in ("GET", "POST", "DELETE"):
                answer = await client.request(method, path)
                answers[f"{method} {path}"] = [answer.status_code, answer.headers.get("allow"), answer.text]
    return answers

async def pass_by():
    async def answer(scope, receive, send):
        await put_off.make_ready_for(app, scope)
        await app(scope, receive, send)
    transport = httpx.ASGITransport(app=answer, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://self") as client:
        return {path: (await client.post(path)).status_code for path in sorted(PASSED_BY) if "realtime" not in path}

late = [stand_in for stand_in in put_off._finder.waiting.values()] if put_off._finder else []
passed = asyncio.run(pass_by())
after = put_off.waiting()
answers = asyncio.run(ask())
matched = [
    [path, route.path]
    for stand_in in late for router in stand_in.routers().values() for route in router.routes
    for path in PASSED_BY if route.path_regex.match(path)
]
routes = [[route.path, sorted(route.methods or ()), route.name] for route in iter_route_contexts(app.routes)]
json.dump(
    {"answers": answers, "routes": routes, "imported": imported, "waiting": waiting, "left": put_off.waiting(),
     "notes": put_off.notes, "passed": passed, "waiting_after": after, "matched": matched}, sys.stdout)
"""


def gateway(more: Mapping[str, str]) -> dict[str, Any]:
    # The same seed: LiteLLM lists the methods of a route in the order of a set.
    environment = {**os.environ, "PYTHONHASHSEED": "0", **more}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    argv = (sys.executable, "-c", PROGRAM, json.dumps(ASKED))
    done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout)
    assert isinstance(said, dict)
    return said


@pytest.fixture(scope="module")
def both() -> tuple[dict[str, Any], dict[str, Any]]:
    with ThreadPoolExecutor(2) as pool:
        ours, stock = pool.map(gateway, ({}, {"AIOPS_GATEWAY_WHOLE_IMPORT": "1"}))
    return ours, stock


def test_the_locked_litellm_is_used_as_the_list_expects(both: tuple[dict[str, Any], dict[str, Any]]) -> None:
    ours, stock = both
    assert ours["notes"] == []
    assert len(ours["waiting"]) > 30
    assert ours["imported"] < stock["imported"] - 150
    assert stock["waiting"] == []
    assert stock["notes"] == ["nothing of LiteLLM is put off: AIOPS_GATEWAY_WHOLE_IMPORT is set"]


def test_the_routes_are_those_of_stock_in_the_same_order(both: tuple[dict[str, Any], dict[str, Any]]) -> None:
    ours, stock = both
    assert len(stock["routes"]) > 500
    assert ours["routes"] == stock["routes"]
    assert ours["left"] == []


def test_paths_of_models_pass_by_what_waits(
    both: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    ours, stock = both
    assert ours["waiting_after"] == ours["waiting"]
    assert ours["passed"] == stock["passed"]
    assert "/v1/messages" in ours["passed"]
    assert ours["matched"] == []


@pytest.mark.parametrize("path", ASKED)
def test_a_path_answers_as_in_stock(both: tuple[dict[str, Any], dict[str, Any]], path: str) -> None:
    ours, stock = both
    for method in ("GET", "POST", "DELETE"):
        assert ours["answers"][f"{method} {path}"] == stock["answers"][f"{method} {path}"]
