"""The management API: golden requests and answers, and LiteLLM's own models as the judge of the shapes."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from aiops.gateway.accountant.management.endpoints import ENDPOINTS, REFUSED
from aiops.gateway.accountant.management.manage import Answer, Request, manage
from aiops.state.administration.requests import BudgetRequest, KeyRequest, MemberRequest, TeamRequest, UserRequest
from aiops.state.store import audit, open, schema, tables, usage
from aiops.state.store.open import reading, writing
from aiops.state.usage.record import Usage

CASES = Path(__file__).resolve().parents[3] / "cases" / "management"
DAY = 1_795_737_600  # 2026-11-27, seconds since 1970


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("management") / "aiops.db"
    made = open.engine(path)
    schema.migrate(made)
    made.dispose()
    return path


@pytest.fixture
def engine(migrated: Path, tmp_path: Path) -> Iterator[Engine]:
    made = open.engine(Path(shutil.copy(migrated, tmp_path / "aiops.db")))
    yield made
    made.dispose()


def ask(engine: Engine, method: str, path: str, body: Any = None, **query: str) -> Answer:
    return manage(
        engine,
        Request(method=method, path=path, query=query, body=body, source="10.0.0.7", changed_by="ann@example.org"),
    )


def must(engine: Engine, method: str, path: str, body: Any = None, **query: str) -> Any:
    answer = ask(engine, method, path, body, **query)
    assert answer.status == 200, answer.body
    json.dumps(answer.body)
    return answer.body


def record(id: str, key: str, **more: Any) -> Usage:
    values: dict[str, Any] = {
        "team": None, "user": None, "model": "gpt-4o", "provider": "openai", "served": "gpt-4o-2024-08-06",
        "path": "/v1/chat/completions", "started": DAY * 10**6 + 3_600_000_000, "seconds": 1.5, "first": 0.25,
        "status": 200, "outcome": "answered", "prompt_tokens": 100, "completion_tokens": 10, "cached_tokens": 0,
        "cost": 1_500_000, "estimated": False, "stream": True, "generation": 3, "replica": "r", "epoch": "e",
    }  # fmt: skip
    return Usage(id=id, key=key, **{**values, **more})


# --- golden -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", sorted(CASES.glob("*.json")), ids=lambda path: path.stem)
def test_a_request_is_answered_as_written_down(case: Path, engine: Engine) -> None:
    """Each step of a case: ``ask`` [method, path, body or query], ``status``, and what of the answer is ``shown``.

    ``$name`` stands for what an earlier step ``kept``; ``…`` for anything.
    """
    kept: dict[str, Any] = {}
    for step in json.loads(case.read_text()):
        method, path, given = filled([*step["ask"], {}][:3], kept)
        answer = ask(engine, method, path, None if method == "GET" else given, **(given if method == "GET" else {}))
        assert answer.status == step.get("status", 200), (step["ask"], answer.body)
        if "shown" in step:
            assert_shows(answer.body, filled(step["shown"], kept), json.dumps(step["ask"]))
        for name, where in step.get("kept", {}).items():
            found = answer.body
            for part in where.split("."):
                found = found[int(part)] if isinstance(found, list) else found[part]
            kept[name] = found


def filled(value: Any, kept: dict[str, Any]) -> Any:
    if isinstance(value, str):
        whole = kept.get(value[1:]) if value.startswith("$") else None
        return whole if whole is not None else re.sub(r"\$([a-z]+)", lambda match: str(kept[match[1]]), value)
    if isinstance(value, list):
        return [filled(each, kept) for each in value]
    if isinstance(value, dict):
        return {key: filled(each, kept) for key, each in value.items()}
    return value


def assert_shows(answer: Any, shown: Any, where: str) -> None:
    """A mapping may have more than is shown; a list and a text may not, but for ``…``."""
    if isinstance(shown, dict):
        assert isinstance(answer, dict), where
        for key, value in shown.items():
            assert key in answer, f"{where}: no `{key}` in {sorted(answer)}"
            assert_shows(answer[key], value, f"{where}: {key}")
    elif isinstance(shown, list):
        assert isinstance(answer, list) and len(answer) == len(shown), f"{where}: {answer}"
        for number, value in enumerate(shown):
            assert_shows(answer[number], value, f"{where}[{number}]")
    elif isinstance(shown, str) and "…" in shown:
        assert re.fullmatch(".*".join(map(re.escape, shown.split("…"))), str(answer), re.DOTALL), f"{where}: {answer}"
    else:
        assert answer == shown, where


# --- LiteLLM's own models ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def litellm() -> Any:
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    from litellm.proxy import _types

    return _types


def exact(model: Any, answer: dict[str, Any], beyond: set[str] = frozenset()) -> None:  # type: ignore[assignment]
    """It reads as LiteLLM's model, and has every field of it."""
    model.model_validate(answer)
    wanted = {name for name, field in model.model_fields.items() if not field.exclude}
    assert sorted(wanted - answer.keys() - beyond) == []


