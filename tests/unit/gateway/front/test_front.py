"""Who is let in by the public port, and what the others are told."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from aiops.gateway.shared import proof
from aiops.gateway.worker.front import asked
from aiops.gateway.worker.front.asgi import Message
from aiops.state.money import nano
from aiops.state.shapes import Account, Budget, Limits
from tests.unit.gateway.front.place import KEY, MASTER, Answered, Place, account, chat, hash_of, identity


def ask(place: Place, *args: Any, **more: Any) -> Answered:
    return asyncio.run(place.ask(*args, **more))


# --- who --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    ["authorization", "x-api-key", "api-key", "x-goog-api-key", "x-litellm-api-key", "ocp-apim-subscription-key"],
)
def test_a_key_is_taken_from_wherever_clients_put_it(tmp_path: Path, header: str) -> None:
    place = Place(tmp_path, identity())
    found = ask(place, key=None, headers={header: f"Bearer {KEY}" if header == "authorization" else KEY})
    assert found.status == 200
    assert place.app.seen[0][2].identity.id == "k1"  # type: ignore[union-attr]


def test_of_two_keys_the_one_counts_that_litellm_would_take(tmp_path: Path) -> None:
    place = Place(tmp_path, identity())
    other = "sk-somebody-else-entirely"
    assert ask(place, key=other, headers={"x-litellm-api-key": KEY}).status == 200
    assert ask(place, key=other, headers={"x-api-key": KEY}).status == 401


def test_no_key_is_401_and_nobody_is_asked_whose_it_is(tmp_path: Path) -> None:
    place = Place(tmp_path)
    found = ask(place, key=None)
    assert (found.status, found.error["type"], found.error["code"]) == (401, "auth_error", "401")
    assert found.headers["www-authenticate"] == "Bearer"
    assert not place.look_up.asked


def test_an_unknown_key_is_401_and_is_shown_by_its_end_only(tmp_path: Path) -> None:
    place = Place(tmp_path)
    found = ask(place)
    assert (found.status, found.error["type"]) == (401, "token_not_found_in_db")
    assert KEY[-4:] in found.error["message"]
    assert KEY not in found.error["message"]
    assert hash_of(KEY) not in found.error["message"]


def test_a_stolen_hash_is_no_key_and_is_not_looked_up(tmp_path: Path) -> None:
    place = Place(tmp_path, identity())
    found = ask(place, key=hash_of(KEY))
    assert (found.status, found.error["type"]) == (401, "auth_error")
    assert not place.look_up.asked
    assert hash_of(KEY)[:8] not in found.body.decode()


def test_who_tries_keys_at_random_costs_one_look_up_for_each(tmp_path: Path) -> None:
    place = Place(tmp_path)

    async def several() -> None:
        await asyncio.gather(*(place.ask() for _ in range(5)))
        await place.ask()

    asyncio.run(several())
    assert len(place.look_up.asked) == 1


def test_a_known_key_works_while_nobody_can_look_keys_up_and_an_unknown_one_is_to_come_again(tmp_path: Path) -> None:
    place = Place(tmp_path, identity())
    assert ask(place).status == 200
    place.look_up.fails = TimeoutError("the accountant does not answer within 2 s")
    assert ask(place).status == 200
    found = ask(place, key="sk-another-key-altogether")
    assert (found.status, found.headers["retry-after"]) == (503, "1")
    assert found.error["message"] == "Nobody can say now whose key sk-...ther is. Ask again in 1 s."
    assert ask(place, key=MASTER).status == 200
    assert place.said_of_keys == ["nobody can say now whose a key is: the accountant does not answer within 2 s"]


@pytest.mark.parametrize("doubt", ["", "the database is lost, at 10.0.0.5"])
def test_why_nobody_can_say_whose_a_key_is_stands_in_the_log_once_and_in_no_answer(tmp_path: Path, doubt: str) -> None:
    """Whoever has no key is told neither where the database is nor what ails it."""
    place = Place(tmp_path)
    place.known.doubt = lambda: doubt
    place.look_up.fails = OSError('connection to server at "10.0.0.5", port 5432 failed: is the address right?')
    asked = {"/v1/chat/completions": "POST", "/v1/models": "GET", "/metrics": "GET", "/key/list": "GET"}
    for path, method in asked.items():
        found = ask(place, path, method=method)
        assert (found.status, found.headers["retry-after"]) == (503, "1"), path
        assert found.error["message"] == f"Nobody can say now whose key sk-...{KEY[-4:]} is. Ask again in 1 s."
        assert b"10.0.0.5" not in found.body and b"database" not in found.body
    (said,) = place.said_of_keys
    assert 'connection to server at "10.0.0.5", port 5432 failed' in said
    assert doubt in said and KEY not in said


def test_in_doubt_a_key_counts_that_somebody_vouches_for_now_and_no_other(tmp_path: Path) -> None:
    """What was known a moment ago does not: with `profile: prod`, while the database is away."""
    place = Place(tmp_path, identity())
    assert ask(place).status == 200
    place.known.doubt = lambda: "the database is lost"
    place.look_up.fails = TimeoutError("at 10.0.0.5")
    refused = ask(place)
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert "database" not in refused.error["message"]
    assert place.said_of_keys == ["nobody can say now whose a key is: the database is lost (at 10.0.0.5)"]
    assert ask(place, key=MASTER).status == 200
    place.look_up.fails = None
    assert ask(place).status == 200
    place.look_up.known.clear()
    assert ask(place).status == 401


def test_a_change_is_heeded_at_the_next_request(tmp_path: Path) -> None:
    place = Place(tmp_path, identity())
    assert ask(place).status == 200
    place.look_up.known[hash_of(KEY)] = identity(account(blocked=True), version=1)
    assert ask(place).status == 200
    place.known.forget([hash_of(KEY)], 1)
    place.look_up.seq = 1
    assert ask(place).status == 401


def test_an_answer_that_was_on_its_way_when_the_key_changed_is_not_kept(tmp_path: Path) -> None:
    place = Place(tmp_path, identity())
    before = place.look_up.identity

    async def overtaken(hash: str) -> Any:
        found = await before(hash)
        if len(place.look_up.asked) == 1:
            place.look_up.known[hash] = identity(account(blocked=True))
            place.look_up.seq = 5
            place.known.forget([hash], 5)
        return found

    place.look_up.identity = overtaken  # type: ignore[method-assign]
    assert ask(place).status == 401
    assert len(place.look_up.asked) == 2


def test_a_key_that_expires_is_refused_at_the_next_request_though_it_is_known(tmp_path: Path) -> None:
    place = Place(tmp_path, identity(expires=1_793_000_001.0))
    assert ask(place).status == 200
    place.now += 1
    found = ask(place)
    assert (found.status, found.error["type"], found.error["param"]) == (401, "expired_key", f"sk-...{KEY[-4:]}")


# --- what for ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("whose", "more", "status"), [(account(blocked=True), {}, 401), (account(), {"routes": ("/v1/embeddings",)}, 403)]
)
def test_nothing_is_read_of_what_a_key_sends_that_may_not_ask_there(
    tmp_path: Path, whose: Account, more: Any, status: int
) -> None:
    place = Place(tmp_path, identity(whose, **more))

    async def sends() -> Message:
        raise AssertionError("its body was read")

    assert ask(place, receive=sends).status == status


def test_a_model_that_the_key_may_not_ask_for_is_403_and_nobody_is_asked(tmp_path: Path) -> None:
    place = Place(tmp_path, identity(account(models=("beta",))))
    found = ask(place)
    assert (found.status, found.error["type"], found.error["param"]) == (403, "key_model_access_denied", "model")
    assert not place.app.seen
    assert not place.records.accepted_


@pytest.mark.parametrize(
    "body",
    [
        chat("alpha", fallbacks=["beta"]),
        chat("alpha", fallbacks=[{"model": "beta"}]),
        chat("alpha", context_window_fallbacks=[{"alpha": ["beta"]}]),
        b'{"model": "alpha", "messages": [], "model": "beta"}',
    ],
)
def test_no_detour_leads_to_a_model_that_the_key_may_not_ask_for(tmp_path: Path, body: Any) -> None:
    place = Place(tmp_path, identity(account(models=("alpha",))))
    assert ask(place, body=body).status == 403
    assert not place.app.seen


def test_a_key_asks_for_one_model_at_a_time(tmp_path: Path) -> None:
    place = Place(tmp_path, identity(account(models=())))
    assert ask(place, body=chat("alpha,beta")).status == 400
    assert not place.app.seen


def test_the_model_in_the_path_counts(tmp_path: Path) -> None:
    place = Place(tmp_path, identity(account(models=("alpha",))))
    assert ask(place, "/openai/deployments/beta/chat/completions", chat("alpha")).status == 403
    assert ask(place, "/v1beta/models/beta:generateContent", {"contents": []}).status == 403
    assert ask(place, "/openai/deployments/alpha/chat/completions", chat("alpha")).status == 200


def test_the_model_of_a_form_counts(tmp_path: Path) -> None:
    place = Place(tmp_path, identity(account(models=("alpha",))))
    form = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nMODEL\r\n--b--\r\n'
    kind = {"content-type": "multipart/form-data; boundary=b"}
    path = "/v1/audio/transcriptions"
    assert ask(place, path, form.replace(b"MODEL", b"beta"), headers=kind).status == 403
    assert ask(place, path, form.replace(b"MODEL", b"alpha"), headers=kind).status == 200
    assert place.app.seen[0][1] == form.replace(b"MODEL", b"alpha")


def test_a_body_that_nobody_can_read_is_refused_for_a_key_and_left_to_litellm_for_the_master_key(
    tmp_path: Path,
) -> None:
    place = Place(tmp_path, identity())
    assert ask(place, body=b"{").status == 400
    assert ask(place, body=b"{", key=MASTER).status == 200
    assert place.app.seen[0][1] == b"{"


def test_anthropics_clients_are_told_in_their_shape(tmp_path: Path) -> None:
    place = Place(tmp_path, identity(account(models=("beta",))))
    found = ask(place, "/v1/messages").json
    assert found["type"] == "error"
    assert found["error"]["type"] == "permission_error"
    assert ask(place, "/v1/messages", key=None).json["error"]["type"] == "authentication_error"


def test_what_is_opened_is_an_administrators(tmp_path: Path) -> None:
    place = Place(tmp_path, identity(), identity(key="sk-of-an-administrator", admin=True), exposed=["openapi"])
    assert ask(place, "/openapi.json", method="GET").status == 403
    assert ask(place, "/openapi.json", method="GET", key=MASTER).status == 200
    assert ask(place, "/openapi.json", method="GET", key="sk-of-an-administrator").status == 200
    assert ask(place, "/openapi.json", method="GET", key=None).headers["www-authenticate"].startswith("Basic")


def test_a_list_of_models_has_those_that_the_key_may_ask_for(tmp_path: Path) -> None:
    place = Place(tmp_path, identity(account(models=("al*",))))
    body = {"object": "list", "data": [{"id": "alpha"}, {"id": "beta"}, {"model_name": "alpine", "id": "7"}]}
    place.app.pieces = (json.dumps(body).encode(),)
    place.app.headers.append((b"content-length", b"999"))
    found = ask(place, "/v1/models", method="GET", headers={"accept-encoding": "gzip"})
    assert [entry["id"] for entry in found.json["data"]] == ["alpha", "7"]
    assert int(found.headers["content-length"]) == len(found.body)
    assert b"accept-encoding" not in dict(place.app.seen[0][0]["headers"])
    assert ask(place, "/v1/models/beta", method="GET").status == 404
    assert ask(place, "/v1/models/alpha", method="GET").status == 200
    assert not place.records.accepted_


def test_where_a_model_is_served_is_an_administrators_to_know(tmp_path: Path) -> None:
    place = Place(tmp_path, identity())
    entry = {"model_name": "alpha", "litellm_params": {"model": "openai/a", "api_base": "http://10.0.0.1/v1"}}
    place.app.pieces = (json.dumps({"data": [entry]}).encode(),)
    assert ask(place, "/v1/model/info", method="GET", key=MASTER).json["data"] == [entry]
    (shown,) = ask(place, "/v1/model/info", method="GET").json["data"]
    assert shown == {"model_name": "alpha", "litellm_params": {"model": "openai/a"}}


def test_keys_are_administered_with_the_master_key_or_an_administrators(tmp_path: Path) -> None:
    place = Place(tmp_path, identity(), identity(key="sk-of-an-administrator", admin=True))
    assert ask(place, "/key/generate", {"key_alias": "x"}).status == 403
    assert not place.managed
    headers = {"litellm-changed-by": "ann"}
    found = ask(place, "/key/generate/", {"key_alias": "x"}, key=MASTER, headers=headers, query=b"a=1")
    assert (found.status, found.json) == (200, {"ok": True})
    (told,) = place.managed
    assert (told.method, told.path, told.query, told.body) == ("POST", "/key/generate", {"a": "1"}, {"key_alias": "x"})
    assert (told.who, told.from_where, told.changed_by) == ("", "203.0.113.9", "ann")
    assert ask(place, "/team/list", method="GET", key="sk-of-an-administrator").status == 200
    assert place.managed[1].who == "k1"
    assert ask(place, "/key/generate", key=None).status == 401
    assert ask(place, "/key/generate", b"{", key=MASTER).status == 400


def test_on_a_port_of_its_own_the_management_api_is_nowhere_else_and_models_are_not_asked_there(tmp_path: Path) -> None:
    place = Place(tmp_path, identity(), apart=True)
    elsewhere = ask(place, "/key/generate", {"key_alias": "x"}, key=MASTER)
    assert elsewhere.status == 404
    assert "on the admin port" in elsewhere.error["message"] and "gateway.admin_port" in elsewhere.error["message"]
    assert not place.managed
    assert ask(place, "/key/generate", {"key_alias": "x"}, key=MASTER, by_admin=True).status == 200
    assert ask(place, "/key/generate", {}, by_admin=True).status == 403
    assert ask(place, "/key/generate", {}, key=None, by_admin=True).status == 401
    assert len(place.managed) == 1
    for path in ("/v1/chat/completions", "/chat/completions/", "/v1/responses/r1"):
        method = "GET" if path.endswith("r1") else "POST"
        refused = ask(place, path, key=MASTER, method=method, by_admin=True)
        assert refused.status == 404 and "gateway.port" in refused.error["message"]
    assert not place.app.seen
    assert ask(place, key=MASTER).status == 200
    for path in ("/v1/models", "/_health/live"):
        assert ask(place, path, method="GET", key=MASTER, by_admin=True).status == 200


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("by_admin", [False, True])
def test_metrics_are_for_administrators_on_whichever_port(tmp_path: Path, apart: bool, by_admin: bool) -> None:
    """From another machine: for who is near see test_metrics_door.py."""
    place = Place(tmp_path, identity(), identity(key=ADMIN, admin=True), apart=apart)
    for key, status in ((None, 401), ("sk-nobody-has-this-one", 401), (KEY, 403), (ADMIN, 200), (MASTER, 200)):
        found = ask(place, "/metrics", key=key, method="GET", by_admin=by_admin)
        assert found.status == status
        assert (b"aiops_accountant_up" in found.body) == (status == 200)
    assert ask(place, "/metrics", key=MASTER, by_admin=by_admin).status == 404, "POST"
    assert not place.app.seen


def test_a_connection_of_administrators_that_a_generation_without_their_port_took_over_is_like_any_other(
    tmp_path: Path,
) -> None:
    place = Place(tmp_path)
    assert ask(place, "/key/generate", {}, key=MASTER, by_admin=True).status == 200
    assert ask(place, key=MASTER, by_admin=True).status == 200


def test_the_master_key_is_held_to_nothing_and_its_requests_are_accounted(tmp_path: Path) -> None:
    place = Place(tmp_path)
    assert ask(place, key=MASTER).status == 200
    (ended,) = place.records.ended_
    assert (ended.key, ended.model, ended.prompt_tokens) == ("", "alpha", 10)
    assert not place.look_up.asked


def test_proofs_are_neither_limited_nor_accounted_and_only_the_operator_can_make_one(tmp_path: Path) -> None:
    place = Place(tmp_path, identity())
    mark = {proof.HEADER: proof.mark(MASTER)}
    assert ask(place, key=MASTER, headers=mark).status == 200
    assert not place.records.accepted_
    assert ask(place, headers=mark).status == 200
    assert len(place.records.accepted_) == 1
    assert ask(place, key=MASTER, headers={proof.HEADER: "0" * 64}).status == 200
    assert len(place.records.accepted_) == 2


def test_whoever_is_asked_by_a_websocket_is_named_before_it_is_opened(tmp_path: Path) -> None:
    place = Place(tmp_path, identity(account(models=("alpha",))))
    assert ask(place, "/v1/realtime", kind="websocket", query=b"model=beta").status == 403
    assert ask(place, "/v1/responses", kind="websocket").status == 403
    assert not place.app.seen


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_another_name_of_a_model_is_held_to_what_the_model_is_however_it_is_asked(tmp_path: Path, kind: str) -> None:
    limits = {"alpha": Limits(parallel=0)}
    place = Place(tmp_path, identity(account(models=("alpha",), by_model=limits)), same={"alpha:latest": "alpha"})
    path, query = ("/v1/realtime", b"model=alpha:latest") if kind == "websocket" else ("/v1/chat/completions", b"")
    assert ask(place, path, body=chat("alpha:latest"), kind=kind, query=query).status == 429


# --- limits and budgets -----------------------------------------------------------------------------------------------


def test_one_more_request_than_the_limit_is_429_with_how_long_to_wait(tmp_path: Path) -> None:
    place = Place(tmp_path, identity(account(limits=Limits(rpm=2))))
    assert [ask(place).status for _ in range(2)] == [200, 200]
    found = ask(place)
    assert (found.status, found.error["code"]) == (429, "429")
    assert 1 <= int(found.headers["retry-after"]) <= 60
    assert int(found.headers["retry-after"]) >= int(found.headers["retry-after-ms"]) / 1000
    assert found.headers["rate_limit_type"] == "requests"
    assert found.headers["x-ratelimit-remaining-requests"] == "0"
    assert "x-should-retry" not in found.headers
    assert len(place.app.seen) == 2
    assert len(place.records.accepted_) == len(place.records.ended_) == 2
    assert place.front.refused == {"rate_limit_error": 1}


def test_a_large_request_says_what_is_left_and_not_that_nothing_is(tmp_path: Path) -> None:
    place = Place(tmp_path, identity(account(limits=Limits(tpm=1000))))
    place.app.in_one = True
    found = ask(place, body=chat(max_tokens=5000))
    assert found.headers["x-ratelimit-remaining-tokens"] == "985"  # all of it was reserved, and 15 are used
    assert found.headers["x-ratelimit-reset-tokens"] == "0ms"
    refused = ask(place, body=chat(max_tokens=5000))
    assert refused.status == 429
    assert refused.headers["x-ratelimit-remaining-tokens"] == "985"
    assert "Remaining: 985; this request may take 5010 (" in refused.error["message"]
    assert ask(place, body=chat(max_tokens=900)).headers["x-ratelimit-remaining-tokens"] == "970"


def test_a_stream_says_what_is_left_while_it_is_under_way(tmp_path: Path) -> None:
    place = Place(tmp_path, identity(account(limits=Limits(tpm=1000))))
    place.app.streams(b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n', b"data: [DONE]\n\n")
    assert ask(place, body=chat(max_tokens=500, stream=True)).headers["x-ratelimit-remaining-tokens"] == "490"


def test_answers_say_what_is_left(tmp_path: Path) -> None:
    limits = Limits(rpm=60, tpm=1000, parallel=4)
    place = Place(tmp_path, identity(account(limits=limits, budgets=(Budget(most=nano(5)),)),
                                     account("team", "t", limits=Limits(rpm=10))))  # fmt: skip
    place.app.headers.append((b"x-litellm-key-spend", b"0.0"))
    found = ask(place).headers
    assert found["x-ratelimit-limit-requests"] == "10"
    assert found["x-ratelimit-remaining-requests"] == "9"
    assert found["x-ratelimit-limit-tokens"] == "1000"
    assert found["x-ratelimit-remaining-tokens"] == "985"
    assert found["x-ratelimit-api_key-remaining-requests"] == "59"
    assert found["x-ratelimit-api_key-limit-max_parallel_requests"] == "4"
    assert found["x-ratelimit-team-remaining-requests"] == "9"
    assert found["x-litellm-key-rpm-limit"] == "60"
    assert found["x-litellm-key-max-budget"] == "5.0"
    assert found["x-litellm-key-spend"] == "0.0"
    assert ask(place).headers["x-litellm-key-spend"] == "0.02"


def test_a_slot_is_free_before_its_client_has_the_end_of_the_answer(tmp_path: Path) -> None:
    place = Place(tmp_path, identity(account(limits=Limits(parallel=1))))
    seen: list[int] = []

    async def two_at_once() -> Answered:
        async def meanwhile() -> None:
            seen.append((await place.ask(body=chat())).status)

        place.app.before_piece = lambda number: meanwhile() if len(seen) < 1 else None
        return await place.ask()

    found = asyncio.run(two_at_once())
    assert found.status == 200
    assert found.ended == [0, 1]
    assert seen == [429]
    assert ask(place).status == 200


def test_who_has_spent_its_budget_is_told_not_to_try_again(tmp_path: Path) -> None:
    place = Place(tmp_path, identity(account(budgets=(Budget(most=nano("0.02")),))))
    assert ask(place).status == 200
    found = ask(place)
    assert (found.status, found.error["type"]) == (429, "budget_exceeded")
    assert found.headers["x-should-retry"] == "false"
    assert "retry-after" not in found.headers
    assert place.records.ended_[0].cost == nano("0.02")
    place.reserve.over_budget_status = 422
    found = ask(place)
    assert (found.status, found.error["type"], found.error["code"]) == (422, "budget_exceeded", "422")


def test_a_budget_refuses_a_model_whose_price_nobody_knows_and_says_what_to_write(tmp_path: Path) -> None:
    place = Place(tmp_path, identity(account(budgets=(Budget(most=nano(1)),))))
    found = ask(place, body=chat("beta"))
    assert (found.status, found.error["code"]) == (400, "price_unknown")
    assert "cost_per_1k_tokens" in found.error["message"]
    shadow = Place(tmp_path / "shadow", identity(account(budgets=(Budget(most=nano(1), shadow=True),))))
    assert ask(shadow, body=chat("beta")).status == 200


def test_what_was_spent_before_these_counters_were_made_counts(tmp_path: Path) -> None:
    place = Place(tmp_path, identity(account(budgets=(Budget(most=nano(5)),))))
    place.ledger["key:k1:usd:0:ever:0"] = nano(5)
    assert ask(place).status == 429
    assert not place.said


def test_while_nobody_can_say_what_was_spent_before_the_limits_still_count(tmp_path: Path) -> None:
    place = Place(tmp_path, identity(account(limits=Limits(rpm=1), budgets=(Budget(most=nano(5)),))))
    place.reserve.seeder = None
    assert [ask(place).status for _ in range(2)] == [200, 429]
    assert len(place.said) == 1
    assert place.records.ended_[0].epoch == ""


def test_a_limit_in_shadow_is_said_and_refuses_nobody(tmp_path: Path) -> None:
    place = Place(tmp_path, identity(account(limits=Limits(rpm=1, shadow=True))))
    assert [ask(place).status for _ in range(3)] == [200, 200, 200]
    assert place.reserve.over_in_shadow == {"key:k1:rpm": 2}
    assert len(place.said) == 1
    assert "in shadow" in place.said[0]


def test_counting_tokens_uses_none(tmp_path: Path) -> None:
    place = Place(tmp_path, identity(account(limits=Limits(tpm=1), budgets=(Budget(most=1),))))
    place.app.pieces = (b'{"input_tokens": 8}',)
    assert [ask(place, "/v1/messages/count_tokens").status for _ in range(2)] == [200, 200]
    assert {(ended.prompt_tokens, ended.cost) for ended in place.records.ended_} == {(0, 0)}


def test_counters_that_cannot_be_reached_refuse_nobody_and_are_told_later(tmp_path: Path) -> None:
    from aiops.state.counters.meters import Unavailable

    place = Place(tmp_path, identity(account(limits=Limits(rpm=1, tpm=100))))
    settle = place.counters.settle

    async def away(*_: Any) -> Any:
        raise Unavailable("the disk is full")

    place.counters.settle = away  # type: ignore[method-assign]
    assert ask(place, body=chat(max_tokens=50)).status == 200
    place.counters.settle = settle  # type: ignore[method-assign]
    asyncio.run(place.reserve.sign_of_life())
    place.counters.reserve = away  # type: ignore[method-assign]
    assert [ask(place).status for _ in range(2)] == [200, 200]
    assert len(place.said) == 1
    del place.counters.reserve
    found = ask(place)
    assert found.status == 429
    assert found.headers["x-ratelimit-remaining-tokens"] == "85"  # 15 of the first one, settled late: 60 were reserved
    assert place.said[-1] == "limits and budgets are counted again"


def test_what_a_request_may_use_is_estimated_from_what_it_says() -> None:
    found = asked.read("/v1/chat/completions", b"application/json", json.dumps(chat(n=3, max_tokens=7)).encode())
    assert (found.prompt, found.max_tokens, found.answers) == (10, 7, 3)
    many = {"model": "alpha", "prompt": ["a", "b"], "best_of": 2, "max_tokens": 10**30}
    found = asked.read("/v1/completions", b"application/json", json.dumps(many).encode())
    assert (found.max_tokens, found.answers) == (None, 4)


# --- what the operator opened -----------------------------------------------------------------------------------------

ADMIN = "sk-of-an-administrator"
OPENED = "/openai/v1/chat/completions"


@pytest.mark.parametrize(
    "held",
    [
        {"limits": Limits(rpm=9)},
        {"limits": Limits(tpm=9)},
        {"limits": Limits(parallel=9)},
        {"by_model": {"alpha": Limits(rpm=9)}},
        {"budgets": (Budget(most=nano(5)),)},
        {"budgets_by_model": {"alpha": (Budget(most=nano(5)),)}},
        {"models": ("alpha",)},
        {"models": ("no-default-models",)},
    ],
)
@pytest.mark.parametrize("whose", ["key", "team"])
def test_who_is_held_to_anything_does_not_get_round_it_by_what_is_opened(tmp_path: Path, held: Any, whose: str) -> None:
    accounts = (account(**held),) if whose == "key" else (account(), account("team", "t", **held))
    place = Place(tmp_path, identity(*accounts, key=ADMIN, admin=True), exposed=["passthrough"])
    found = ask(place, OPENED, key=ADMIN)
    assert (found.status, found.error["type"]) == (403, "auth_error")
    assert "with a limit, a budget or a list of models" in found.error["message"]
    assert not place.app.seen
    assert not place.records.accepted_


def test_a_key_that_is_held_to_paths_is_held_to_them_where_more_is_opened_too(tmp_path: Path) -> None:
    place = Place(
        tmp_path, identity(key=ADMIN, admin=True, routes=("/key/*", "/files")), exposed=["passthrough", "files"]
    )
    assert ask(place, OPENED, key=ADMIN).error["type"] == "key_route_access_denied"
    assert ask(place, "/files", key=ADMIN, method="GET").status == 200


@pytest.mark.parametrize("free", [{}, {"limits": Limits(rpm=9, shadow=True)}, {"models": ("all-proxy-models",)}])
def test_what_passes_by_an_opened_door_is_in_the_ledger_with_what_its_answer_says(tmp_path: Path, free: Any) -> None:
    place = Place(tmp_path, identity(account(**free), key=ADMIN, admin=True), exposed=["passthrough"])
    place.app.deployment = ""  # LiteLLM passes it on by itself
    assert ask(place, OPENED, key=ADMIN).status == 200
    (accepted,), (used,) = place.records.accepted_, place.records.ended_
    assert (accepted.id, accepted.key, accepted.path) == (used.id, "k1", OPENED)
    assert (used.prompt_tokens, used.completion_tokens, used.cost, used.outcome) == (10, 5, None, "answered")
    place.app.headers.append((b"x-litellm-response-cost", b"0.25"))
    assert ask(place, OPENED, key=MASTER).status == 200
    assert (place.records.ended_[1].key, place.records.ended_[1].cost) == ("", nano(0.25))
    place.app.pieces = (b"{}",)
    place.app.headers.pop()
    ask(place, OPENED, key=MASTER)
    assert (place.records.ended_[2].prompt_tokens, place.records.ended_[2].cost) == (0, 0)


def test_pages_are_not_in_the_ledger(tmp_path: Path) -> None:
    place = Place(tmp_path, exposed=["openapi"])
    assert ask(place, "/openapi.json", method="GET", key=MASTER).status == 200
    assert not place.records.accepted_
