"""What LiteLLM did with a configuration, the imported one does: one test for each kind of setting."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from aiops.actions import takeover
from aiops.host.instance import locate
from aiops.host.setup import defaults
from aiops.importing.importer import Found, Imported, import_all
from aiops.importing.litellm_keys import DEPLOYMENT, is_own
from aiops.importing.modes import by_name
from aiops.importing.report import Fate
from aiops.render.litellm import config as rendered
from aiops.spec.load.load import load
from aiops.spec.routes.resolve import resolve
from aiops.spec.shapes.option_tables import HANDLING
from aiops.spec.sources import FILES

URL = "http://127.0.0.1:8000/v1"


def one(name: str, model: str = "openai/m", info: dict[str, Any] | None = None, **params: Any) -> dict[str, Any]:
    made = {"model_name": name, "litellm_params": {"model": model, "api_base": URL, "api_key": "none", **params}}
    return made | ({"model_info": info} if info else {})


def imported(*deployments: dict[str, Any], env: dict[str, str] | None = None, **sections: Any) -> Imported:
    text = yaml.safe_dump({"model_list": list(deployments), **sections})
    result = import_all(Found({}, env or {}, defaults(), config=("config.yaml", text.encode())))
    assert not result.problems
    return result


def served(result: Imported, env: dict[str, str] | None = None) -> dict[str, Any]:
    """What LiteLLM is given in the end."""
    sources = {name: content for name, content in result.sources.items() if name in FILES}
    state = load(sources, {**(env or {}), **result.secrets.env})
    return rendered(state, resolve(state))


def params(result: Imported, name: str) -> list[dict[str, Any]]:
    return [each["litellm_params"] for each in served(result)["model_list"] if each["model_name"] == name]


def fate(result: Imported, key: str) -> Fate:
    return next(entry.fate for entry in result.report.entries if entry.key.endswith(key))


def test_two_names_of_one_backend_keep_their_own_options() -> None:
    result = imported(
        one("nothink", max_tokens=100, extra_body={"chat_template_kwargs": {"enable_thinking": False}}),
        one("think", max_tokens=900, extra_body={"chat_template_kwargs": {"enable_thinking": True}}),
    )
    for name, tokens, thinks in (("nothink", 100, False), ("think", 900, True)):
        [asked] = params(result, name)
        assert asked["max_tokens"] == tokens
        assert asked["extra_body"] == {"chat_template_kwargs": {"enable_thinking": thinks}}


def test_only_names_that_were_public_are() -> None:
    config = served(imported(one("fast", "openai/backend"), one("m")))
    assert {each["model_name"] for each in config["model_list"]} == {"fast", "m"}


@pytest.mark.parametrize(
    ("model", "written"),
    [
        ("openai/m", "http://127.0.0.1:8000/inference"),
        ("openai/m", "http://127.0.0.1:8000"),
        ("openai/m", "https://host.example/v1?api-version=1"),
        ("openai/m", "http://127.0.0.1:8000/api/v3"),
        ("openai/m", "http://127.0.0.1:8000/v1"),
        ("hosted_vllm/m", "http://127.0.0.1:8000"),
        ("groq/m", "http://127.0.0.1:8000/proxy/v1"),
        ("ollama_chat/m", "http://127.0.0.1:11434"),
    ],
)
def test_an_address_is_used_as_it_is_written(model: str, written: str) -> None:
    [asked] = params(imported(one("m", model, api_base=written)), "m")
    assert asked["api_base"] == written


def test_one_server_with_two_keys_and_two_types_serves_all_of_them() -> None:
    result = imported(
        one("a", "openai/a", api_key="sk-team-a-0123456789abcdef"),
        one("b", "openai/b", api_key="sk-team-b-0123456789abcdef"),
        one("c", "ollama_chat/c", api_base="http://127.0.0.1:8000"),
    )
    assert [len(params(result, name)) for name in "abc"] == [1, 1, 1]
    assert len({params(result, name)[0]["api_key"] for name in "abc"}) == 3
    providers = yaml.safe_load(result.sources["providers.yaml"])["providers"]
    assert [entry.get("same_server_as") for entry in providers.values()] == [None, *[next(iter(providers))] * 2]


@pytest.mark.parametrize("word", ["dummy", "sk-none", "ollama", "anything"])
def test_a_key_is_kept_whatever_word_it_is(word: str) -> None:
    result = imported(one("m", api_key=word))
    assert list(result.secrets.env.values()) == [word]


def test_retries_and_time_outs_that_were_defaults_are_written_down() -> None:
    router = served(imported(one("m")))["router_settings"]
    assert (router["num_retries"], router["timeout"]) == (2, 6000)
    router = served(imported(one("m"), litellm_settings={"num_retries": 0, "request_timeout": 9}))["router_settings"]
    assert (router["num_retries"], router["timeout"]) == (0, 9)


def test_the_defaults_are_litellms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

    router = litellm.Router(model_list=[])
    assert (router.num_retries, router.timeout) == (2, 6000)


def test_what_litellm_does_itself_stays_and_what_is_unknown_goes_into_the_body() -> None:
    [asked] = params(
        imported(one("m", drop_params=True, headers={"X-A": "b"}, stop="</s>", frobnicate=3, timeout=7)), "m"
    )
    assert asked["drop_params"] is True
    assert asked["extra_headers"] == {"X-A": "b"}
    assert asked["extra_body"] == {"frobnicate": 3}
    assert (asked["stop"], asked["timeout"]) == (["</s>"], 7)


def test_drop_params_for_all_is_so_for_all() -> None:
    result = imported(one("m"), one("n", "ollama_chat/n"), litellm_settings={"drop_params": True})
    assert all(params(result, name)[0]["drop_params"] for name in "mn")


def test_limits_that_nobody_held_to_are_none_and_those_that_were_are() -> None:
    def limit(**settings: Any) -> int | None:
        [model] = served(imported(one("m", rpm=5), **settings))["model_list"]
        found: int | None = model["model_info"].get("rpm")
        return found

    assert limit() is None
    assert limit(router_settings={"optional_pre_call_checks": ["enforce_model_rate_limits"]}) == 5


def test_a_deployment_that_is_written_twice_gets_twice_as_much() -> None:
    result = imported(one("m", "openai/a"), one("m", "openai/a"), one("m", "openai/b"))
    assert [each["weight"] for each in params(result, "m")] == [0.6667, 0.3333]


def test_the_same_model_with_other_options_in_one_group_is_another_deployment() -> None:
    result = imported(one("m", temperature=0.1), one("m", temperature=0.9))
    assert sorted(each["temperature"] for each in params(result, "m")) == [0.1, 0.9]


def test_names_with_a_star_are_patterns_and_the_longest_comes_first() -> None:
    result = imported(one("*", "openai/x/*"), one("claude-*", "openai/chat"), one("lan/*", "openai/*"))
    patterns = yaml.safe_load(result.sources["model-mappings.yaml"])["patterns"]
    assert [(each["pattern"], each.get("rename"), each.get("backend_model")) for each in patterns] == [
        ("^claude-(.*)$", None, "chat"),
        ("^lan/(.*)$", "\\1", None),
        ("^(.*)$", "x/\\1", None),
    ]


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("nomic-embed-text", "embedding"),
        ("BAAI/bge-m3", "embedding"),
        ("text-embedding-3-small", "embedding"),
        ("BAAI/bge-reranker-v2-m3", "rerank"),
        ("whisper-1", "audio_transcription"),
        ("tts-1", "audio_speech"),
        ("dall-e-3", "image_generation"),
        ("omni-moderation-latest", "moderation"),
        ("llama3.2", "chat"),
        ("qwen2.5-coder:7b", "chat"),
        ("gpt-4o-mini", "chat"),
    ],
)
def test_what_a_model_is_for_is_known_by_its_name(name: str, mode: str) -> None:
    assert by_name(name) == mode


@pytest.mark.parametrize("mode", ["audio_transcription", "audio_speech", "image_generation", "rerank", "moderation"])
def test_models_of_every_mode_are_served(mode: str) -> None:
    [deployment] = served(imported(one("m", info={"mode": mode})))["model_list"]
    assert deployment["model_info"]["mode"] == mode


def test_prices_limits_and_abilities_are_told_to_litellm() -> None:
    info = {"input_cost_per_token": "5e-8", "output_cost_per_token": 2e-7, "cache_read_input_token_cost": 1e-8}
    info |= {"max_output_tokens": 4096, "max_input_tokens": 8192, "supports_vision": False}
    [deployment] = served(imported(one("m", info=info)))["model_list"]
    assert {key: deployment["model_info"][key] for key in info} == {**info, "input_cost_per_token": 5e-8}


def test_fallbacks_for_one_kind_of_failure_are_for_that_kind() -> None:
    ways = {"context_window_fallbacks": [{"a": ["b"]}], "content_policy_fallbacks": [{"a": ["c"]}]}
    router = served(imported(*[one(name, f"openai/{name}") for name in "abc"], router_settings=ways))["router_settings"]
    assert {key: router[key] for key in ways} == ways


def test_names_that_fall_back_to_each_other_are_all_served() -> None:
    ways = {"fallbacks": [{"a": ["b"]}, {"b": ["a"]}]}
    result = imported(*[one(name, f"openai/{name}") for name in "ab"], router_settings=ways)
    assert {each["model_name"] for each in served(result)["model_list"]} == {"a", "b"}
    assert fate(result, "fallbacks[1].b") is Fate.TRANSLATED


@pytest.mark.parametrize("prefix", ["azure", "bedrock", "vertex_ai"])
def test_services_with_accounts_of_their_own_are_passed_through(prefix: str) -> None:
    more = {"azure": {"api_version": "2024-10-21"}, "bedrock": {"aws_secret_access_key": "hunter22hunter22"}}
    deployment = {"model": f"{prefix}/m", "api_base": URL, **more.get(prefix, {"vertex_location": "eu"})}
    result = imported({"model_name": "m", "litellm_params": deployment})
    [asked] = params(result, "m")
    assert asked["model"] == f"{prefix}/m"
    assert "hunter22" not in str(result.sources)
    assert asked.get("aws_secret_access_key", "os.environ/AWS_SECRET_ACCESS_KEY") == "os.environ/AWS_SECRET_ACCESS_KEY"


def test_a_variable_that_stands_for_a_number_has_its_value() -> None:
    result = imported(
        one("m", "os.environ/MODEL", timeout="os.environ/SECONDS"), env={"MODEL": "openai/x", "SECONDS": "7"}
    )
    [asked] = params(result, "m")
    assert (asked["model"], asked["timeout"]) == ("openai/x", 7)


def test_what_says_nothing_is_no_decision() -> None:
    result = imported(one("m"), litellm_settings={"cache": False, "callbacks": []}, guardrails=[], router_settings={})
    assert [str(entry) for entry in result.report.decisions] == []


def test_the_counts_are_those_of_the_lists() -> None:
    result = imported(one("m", tags=["a"]), one("n", cooldown_time=3), litellm_settings={"cache": True})
    lines = result.report.text().splitlines()
    assert sum(line.startswith("  config.yaml:") for line in lines) == sum(result.report.counts().values())


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("K=abc # why", "abc"),
        ("K='a # b' # why", "a # b"),
        ('export K="x"', "x"),
        ("K=a#b", "a#b"),
        ("K=abc", "abc"),
    ],
)
def test_a_comment_behind_a_value_is_not_part_of_it(tmp_path: Any, line: str, value: str) -> None:
    (tmp_path / ".env").write_text(f"{line}\n")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"model_list": [one("m")]}))
    assert takeover.look(tmp_path / "config.yaml", {}).env["K"] == value


def test_every_parameter_that_litellm_keeps_to_itself_is_known_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    from litellm.types.utils import all_litellm_params

    beside = {"api_base", "api_key", "custom_llm_provider", "weight", "rpm", "tpm", "order", "headers"}
    beside |= {"max_parallel_requests", "request_timeout"}
    names = set(all_litellm_params) - beside - HANDLING - DEPLOYMENT.keys()
    assert [name for name in sorted(names) if not is_own(name)] == []


def test_an_import_of_which_nothing_can_be_asked_says_so(tmp_path: Any) -> None:
    (tmp_path / "config.yaml").write_text("model_list: []\ngeneral_settings: {}\n")
    thought = takeover.plan(locate(tmp_path / "home"), takeover.look(tmp_path / "config.yaml", {}))
    assert not thought.serves