def test_answers_have_the_fields_of_litellms_own_models(engine: Engine, litellm: Any) -> None:
    team = must(engine, "POST", "/team/new", {"team_alias": "red", "max_budget": 100, "budget_duration": "30d"})
    exact(litellm.LiteLLM_TeamTable, team)
    body = {
        "key_alias": "ci", "team_id": team["team_id"], "max_budget": 10, "budget_duration": "30d", "duration": "1d",
        "models": ["gpt-4o"], "rpm_limit": 60, "metadata": {"a": 1}, "tags": ["x"], "model_max_budget": {"gpt-4o": 5},
        "budget_limits": [{"budget_duration": "1d", "max_budget": 1}], "model_rpm_limit": {"gpt-4o": 3},
    }  # fmt: skip
    made = must(engine, "POST", "/key/generate", body)
    unset = {name for name in litellm.KeyRequestBase.model_fields if name in KeyRequest.refused} | {
        "guardrails",
        "spend",
    }
    exact(litellm.GenerateKeyResponse, dict(made), unset)
    assert {name: made[name] for name in ("key_alias", "max_budget", "models", "rpm_limit", "tags")} == {
        name: body[name] for name in ("key_alias", "max_budget", "models", "rpm_limit", "tags")
    }
    info = must(engine, "GET", "/key/info", key=made["key"])["info"]
    exact(litellm.LiteLLM_VerificationToken, {**info, "token": made["token"]})
    (listed,) = must(engine, "GET", "/key/list", return_full_object="true")["keys"]
    exact(litellm.LiteLLM_VerificationToken, listed)
    member = {"team_id": team["team_id"], "member": {"role": "user", "user_id": "eve"}, "max_budget_in_team": 3}
    added = must(engine, "POST", "/team/member_add", member)
    exact(litellm.TeamAddMemberResponse, added)
    exact(litellm.LiteLLM_UserTable, added["updated_users"][0], {"password_reset_required", "last_breach_check_at"})
    updated = {"team_id": team["team_id"], "user_id": "eve", "max_budget_in_team": 4}
    exact(litellm.TeamMemberUpdateResponse, must(engine, "POST", "/team/member_update", updated))
    shown = must(engine, "GET", "/team/info", team_id=team["team_id"])
    assert {*shown} == {*litellm.TeamInfoResponseObject.__annotations__}
    exact(litellm.LiteLLM_TeamTable, shown["team_info"])
    (one,) = must(engine, "GET", "/team/list")
    exact(litellm.TeamListResponseObject, one)
    user = must(engine, "POST", "/user/new", {"user_email": "a@b.c", "user_role": "internal_user"})
    exact(litellm.NewUserResponse, dict(user), unset)
    exact(litellm.UserInfoResponse, must(engine, "GET", "/user/info", user_id=user["user_id"]))
    budget = must(engine, "POST", "/budget/new", {"budget_id": "b", "max_budget": 1, "budget_duration": "1d"})
    exact(litellm.LiteLLM_BudgetTableFull, budget, {"allowed_models", "temp_budget_increase", "temp_budget_expiry"})


def test_a_row_of_the_spend_log_has_the_fields_of_litellms(engine: Engine, litellm: Any) -> None:
    made = must(engine, "POST", "/key/generate", {"key_alias": "ci"})
    with writing(engine) as connection:
        id = connection.scalar(select(tables.keys.c.id))
        usage.ingest(connection, [record("r1", id, tags=("a",))])
    (row,) = must(engine, "GET", "/spend/logs", api_key=made["key"])
    model = litellm.LiteLLM_SpendLogs
    model.model_validate(
        {**row, "metadata": json.dumps(row["metadata"]), "request_tags": json.dumps(row["request_tags"])}
    )
    assert not model.model_fields.keys() - row.keys() - {"created_at", "updated_at"}
    assert (row["api_key"], row["spend"], row["total_tokens"]) == (made["token"], 0.0015, 110)
    assert (row["startTime"], row["endTime"]) == ("2026-11-27T13:00:00Z", "2026-11-27T13:00:01.500Z") or row[
        "startTime"
    ]


@pytest.mark.parametrize(
    ("theirs", "ours", "apart"),
    [
        ("GenerateKeyRequest", KeyRequest, set()),
        ("UpdateKeyRequest", KeyRequest, set()),
        ("RegenerateKeyRequest", KeyRequest, {"new_key", "new_master_key", "grace_period"}),
        ("NewTeamRequest", TeamRequest, set()),
        ("UpdateTeamRequest", TeamRequest, set()),
        ("NewUserRequest", UserRequest, set()),
        ("UpdateUserRequest", UserRequest, set()),
        ("BudgetNewRequest", BudgetRequest, set()),
        ("TeamMemberUpdateRequest", MemberRequest, {"team_id", "user_id", "user_email"}),
    ],
)
def test_each_field_of_litellms_requests_is_acted_on_or_refused_by_name(
    theirs: str, ours: Any, apart: set[str], litellm: Any
) -> None:
    taken = {each.metadata["key"] or each.name for each in fields(ours)}
    unknown = getattr(litellm, theirs).model_fields.keys() - taken - ours.refused.keys() - apart
    # A member's and a user's key: what is of the key that is made with them.
    assert unknown <= {"key_alias", "duration"}, f"{theirs} has {sorted(unknown)}"


