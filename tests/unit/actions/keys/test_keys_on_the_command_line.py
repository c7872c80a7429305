"""`aiops keys`, `teams`, `usage` and `database` on a real instance directory whose gateway is down."""

from __future__ import annotations

import io
import json
import sqlite3
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine, select

from aiops import cli
from aiops.actions.keys import names, served
from aiops.host.instance import locate
from aiops.host.setup import make_instance
from aiops.state import tokens
from aiops.state.counters.meters import Demand, Granted
from aiops.state.counters.shared import Shared
from aiops.state.store import open, replicas, tables, usage
from aiops.state.usage.record import Usage

NANO = 10**9


class Home:
    """``run`` is what a person types; stdout and stderr apart."""

    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.path, self._capsys = path, capsys

    def run(self, *words: str, code: int = 0) -> tuple[str, str]:
        self._capsys.readouterr()
        found = cli.run(["--home", str(self.path), *words])
        said = self._capsys.readouterr()
        assert found == code, said.err
        return said.out.strip(), said.err.strip()

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self.run("--json", *words, code=code)[0])

    @property
    def database(self) -> Path:
        return self.path / "state" / "aiops.db"


@pytest.fixture
def home(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Home:
    make_instance(locate(tmp_path), profile=None, supervisor="process", port=4711)
    return Home(tmp_path, capsys)


def test_the_key_is_alone_on_stdout_and_the_story_says_how_to_try_it(home: Home) -> None:
    key, story = home.run(
        "keys", "create", "--alias", "ci", "--models", "gpt-4o,gpt-*", "--rpm-limit", "60", "--max-budget", "10"
    )
    assert key.startswith("sk-") and len(key.split()) == 1
    assert f"+ key ci ({tokens.name(key)}): models gpt-4o gpt-*, 60 requests a minute, $10.00 in all" in story
    assert "curl http://127.0.0.1:4711/v1/chat/completions" in story and '"model": "gpt-4o"' in story
    assert "$KEY" in story and key not in story
    assert home.database.stat().st_mode & 0o777 == 0o600
    assert key.encode() not in b"".join(each.read_bytes() for each in home.database.parent.glob("aiops.db*"))


def test_json_is_litellms_shape(home: Home) -> None:
    made = home.json("keys", "create", "--alias", "ci", "--budget", "1/1d", "--model-max-budget", "gpt-4o=2/30d")
    assert (made["outcome"], made["key_alias"], made["key"][:3]) == ("applied", "ci", "sk-")
    assert made["budget_limits"][0]["max_budget"] == 1.0
    assert made["model_max_budget"] == {"gpt-4o": {"budget_duration": "30d", "max_budget": 2.0}}
    assert home.json("keys", "show", "ci")["info"]["status"] == "active"
    (listed,) = home.json("keys", "list")["keys"]
    assert listed["token"] == tokens.hashed(made["key"])


def test_every_option_is_a_field_that_counts(home: Home) -> None:
    home.run("teams", "create", "red")
    made = home.json(
        "keys", "create", "--alias", "a", "--models", "m", "--rpm-limit", "1", "--tpm-limit", "2",
        "--max-parallel-requests", "3", "--max-budget", "4", "--budget-duration", "30d", "--duration", "1d",
        "--team", "red", "--user", "u", "--tags", "x,y", "--budget", "5/1d", "--soft-budget", "6",
        "--model-rpm-limit", "m=7",
        "--model-tpm-limit", "m=8", "--metadata", '{"k": 9}', "--shadow", "--allowed-routes", "llm_api_routes",
        "--key-type", "llm_api", "--admin", "--weight", "2.5",
    )  # fmt: skip
    wanted = {
        "key_alias": "a", "models": ["m"], "rpm_limit": 1, "tpm_limit": 2, "max_parallel_requests": 3,
        "max_budget": 4.0,
        "budget_duration": "30d", "user_id": "u", "tags": ["x", "y"], "soft_budget": 6.0, "model_rpm_limit": {"m": 7},
        "model_tpm_limit": {"m": 8}, "shadow": True, "allowed_routes": ["llm_api_routes"], "key_type": "llm_api",
        "admin": True, "weight": 2.5,
    }  # fmt: skip
    assert {name: made[name] for name in wanted} == wanted
    assert made["metadata"]["k"] == 9 and made["expires"] and made["team_id"]


def test_all_problems_are_told_in_the_words_of_the_options_and_nothing_is_made(home: Home) -> None:
    said = home.run(
        "keys", "create", "--alias", "ci", "--max-budget", "-4", "--budget-duration", "3x", "--duration", "-1d", code=2
    )[1]
    assert "--max-budget is negative: -4" in said
    assert "--budget-duration is wrong: `3x`" in said
    assert "--duration is in the past: -1d" in said
    home.run("keys", "create", "--alias", "ci", "--team", "nobody", code=2)
    assert "no keys" in home.run("keys", "list")[0]


@pytest.mark.parametrize(
    "words",
    [
        ("--rpm-limit", "many"),
        ("--budget", "10"),
        ("--model-rpm-limit", "gpt-4o"),
        ("--metadata", "{"),
        ("--weight", "heavy"),
        ("--budget-duration", "30d"),
        ("--key-type", "root"),
    ],
    ids=" ".join,
)
def test_a_value_that_makes_no_sense_is_refused_with_the_option(words: tuple[str, str], home: Home) -> None:
    assert words[0] in home.run("keys", "create", *words, code=2)[1]


def test_a_plan_is_what_would_be_done_and_leaves_nothing(home: Home) -> None:
    out, story = home.run("keys", "create", "--alias", "ci", "--dry-run")
    assert out == "" and story.startswith("+ key ci (sk-...")
    assert home.json("keys", "create", "--alias", "ci", "--dry-run")["outcome"] == "planned"
    assert "no keys" in home.run("keys", "list")[0]
    home.run("keys", "create", "--alias", "ci")
    for verb in ("block", "revoke", "rotate"):
        home.run("keys", verb, "ci", "--dry-run")
    assert home.json("keys", "show", "ci")["info"]["status"] == "active"


def test_a_key_is_changed_field_by_field_and_none_takes_a_limit_away(home: Home) -> None:
    home.run("keys", "create", "--alias", "ci", "--rpm-limit", "60", "--max-budget", "10")
    out, story = home.run("keys", "update", "ci", "--rpm-limit", "none", "--max-budget", "12", "--reason", "more of it")
    assert "~ rpm_limit: 60 -> none" in story and "~ max_budget: $10.00 -> $12.00" in story
    assert out.startswith("ci (sk-...") and out.endswith("$12.00 in all")
    assert home.run("keys", "update", "ci", "--max-budget", "12")[0].startswith("no change: ci")
    assert "“more of it”" in home.run("keys", "show", "ci")[0]
    assert "nothing was said to change" in home.run("keys", "update", "ci", code=2)[1]


def test_a_key_itself_has_no_place_on_a_command_line(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    key = home.run("keys", "create", "--alias", "ci")[0]
    said = home.run("keys", "show", key, code=2)[1]
    assert "a key has no place on a command line" in said and key not in said
    monkeypatch.setattr("sys.stdin", io.StringIO(key + "\n"))
    assert "ci" in home.run("keys", "show", "-")[0]
    assert "ci" in home.run("keys", "show", tokens.hashed(key))[0]
    assert "did you mean `ci`?" in home.run("keys", "show", "cii", code=3)[1]


@pytest.mark.parametrize(
    ("verb", "noun"),
    [
        (("keys", "block"), "keys"), (("keys", "unblock"), "keys"), (("keys", "revoke"), "keys"),
        (("keys", "show"), "keys"), (("usage", "--key"), "keys"), (("usage", "--team"), "teams"),
        (("keys", "list", "--team"), "teams"), (("teams", "show"), "teams"), (("teams", "block"), "teams"),
    ],
)  # fmt: skip
def test_a_name_that_is_like_no_other_comes_with_the_verb_that_lists_them(
    home: Home, verb: tuple[str, ...], noun: str
) -> None:
    assert f"{noun} list` shows which there are" in home.run(*verb, "nope", code=3)[1]


def test_a_rotated_key_is_shown_once_like_a_new_one(home: Home) -> None:
    old = home.run("keys", "create", "--alias", "ci")[0]
    new, story = home.run("keys", "rotate", "ci", "--grace-period", "1h")
    assert new != old and new.startswith("sk-") and "the old one is valid until" in story
    home.run("keys", "rotate", "ci", "--grace-period", "soon", code=2)
    hashes = home.run("keys", "show", "ci")[0].count("hash:")
    assert hashes == 2


def two_gateways(home: Home, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """One follows whatever is changed, the other nothing."""
    engine = open.engine(home.database)
    with open.writing(engine) as connection:
        for id, seq in (("one", 10**6), ("two", 0)):
            row = replicas.Replica(id=id, host=f"host-{id}", url="", generation=1, applied_seq=seq, workers={"7": {}})
            replicas.seen(connection, row)
    monkeypatch.setattr("aiops.actions.instance.heeded.RECEIPT_SECONDS", 0.2)
    return engine


def test_a_revocation_has_a_receipt_of_each_gateway_and_says_who_has_not_yet(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.run("keys", "create", "--alias", "a")
    home.run("keys", "create", "--alias", "b")
    engine = two_gateways(home, monkeypatch)
    began = time.monotonic()
    receipt = {each["host"]: each["seconds"] for each in home.json("keys", "revoke", "a", code=7)["receipt"]}
    assert receipt["host-two"] is None and 0 <= receipt["host-one"] < time.monotonic() - began
    with open.writing(engine) as connection:
        replicas.leave(connection, "two")
    out = home.run("keys", "revoke", "b")[0]
    assert "b (sk-..." in out and "1 worker of host-one refused it after" in out
    assert home.run("keys", "revoke", "b (revoked", code=3)


def test_who_is_blocked_or_let_in_again_has_a_receipt_of_each_gateway_too(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.run("teams", "create", "lab")
    home.run("keys", "create", "--alias", "a", "--team", "lab")
    engine = two_gateways(home, monkeypatch)
    verbs = (("keys", "block", "a"), ("keys", "unblock", "a"), ("teams", "block", "lab"), ("teams", "unblock", "lab"))
    for verb in verbs:
        assert "receipt" not in home.json(*verb, "--dry-run")
        receipt = {each["host"]: each["seconds"] for each in home.json(*verb, code=7)["receipt"]}
        assert receipt["host-two"] is None and receipt["host-one"] is not None, verb
        assert "receipt" not in home.json(*verb)  # nothing to wait for: it is so already
    with open.writing(engine) as connection:
        replicas.leave(connection, "two")
    said = ("refused it", "let it in again", "refused its keys", "let its keys in again")
    for verb, did in zip(verbs, said, strict=True):
        assert f"1 worker of host-one {did} after" in home.run(*verb)[0]


def test_where_nobody_can_have_a_receipt_it_is_said_why(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    for alias in ("a", "b", "c"):
        home.run("keys", "create", "--alias", alias)
    assert home.json("keys", "revoke", "a", "--dry-run")["receipt"] == []
    assert home.run("keys", "revoke", "a")[0].endswith("is revoked; no gateway runs that could let it in")
    monkeypatch.setattr("aiops.actions.instance.heeded.control.status", lambda run: object())
    for verb in ("revoke", "block"):
        out, said = home.run("keys", verb, {"revoke": "b", "block": "c"}[verb], code=7)
        assert "✗ a gateway runs here, and its accountant does not say that it knows" in out, verb
        assert "not every gateway has said that it follows it" in said


def ingest(home: Home, *records: dict[str, Any]) -> None:
    values: dict[str, Any] = {
        "team": None, "user": None, "model": "gpt-4o", "provider": "openai", "served": "gpt-4o", "path": "/",
        "seconds": 1.0,
        "first": None, "status": 200, "outcome": "answered", "prompt_tokens": 100, "completion_tokens": 10,
        "cached_tokens": 0, "cost": NANO, "estimated": False, "stream": False, "generation": 1, "replica": "r",
        "epoch": "e", "started": time.time_ns() // 1000,
    }  # fmt: skip
    engine = open.engine(home.database)
    with open.writing(engine) as connection:
        key = connection.scalar(select(tables.keys.c.id))
        many = [Usage(**{**values, "id": f"r{number}", "key": key, **each}) for number, each in enumerate(records)]
        usage.ingest(connection, many)
    engine.dispose()


def test_what_is_left_of_a_budget_is_explained_and_when_it_is_gone_so_is_the_refusal(home: Home) -> None:
    home.run("keys", "create", "--alias", "ci", "--models", "gpt-4o", "--max-budget", "3", "--rpm-limit", "60")
    ingest(home, {})
    out = home.run("keys", "explain", "ci", "gpt-4o")[0]
    assert "asking for gpt-4o: would pass" in out and "key ci may ask for gpt-4o" in out
    assert [line.split()[-4:] for line in out.splitlines() if "budget" in line] == [["$1.00", "$3.00", "$2.00", "ever"]]
    denied = home.json("keys", "explain", "ci", "claude")
    assert (denied["passes"], denied["refusal"]["type"]) == (False, "key_model_access_denied")
    ingest(home, {"id": "more", "cost": 2 * NANO})
    spent = home.json("keys", "explain", "ci", "gpt-4o")
    assert (spent["passes"], spent["refusal"]["status"], spent["refusal"]["type"]) == (False, 429, "budget_exceeded")
    home.run("keys", "revoke", "ci")
    assert home.json("keys", "explain", home.json("keys", "list", "--all")["keys"][0]["token"])["passes"] is False


@pytest.mark.parametrize(("told", "code"), [(NANO, 0), (NANO + 1, 7)], ids=["equal", "one nano-dollar apart"])
def test_ledger_and_counters_are_compared_to_the_nano_dollar(
    told: int, code: int, home: Home, monkeypatch: Any
) -> None:
    import asyncio

    from aiops.state import rules
    from aiops.state.store import identity

    monkeypatch.setattr("aiops.actions.usage.prove.PATIENCE_SECONDS", 0)
    home.run("keys", "create", "--alias", "ci", "--max-budget", "3")
    assert "no worker has counted anything" in home.run("usage", "prove", code=4)[1]
    ingest(home, {})
    engine = open.engine(home.database)
    with open.reading(engine) as connection:
        whose = identity.by_id(connection, connection.scalar(select(tables.keys.c.id)) or "")
    assert whose is not None
    meter = rules.money_meter(whose.accounts[0], whose.accounts[0].budgets[0], time.time())
    counters = Shared(home.path / "state" / "counters")
    asyncio.run(counters.seed({meter.name: told}, {meter.name: None}))
    under_way = asyncio.run(counters.reserve(Demand(id="r", owner="w", meters=[meter], cost=5)))
    assert isinstance(under_way, Granted)
    counters.close()
    found = home.json("usage", "prove", code=code)
    (budget,) = found["budgets"]
    assert (budget["ledger_nano_usd"], budget["counter_nano_usd"], budget["reserved_nano_usd"]) == (NANO, told, 5)
    assert found["ok"] is (code == 0)
    said = "".join(home.run("usage", "prove", code=code))
    assert ("1 budget: ledger = counters, to the nano-dollar" in said) is (code == 0)

    home.run("keys", "create", "--alias", "unused", "--max-budget", "3")
    said = "".join(home.run("usage", "prove", code=code))
    assert "1 budget: " in said and "; 1 not counted yet, and not compared" in said


def test_where_nothing_was_counted_nothing_is_said_to_be_the_same(home: Home) -> None:
    Shared(home.path / "state" / "counters").close()
    assert "0 budgets: nothing was compared" in home.run("usage", "prove")[0]
    home.run("keys", "create", "--alias", "ci", "--max-budget", "3")
    ingest(home, {})
    out = home.run("usage", "prove")[0]
    assert "1 budget: nothing was compared, not counted yet" in out and "ledger = counters" not in out


def test_by_key_the_most_costly_is_first_and_then_it_goes_by_name(home: Home) -> None:
    for alias in ("b", "c", "a"):
        home.run("keys", "create", "--alias", alias)
    engine = open.engine(home.database)
    with open.reading(engine) as connection:
        ids = {row.alias: row.id for row in connection.execute(select(tables.keys.c.alias, tables.keys.c.id))}
    engine.dispose()
    costs = {ids["a"]: 5, ids["b"]: 5, ids["c"]: 9, "": 7}
    ingest(home, *({"key": key, "cost": cost} for key, cost in costs.items()))
    assert [each["key"] for each in home.json("usage", "--by", "key")["usage"]] == ["c", "(master key)", "a", "b"]


def test_that_a_soft_budget_is_over_is_a_sentence(home: Home) -> None:
    home.run("keys", "create", "--alias", "ci", "--max-budget", "3", "--soft-budget", "1")
    assert "its soft budget is $1.00; nothing is refused for it" in home.run("keys", "show", "ci")[0]
    ingest(home, {"cost": NANO + 1})
    out = home.run("keys", "show", "ci")[0]
    assert "it has spent more than its soft budget of $1.00; nothing is refused for it" in out


def test_usage_is_shown_by_what_is_asked_for(home: Home) -> None:
    home.run("keys", "create", "--alias", "ci")
    ingest(home, {}, {"model": "small", "cost": None}, {"key": "", "cost": 5, "estimated": True, "tags": ("a",)})
    table = home.run("usage", "--by", "key", "--by", "model")[0]
    assert "(master key)" in table and "ci" in table and "3 requests, $1.000000005" in table
    assert "of 1 of them nobody knows the price" in table and "they are reckoned" in table
    heading, *rows = home.run("usage", "--by", "model", "--csv")[0].splitlines()
    assert (
        heading.startswith("model,requests,")
        and rows[0].startswith("gpt-4o,2,0,1,0,")
        and rows[0].endswith("1.000000005")
    )
    assert "█" in home.run("usage", "--plot")[0]
    assert home.json("usage", "--by", "tag")["usage"][0]["tag"] == "a"
    assert home.json("usage", "--key", "ci", "--by", "model")["usage"][1]["unpriced"] == 1
    assert home.json("usage", "--until", "2020-01-01", "--since", "2019-01-01")["usage"] == []
    for words in (("--since", "lately"), ("--by", "tag", "--by", "user"), ("--csv", "--plot"), ("--until", "soon")):
        home.run("usage", *words, code=2)
    assert "there is no verb `prov`; did you mean `aiops usage prove`?" in home.run("usage", "prov", code=2)[1]


def test_a_bill_is_compared_by_day_and_model(home: Home, tmp_path: Path) -> None:
    home.run("keys", "create")
    ingest(home, {"started": 1_767_225_600_000_000, "cost": 2 * NANO})  # 2026-01-01
    bill = tmp_path / "bill.csv"
    bill.write_text("date,model,cost\n2026-01-01,gpt-4o,$1.50\n2026-01-01,gpt-4o,0.50\n")
    assert "they agree within 1.0%" in home.run("usage", "reconcile", str(bill))[0]
    bill.write_text("date,model,cost\n2026-01-01,gpt-4o,2.50\n2026-01-02,gpt-4o,1\n")
    found = home.json("usage", "reconcile", str(bill), code=7)
    assert [(each["day"], each["difference"]) for each in found["lines"]] == [("2026-01-01", 0.5), ("2026-01-02", 1.0)]
    bill.write_text('[{"start_time": 1767225600, "snapshot_id": "gpt-4o", "amount": {"value": 2, "currency": "usd"}}]')
    home.run("usage", "reconcile", str(bill))
    bill.write_text("date,model,cost\nyesterday,gpt-4o,1\n2026-01-01,gpt-4o,much\n")
    said = home.run("usage", "reconcile", str(bill), code=3)[1]
    assert "bill.csv:2: `yesterday`" in said and "bill.csv:3: 'much'" in said
    home.run("usage", "reconcile", str(tmp_path / "none.csv"), code=4)


def test_teams_hold_their_keys_together(home: Home) -> None:
    home.run("teams", "create", "red", "--max-budget", "100", "--member-budget", "5")
    home.run("teams", "create", "red", code=2)
    home.run("teams", "add-member", "red", "bob", "--max-budget", "3")
    assert "no change" in home.run("teams", "add-member", "red", "bob", "--max-budget", "3")[0]
    assert "~ max_budget: $3.00 -> $4.00" in home.run("teams", "add-member", "red", "bob", "--max-budget", "4")[1]
    home.run("keys", "create", "--alias", "k", "--team", "red", "--user", "bob")
    assert "member:     bob (user): $4.00 in all" in home.run("teams", "show", "red")[0]
    assert [each["team_alias"] for each in home.json("teams", "list")["teams"]] == ["red"]
    assert home.json("teams", "show", "red")["team_info"]["members"] == ["bob"]
    home.run("teams", "update", "red", "--alias", "lab", "--rpm-limit", "9")
    home.run("teams", "block", "lab")
    assert home.json("keys", "explain", "k")["refusal"]["status"] == 401
    home.run("teams", "unblock", "lab")
    home.run("teams", "remove-member", "lab", "eve", code=3)
    home.run("teams", "remove-member", "lab", "bob")
    assert "has 1 key" in home.run("teams", "delete", "lab", code=4)[1]
    home.run("teams", "delete", "lab", "--force")
    assert home.json("keys", "list")["keys"] == []


def test_pages_of_keys_go_on_where_the_last_one_ended(home: Home) -> None:
    for name in "abc":
        home.run("keys", "create", "--alias", name)
    first = home.json("keys", "list", "--size", "2")
    rest = home.json("keys", "list", "--size", "2", "--after", first["next"])
    assert [each["key_alias"] for each in first["keys"] + rest["keys"]] == ["c", "b", "a"] and rest["next"] is None
    assert "keys list --after" in home.run("keys", "list", "--size", "2")[1]
    home.run("keys", "list", "--after", "somewhere", code=2)


def test_a_database_of_a_newer_aiops_is_left_alone_and_said_so(home: Home) -> None:
    assert "empty" in home.run("database", "check")[0] and not home.database.exists()
    home.run("keys", "create")
    assert home.json("database", "check")["keys"] == 1
    assert "no change" in home.run("database", "migrate")[0]
    with sqlite3.connect(home.database) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
        raw.execute("UPDATE meta SET value = '9999' WHERE name = 'readable_since'")
    for words in (("keys", "list"), ("database", "check")):
        assert "made by a newer aiops" in home.run(*words, code=4)[1]


def test_a_shell_completes_aliases_without_the_store(home: Home) -> None:
    home.run("teams", "create", "red")
    home.run("keys", "create", "--alias", "ci")
    home.run("keys", "create")
    instance = locate(home.path)
    assert [alias for alias, _ in names.keys(instance)] == ["ci"]
    assert [alias for alias, _ in names.teams(instance)] == ["red"]


def test_people_read_the_name_of_a_team_and_not_its_id(home: Home) -> None:
    home.run("teams", "create", "red")
    assert "no limits" not in (told := home.run("keys", "create", "--alias", "k", "--team", "red")[1])
    assert "+ key k" in told and "): team red" in told
    assert "team red" in home.run("keys", "list")[0]
    assert "may:        team red" in home.run("keys", "show", "k")[0]
    assert "team red" in home.run("keys", "update", "k", "--rpm-limit", "5")[0]


@pytest.mark.parametrize("empty", ["--alias=", "--team= ", "--models=", "--models=,", "--user=", "--max-budget="])
def test_what_is_empty_by_mistake_makes_no_key_that_may_everything(home: Home, empty: str) -> None:
    option = empty.partition("=")[0]
    _, said = home.run("keys", "create", "--alias", "k", *([empty] if option != "--alias" else ["--alias", ""]), code=2)
    assert option in said and "is empty: leave it out, or write `none`" in said
    assert home.run("keys", "list")[0].startswith("no keys")


def test_a_revoked_key_is_told_as_such_by_the_alias_that_it_had(home: Home) -> None:
    home.run("keys", "create", "--alias", "ci")
    id = home.json("keys", "list")["keys"][0]["token"]
    home.run("keys", "revoke", "ci")
    _, said = home.run("keys", "update", "ci", "--rpm-limit", "5", code=3)
    assert "the key `ci` (sk-..." in said and "is revoked since 20" in said and "is found by its id" in said
    assert "state:      revoked" in home.run("keys", "show", id)[0]
    home.run("keys", "create", "--alias", "ci")
    assert "state:      active" in home.run("keys", "show", "ci")[0]


def test_a_model_that_nothing_is_served_as_is_noticed_when_the_key_is_made(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    routes = SimpleNamespace(models=("gpt-4o", "llama-3")), SimpleNamespace(rules=(("claude-*", "asks llama-3"),))
    monkeypatch.setattr(served, "Snapshot", lambda instance: SimpleNamespace(routes=routes))
    models = "gpt-4,gpt-*,llama-3,claude-5,o1-*,all-team-models"
    _, told = home.run("keys", "create", "--alias", "k", "--models", models)
    assert "! nothing is served as `gpt-4`; did you mean `gpt-4o`?" in told
    assert "! nothing is served as `o1-*`" in told
    assert told.count("! nothing is served") == 2
    assert "! nothing is served as `nope`" in home.run("keys", "update", "k", "--models", "nope")[1]
    assert "! nothing" not in home.run("keys", "update", "k", "--rpm-limit", "4")[1]
