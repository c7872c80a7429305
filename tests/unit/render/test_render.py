"""A desired state becomes the same bytes every time, and LiteLLM reads every key of them."""

from __future__ import annotations

import inspect
import itertools
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from aiops.render.release import digest, render
from aiops.render.routes import read_routes
from aiops.spec.choosing.rules import RoutingTable
from aiops.spec.load.load import load
from aiops.spec.routes.deployments import ANY_MODEL, hidden_members
from aiops.spec.routes.resolve import resolve
from aiops.spec.routes.summary import summarise
from aiops.spec.shapes.model import DesiredState
from aiops.spec.sources import FILES
from aiops.spec.yaml.yaml12 import parse

CASES = sorted((Path(__file__).resolve().parents[2] / "cases" / "render").iterdir())
EVERY_KEY = next(case for case in CASES if case.name == "every_key")
ROUTING = next(case for case in CASES if case.name == "routing")
SECRETS = ("sk-", "Bearer")

# What LiteLLM is given, by the section; the test below asks LiteLLM whether it reads each.
LITELLM_PARAMS = {"model", "api_base", "api_key", "weight", "order"}
MODEL_INFO = {"id", "mode", "provider", "documentation", "max_input_tokens", "supports_reasoning", "rpm", "tpm"}
ROUTER_SETTINGS = {
    *("fallbacks", "max_fallbacks", "num_retries", "disable_cooldowns", "timeout", "stream_timeout"),
    "optional_pre_call_checks",
}
LITELLM_SETTINGS = {
    "request_timeout",
    "disable_hf_tokenizer_download",
    "use_chat_completions_url_for_anthropic_messages",
    "callbacks",
}
GENERAL_SETTINGS = {"master_key", "custom_auth", "disable_model_info_refresh"}


def state_of(case: Path) -> DesiredState:
    return load({file: (case / file).read_bytes() for file in FILES if (case / file).exists()}, {})


def release_of(case: Path) -> dict[str, bytes]:
    state = state_of(case)
    return render(state, resolve(state), aiops_version="1.2.3")


def config_of(case: Path) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(release_of(case)["litellm-unified.yaml"])
    return config


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_release_is_these_bytes(case: Path) -> None:
    if os.environ.get("AIOPS_UPDATE_CASES"):  # then read the difference before it is committed
        for name, content in release_of(case).items():
            case.joinpath("release", name).write_bytes(content)
    golden = {path.name: path.read_bytes() for path in (case / "release").iterdir()}
    assert {name: content.decode() for name, content in release_of(case).items()} == {
        name: content.decode() for name, content in golden.items()
    }


def test_the_order_of_the_files_makes_no_difference_to_what_is_served() -> None:
    entries = [f"  p{i}: {{type: vllm, base_url: 'http://h:{i}', models: [m{i}]}}\n" for i in range(1, 4)]

    def config(order: tuple[str, ...]) -> str:
        sources = {"aiops.yaml": b"gateway: {port: 4000}", "providers.yaml": ("providers:\n" + "".join(order)).encode()}
        state = load(sources, {})
        release = render(state, resolve(state), aiops_version="1")["litellm-unified.yaml"].decode()
        return release.split("\n", 1)[1]  # the first line names the sources, which do differ

    assert len({config(order) for order in itertools.permutations(entries)}) == 1


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_yaml_1_1_and_yaml_1_2_readers_agree_on_it(case: Path) -> None:
    content = release_of(case)["litellm-unified.yaml"]
    again = json.loads(json.dumps(parse("f", content).data))
    assert again == yaml.safe_load(content)


def test_only_keys_that_litellm_reads_are_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm
    from litellm.types.router import LiteLLMParamsTypedDict

    config, routed = config_of(EVERY_KEY), config_of(ROUTING)
    assert set(config) == {"model_list", "router_settings", "litellm_settings", "general_settings"}
    for deployment in (*config["model_list"], *routed["model_list"]):
        assert set(deployment) == {"model_name", "litellm_params", "model_info"}
        assert set(deployment["litellm_params"]) <= LITELLM_PARAMS
        assert set(deployment["model_info"]) <= MODEL_INFO
    assert set(config["router_settings"] | routed["router_settings"]) == ROUTER_SETTINGS
    assert set(config["litellm_settings"]) == LITELLM_SETTINGS
    assert set(config["general_settings"]) == GENERAL_SETTINGS

    assert set(LiteLLMParamsTypedDict.__annotations__) >= LITELLM_PARAMS
    assert set(inspect.signature(litellm.Router.__init__).parameters) >= ROUTER_SETTINGS
    assert set(litellm.types.utils.all_litellm_params) >= LITELLM_PARAMS - {"model"}, "the rest would go upstream"
    assert [key for key in LITELLM_SETTINGS if not hasattr(litellm, key)] == []
    proxy = Path(litellm.__file__).parent.joinpath("proxy", "proxy_server.py").read_text()
    assert [key for key in GENERAL_SETTINGS if f'"{key}"' not in proxy] == []


def test_litellm_may_try_as_many_fallbacks_as_the_longest_chain_has() -> None:
    config = config_of(EVERY_KEY)
    longest = max(len(names) for entry in config["router_settings"]["fallbacks"] for names in entry.values())
    assert longest == 7
    assert config["router_settings"]["max_fallbacks"] == longest


