"""`verify` is green when all is well, red when something really is wrong, and a skip is never a pass."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from aiops.demo.child import DemoProvider
from tests.kit.gateway import Gateway
from tests.kit.waiting import free_port

NAMES = ("team/llama 3.1:8b", "qwen:7b-instruct", "modèle-été", "a b c", "org/x+y@v1")


def statuses(data: dict[str, list[dict[str, str]]]) -> dict[str, str]:
    return {check["id"]: check["status"] for check in data["checks"]}


def test_a_healthy_gateway_passes_every_check(gateway: Gateway) -> None:
    done = gateway.must("verify", "--all")
    assert done["ok"] is True
    assert set(statuses(done).values()) == {"pass"}
    assert {"desired", "master", "public:ready", "public:models", "auth:missing-key", "auth:wrong-key"} <= set(
        statuses(done)
    )
    assert {"worker:1:generation", "answer:alpha", "answer:beta", "stream:alpha"} <= set(statuses(done))


def test_the_quick_suite_asks_one_model_of_each_provider(gateway: Gateway, one: DemoProvider) -> None:
    one.forget_requests()
    done = gateway.must("verify")
    assert [name for name in statuses(done) if name.startswith("answer:")] == ["answer:alpha"]
    assert {request["body"]["model"] for request in one.requests() if request["body"]} == {"alpha"}


def test_a_provider_that_stopped_makes_it_red(gateway: Gateway) -> None:
    with DemoProvider.double(models=("gamma",)) as short_lived:
        gateway.add("two", short_lived.url, "gamma", fallback="alpha")
        assert gateway.cli("verify").code == 0
    red = gateway.cli("verify")
    assert red.code == 7
    assert red.data["ok"] is False
    assert red.data["error"]["code"] == "verification"
    seen = statuses(red.data)
    assert seen["answer:gamma"] == seen["stream:gamma"] == "fail", "its fallback does not hide it"
    assert seen["answer:alpha"] == seen["fallback:gamma"] == "pass"
    assert red.data["fail"] == list(seen.values()).count("fail")


def test_a_file_that_is_not_what_is_served_makes_it_red(gateway: Gateway) -> None:
    path = gateway.source("providers.yaml")
    kept = path.read_bytes()
    gateway.edit("providers.yaml", "      - beta\n", "")
    red = gateway.cli("verify")
    path.write_bytes(kept)
    assert red.code == 7
    assert [line.split(":")[0] for line in red.failed] == ["desired"]
    assert "providers.yaml edited since generation" in red.failed[0]
    assert gateway.cli("verify").code == 0


def test_junit_has_a_case_per_check(gateway: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "verify.xml"
    done = gateway.must("verify", "--junit", file)
    suite = ElementTree.parse(file).getroot()
    assert suite.tag == "testsuite"
    assert (suite.get("tests"), suite.get("failures")) == (str(len(done["checks"])), "0")
    assert [case.get("name") for case in suite.iter("testcase")] == [check["id"] for check in done["checks"]]


def test_a_report_that_cannot_be_written_is_refused_before_anybody_is_asked(
    gateway: Gateway, one: DemoProvider, tmp_path: Path
) -> None:
    asked, keys = len(one.requests()), gateway.must("keys", "list", "--all")["keys"]
    for suite in ("quick", "distributed"):
        refused = gateway.cli("verify", "--suite", suite, "--junit", tmp_path / "missing" / "report.xml")
        assert (refused.code, "No such file or directory" in refused.message) == (4, True)
        assert gateway.cli("verify", "--suite", suite, "--junit", tmp_path).code == 2
    assert len(one.requests()) == asked
    assert gateway.must("keys", "list", "--all")["keys"] == keys


def test_junit_names_the_failures(gateway: Gateway, one: DemoProvider, tmp_path: Path) -> None:
    one.control(mode="500")
    file = tmp_path / "verify.xml"
    assert gateway.cli("verify", "--junit", file).code == 7
    failed = [case.get("name") for case in ElementTree.parse(file).iter("testcase") if case.find("failure") is not None]
    assert {"answer:alpha", "stream:alpha"} <= set(failed)


@pytest.mark.shows("aiops.yaml: verify.billable", "providers.yaml: providers.*.billable")
def test_what_costs_money_is_skipped_until_it_is_allowed(gateway: Gateway, two: DemoProvider) -> None:
    with gateway.source("providers.yaml").open("a") as file:
        file.write(
            f"  paid:\n    type: openai_compatible\n    base_url: {two.url}\n    billable: true\n    models: [gamma]\n"
        )
    two.forget_requests()
    applied = gateway.must("apply")
    skipped = {check["id"] for check in applied["checks"] if check["status"] == "skip"}
    assert skipped == {"answer:gamma", "stream:gamma"}
    assert not [request for request in two.requests() if request["method"] == "POST"]
    done = gateway.must("verify")
    assert statuses(done)["answer:gamma"] == "skip"
    assert (done["ok"], done["skip"]) == (True, 2)
    assert not [request for request in two.requests() if request["method"] == "POST"]
    assert statuses(gateway.must("verify", "--billable"))["answer:gamma"] == "pass"
    assert [request for request in two.requests() if request["method"] == "POST"]


def test_model_names_with_slashes_colons_spaces_and_unicode_work_end_to_end(gateway: Gateway) -> None:
    with DemoProvider.double(models=NAMES) as named:
        done = gateway.add("named", named.url, *NAMES)
        assert {f"answer:{name}" for name in NAMES} <= {
            check["id"] for check in done["checks"] if check["status"] == "pass"
        }
        assert gateway.models() == sorted([*NAMES, "alpha", "beta"])
        named.forget_requests()
        for name in NAMES:
            answer = gateway.ask(name)
            assert answer.status_code == 200, answer.text
        assert [request["body"]["model"] for request in named.requests()] == list(NAMES)
        assert set(gateway.status["models"]) == {*NAMES, "alpha", "beta"}
        gateway.must("remove-model", "named", NAMES[0], "--force")
        assert NAMES[0] not in gateway.models()
        gateway.must("remove-provider", "named", "--force")


def test_a_model_name_litellm_cannot_put_into_a_header_is_refused_before_it_is_tried(gateway: Gateway) -> None:
    """LiteLLM copies names into response headers, which hold Latin-1 only: every answer would be an HTTP 500."""
    name = "日本語モデル"
    with DemoProvider.double(models=(name,)) as named:
        done = gateway.cli(*gateway.adding("named", named.url, name))
    assert done.code == 3
    assert f"LiteLLM cannot serve the model name `{name}`: it has characters beyond Latin-1" in done.message
    assert name not in gateway.models()


def test_of_one_gateway_the_same_is_proved_over_its_workers(gateway: Gateway) -> None:
    """What a budget would show needs a price; that one which is spent is heeded does not."""
    said = gateway.say("verify", "--suite", "distributed")
    assert said.code == 0, said.out
    assert "there is one replica" in said.err and "tiny requests to `alpha`" in said.err
    assert re.search(r"^✓ limit:requests: 6 of 18 requests passed", said.out, re.MULTILINE)
    for id in ("limit:retry-after", "limit:parallel:free", "usage:rows", "keys:removed"):
        assert f"✓ {id}: " in said.out
    assert re.search(r"^– budget:spent: `alpha` costs nothing", said.out, re.MULTILINE)
    assert re.search(r"^✓ budget:heeded:\S+: refused for good", said.out, re.MULTILINE)
    assert re.search(r"^✓ block:\S+: refused after 0\.\d\d s", said.out, re.MULTILINE)
    assert gateway.must("keys", "list")["keys"] == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--model", "alhpa"), 3, "did you mean `alpha`?"),
        (("--model", "like-no-other"), 3, "list` shows what is served"),
        (("--at", "box-2"), 2, "write it as box-2=http://10.0.0.2:4000"),
        (("--at", "box-2=http://[::1"), 2, "write it as"),
        (("--at", "box-2=http://10.0.0.2:40000000"), 2, "write it as"),
        (("--at", "box-2=http://10.0.0.2:port"), 2, "write it as"),
        (("--all",), 2, "run one after the other"),
    ],
)
def test_a_suite_that_cannot_be_made_is_refused_before_any_key_is(
    arguments: tuple[str, ...], code: int, said: str, gateway: Gateway
) -> None:
    before = gateway.must("keys", "list", "--all")["keys"]
    refused = gateway.cli("verify", "--suite", "distributed", *arguments)
    assert (refused.code, said in refused.hint) == (code, True), refused.err
    assert gateway.must("keys", "list", "--all")["keys"] == before
    assert gateway.cli("verify", "--wait").code == 2


def test_the_management_api_on_a_port_of_its_own_is_proved_where_status_says_that_it_is(gateway: Gateway) -> None:
    before, port = gateway.source("aiops.yaml").read_text(), free_port()
    gateway.edit("aiops.yaml", "  # admin_port: 4001\n", f'  admin_port: {port}\n  admin_host: "::1"\n')
    try:
        gateway.must("apply")
        passed = [check["id"] for check in gateway.must("verify")["checks"] if check["status"] == "pass"]
        where = gateway.status["gateway"]["admin_url"]
    finally:
        gateway.source("aiops.yaml").write_text(before)
        gateway.must("apply")
    assert where == f"http://[::1]:{port}"
    assert {"admin:ready", "admin:auth:missing-key", "admin:auth:wrong-key", "admin:not-public"} <= {*passed}