# --- behaviour --------------------------------------------------------------------------------------------------------


def test_what_is_refused_has_changed_nothing(engine: Engine) -> None:
    must(engine, "POST", "/key/generate", {"key_alias": "a"})
    assert ask(engine, "POST", "/key/delete", {"keys": ["sk-0123456789abcdefghij"], "key_aliases": ["a"]}).status == 404
    assert ask(engine, "POST", "/user/new", {"user_id": "u", "teams": ["none"]}).status == 400
    with reading(engine) as connection:
        counted = [
            connection.scalar(select(func.count()).select_from(t)) for t in (tables.keys, tables.users, tables.audit)
        ]
        assert counted == [1, 0, 1]
        assert connection.scalar(select(func.count()).where(tables.keys.c.revoked_at.is_not(None))) == 0


def test_an_administrator_is_in_the_audit_with_the_key_that_was_used_and_where_from(engine: Engine) -> None:
    must(engine, "POST", "/key/generate", {"key_alias": "boss", "key_type": "management"})
    with reading(engine) as connection:
        boss = connection.scalar(select(tables.keys.c.id))
    manage(
        engine, Request(method="POST", path="/budget/new", body={"budget_id": "b"}, who=boss or "", source="10.0.0.8")
    )
    with reading(engine) as connection:
        by_key, by_master = audit.page(connection)
    assert (by_key.who, by_key.from_where) == ("key boss", "10.0.0.8")
    assert (by_master.who, by_master.from_where) == ("ann@example.org (master key)", "10.0.0.7")


def test_no_answer_but_that_of_making_it_has_the_key(engine: Engine) -> None:
    made = must(engine, "POST", "/key/generate", {"key_alias": "ci", "user_id": "u"})
    team = must(engine, "POST", "/team/new", {"team_alias": "t"})
    must(engine, "POST", "/key/update", {"key_alias": "ci", "team_id": team["team_id"]})
    asked = [
        ask(engine, "GET", "/key/info", key=made["token"]),
        ask(engine, "GET", "/key/list", return_full_object="true"),
        ask(engine, "GET", "/team/info", team_id=team["team_id"]),
        ask(engine, "GET", "/user/list"),
        ask(engine, "POST", "/key/generate", {"key": made["key"]}),
        ask(engine, "POST", "/key/generate", {"key_alias": "ci"}),
    ]
    assert made["key"] not in json.dumps([each.body for each in asked])


def test_the_report_has_each_nano_dollar_by_team_and_by_key(engine: Engine) -> None:
    team = must(engine, "POST", "/team/new", {"team_alias": "red"})["team_id"]
    made = must(engine, "POST", "/key/generate", {"key_alias": "ci", "team_id": team})
    with writing(engine) as connection:
        id = connection.scalar(select(tables.keys.c.id)) or ""
        rows = [record(f"r{number}", id, team=team, cost=number * 1_000_001) for number in range(1, 4)]
        usage.ingest(connection, [*rows, record("m", "", cost=5)])
    days = {"start_date": "2026-11-26", "end_date": "2026-11-29"}
    (report,) = must(engine, "GET", "/global/spend/report", **days)
    spent = {each["team_name"]: each["total_spend"] for each in report["teams"]}
    assert spent == {"red": 0.006000006, None: 5e-9}
    by_key = must(engine, "GET", "/global/spend/report", group_by="api_key", **days)
    assert [(each["api_key"], each["total_cost"]) for each in by_key] == [(made["token"], 0.006000006), ("", 5e-9)]
    summed = must(engine, "GET", "/spend/logs", **days)
    assert [each["startTime"] for each in summed] == ["2026-11-27", "2026-11-28", "2026-11-29"]
    assert summed[0][made["token"]] == 0.006000006 and summed[0]["models"] == {"gpt-4o": 0.006000011}


@pytest.mark.parametrize("begins", sorted(REFUSED))
def test_a_path_that_is_refused_says_why(begins: str, engine: Engine) -> None:
    answer = ask(engine, "POST", begins + ("new" if begins.endswith("/") else ""), {})
    assert answer.status == 400
    assert REFUSED[begins] in answer.body["error"]["message"] and "not supported" in answer.body["error"]["message"]


def test_other_methods_and_paths_are_told(engine: Engine) -> None:
    assert ask(engine, "GET", "/key/generate").status == 405
    assert ask(engine, "POST", "/key/nothing").status == 404
    assert ask(engine, "POST", "/key/generate", ["no object"]).status == 400
    assert ask(engine, "POST", "/key/generate/", {}).status == 200


@pytest.mark.parametrize(("method", "path"), [key for key, endpoint in ENDPOINTS.items() if endpoint.reads])
def test_what_reads_refuses_unknown_questions(method: str, path: str, engine: Engine) -> None:
    query = {"nonsense": "1"}
    answer = ask(engine, method, path, query if method == "POST" else None, **({} if method == "POST" else query))
    assert answer.status == 400
    assert "`nonsense` is unknown" in answer.body["error"]["message"]