def test_litellm_may_try_every_member_of_the_largest_group_and_its_fallback() -> None:
    providers = {f"p{i}": {"type": "vllm", "base_url": f"http://h:{i}", "models": [f"m{i}"]} for i in range(1, 9)}
    mappings = {
        "load_balancing": {"all": {"providers": [{"provider": name} for name in list(providers)[:7]]}},
        "fallback_chains": {"all": ["m8"]},
    }
    sources = {
        "aiops.yaml": b"gateway: {port: 4000}",
        "providers.yaml": json.dumps({"providers": providers}).encode(),
        "model-mappings.yaml": json.dumps(mappings).encode(),
    }
    state = load(sources, {})
    config = yaml.safe_load(render(state, resolve(state), aiops_version="1")["litellm-unified.yaml"])
    assert config["router_settings"]["max_fallbacks"] == 7


def test_every_member_of_every_rule_is_a_deployment_of_its_own_and_nothing_else_is_rendered() -> None:
    deployments = {item["model_info"]["id"]: item for item in config_of(ROUTING)["model_list"]}
    assert len(deployments) == len(config_of(ROUTING)["model_list"])
    rules = RoutingTable.from_json(release_of(ROUTING)["routing.json"])
    members = {member.deployment: member for group in rules.groups() for member in group.members}
    for identifier, member in members.items():
        assert deployments[identifier]["model_info"]["provider"] == member.provider
        assert deployments[identifier]["litellm_params"]["model"].endswith(f"/{member.model or ANY_MODEL}")
    served = {item["model_name"] for item in deployments.values()}
    assert {name for name in served if not name.startswith("aiops:")} == {*rules.plain, *rules.names}
    hidden = [identifier for identifier, item in deployments.items() if item["model_name"].startswith("aiops:")]
    assert set(hidden) == {member.deployment for member in hidden_members(rules)}


def test_a_limit_is_enforced_and_is_no_weight_and_no_limit_of_requests_at_once() -> None:
    config = config_of(ROUTING)
    limited = [item["model_info"] for item in config["model_list"] if "rpm" in item["model_info"]]
    assert [(info["rpm"], info["tpm"]) for info in limited] == [(60, 100000)]
    assert not [item for item in config["model_list"] if {"rpm", "tpm"} & set(item["litellm_params"])]
    assert config["router_settings"]["optional_pre_call_checks"] == ["enforce_model_rate_limits"]
    assert "optional_pre_call_checks" not in config_of(EVERY_KEY)["router_settings"]


def test_no_secret_and_no_machine_is_in_a_release() -> None:
    for case in CASES:
        for content in release_of(case).values():
            assert not any(secret.encode() in content for secret in SECRETS)
        keys = {deployment["litellm_params"]["api_key"] for deployment in config_of(case)["model_list"]}
        assert all(key == "none" or key.startswith("os.environ/") for key in keys)


def test_the_header_says_what_made_it_and_not_when() -> None:
    state = state_of(EVERY_KEY)
    first = release_of(EVERY_KEY)["litellm-unified.yaml"].decode().splitlines()[0]
    assert first == f"# Made by aiops 1.2.3 from sources {state.fingerprint}."


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_routes_json_reads_back_as_what_was_resolved(case: Path) -> None:
    state = state_of(case)
    assert read_routes(release_of(case)["routes.json"]) == (resolve(state), summarise(state))


def test_the_digest_changes_with_a_byte_or_a_name() -> None:
    release = release_of(EVERY_KEY)
    assert digest(release) == digest(dict(reversed(release.items())))
    assert digest(release) != digest({**release, "routes.json": release["routes.json"] + b" "})
    assert digest({"a": b"bc"}) != digest({"ab": b"c"})


def test_the_cost_of_rendering_grows_linearly_up_to_ten_thousand_models() -> None:
    def seconds(count: int) -> float:
        """Of CPU. How long it takes on a quiet machine is the bench's to say."""
        providers = {
            f"p{p}": {"type": "vllm", "base_url": f"http://h:{p + 1}", "models": [f"m-{p}-{m}" for m in range(100)]}
            for p in range(count // 100)
        }
        sources = {
            "aiops.yaml": b"gateway: {port: 4000}",
            "providers.yaml": json.dumps({"providers": providers}).encode(),
            "model-mappings.yaml": b"fallback_chains: {default: [m-1-1]}",
        }
        state = load(sources, {})
        table = resolve(state)
        started = time.process_time()
        render(state, table, aiops_version="1")
        return time.process_time() - started

    small, large = min(seconds(1_000) for _ in range(3)), seconds(10_000)
    assert large < 25 * small


@pytest.mark.parametrize(
    ("gateway", "options", "expected"),
    [
        ("", "timeout: 30", 30),
        ("", "timeout: 30, stream_timeout: 20", 20),
        (", stream_timeout: 50", "timeout: 30", None),
    ],
    ids=["its own counts", "but not before one for streams", "nor before that of the gateway"],
)
def test_a_time_out_of_a_model_counts_for_its_streams(gateway: str, options: str, expected: int | None) -> None:
    provider = f"{{type: vllm, base_url: 'http://127.0.0.1:1', models: [{{name: m, options: {{{options}}}}}]}}"
    sources = {
        "aiops.yaml": f"gateway: {{port: 4000{gateway}}}".encode(),
        "providers.yaml": f"providers: {{p: {provider}}}".encode(),
    }
    state = load(sources, {})
    config = yaml.safe_load(render(state, resolve(state), aiops_version="1.2.3")["litellm-unified.yaml"])
    (one,) = config["model_list"]
    assert (one["litellm_params"]["timeout"], one["litellm_params"].get("stream_timeout")) == (30, expected)
