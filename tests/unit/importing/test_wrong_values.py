"""A value of a wrong kind in what is imported costs that value, or a name, and never the import."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from aiops.host.setup import defaults
from aiops.importing.importer import Found, Imported, import_all
from aiops.importing.report import Fate

DEPLOYMENT = {"model": "openai/small", "api_base": "http://127.0.0.1:8000/v1"}


def config(*deployments: dict[str, Any], **sections: Any) -> Imported:
    """The import of a LiteLLM configuration; each deployment as (model_name, litellm_params)."""
    models = [{"model_name": each.pop("as", "chat"), "litellm_params": each} for each in deployments]
    text = yaml.safe_dump({"model_list": models, **sections}, sort_keys=False)
    return import_all(Found({}, {}, defaults(), config=("config.yaml", text.encode())))


def made(result: Imported, name: str) -> Any:
    return yaml.safe_load(result.sources[name])


def decisions(result: Imported) -> dict[str, str]:
    return {entry.key: entry.why for entry in result.report.entries if entry.fate is Fate.DECISION}


@pytest.mark.parametrize("value", ["4", -1, 0, True, [1], {"a": 1}, float("nan")])
def test_a_wrong_number_of_parallel_requests_is_to_be_decided(value: Any) -> None:
    result = config({**DEPLOYMENT, "max_parallel_requests": value})
    assert "max_parallel" not in made(result, "providers.yaml")["providers"]["openai_compatible"]
    assert any("whole number above 0" in why for why in decisions(result).values())


@pytest.mark.parametrize("value", ["10", 0, -1, 2.5])
def test_a_wrong_limit_is_to_be_decided(value: Any) -> None:
    result = config({**DEPLOYMENT, "rpm": value})
    assert decisions(result) == {"model_list[0].litellm_params.rpm": "a limit is a whole number above 0"}


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), 10**400])
def test_weights_that_share_nothing_are_left_out_and_the_group_serves(value: Any) -> None:
    result = config({**DEPLOYMENT, "weight": value}, {**DEPLOYMENT, "model": "openai/other", "weight": 1})
    members = made(result, "model-mappings.yaml")["load_balancing"]["chat"]["providers"]
    assert [member["preferred_model"] for member in members] == ["small", "other"]
    assert "weight" not in members[0]
    assert len(decisions(result)) == 2


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://[::1", "cannot be read"),
        ("http://127.0.0.1:99999/v1", "port 99999 does not exist"),
        ("http://127.0.0.1:PORT/v1", "is not a number"),
    ],
)
def test_a_wrong_address_costs_its_provider_and_no_other(url: str, why: str) -> None:
    result = config(dict(DEPLOYMENT), {**DEPLOYMENT, "as": "other", "api_base": url})
    assert list(made(result, "providers.yaml")["providers"]) == ["openai_compatible"]
    assert any(why in each for each in decisions(result).values())
    assert not result.problems


def test_a_key_over_several_lines_is_one_line_and_no_variable_of_its_own() -> None:
    result = config({**DEPLOYMENT, "api_key": "sk-not-a-real-key\n  PATH=/tmp\n"})
    assert result.secrets.env == {"OPENAI_COMPATIBLE_API_KEY": "sk-not-a-real-keyPATH=/tmp"}


def test_a_second_name_with_the_same_star_leaves_no_key_behind() -> None:
    clear = {"model": "openai/*", "as": "lan/*", "api_key": "sk-not-a-real-key-0123456789"}
    result = config(dict(DEPLOYMENT), {**DEPLOYMENT, "model": "openai/*", "as": "lan/*"}, clear)
    assert list(made(result, "providers.yaml")["providers"]) == ["openai_compatible"]
    assert not result.secrets.env


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("router_settings", {"routing_strategy": ["simple-shuffle"]}),
        ("router_settings", {"allowed_fails": float("inf")}),
        ("router_settings", {"cooldown_time": -1}),
        ("litellm_settings", {"request_timeout": float("nan")}),
        ("litellm_settings", {"num_retries": 10**400}),
    ],
)
def test_a_wrong_setting_is_to_be_decided_and_nothing_comes_of_it(section: str, values: dict[str, Any]) -> None:
    result = config(dict(DEPLOYMENT), **{section: values})
    assert list(decisions(result)) == [f"{section}.{name}" for name in values]
    assert {name: content for name, content in result.sources.items() if name != "providers.yaml"} == {
        name: content for name, content in config(dict(DEPLOYMENT)).sources.items() if name != "providers.yaml"
    }


@pytest.mark.parametrize("models", [[], {"a": 1}, "all", None])
def test_a_list_of_models_that_is_none_is_said_to_be_none(models: Any) -> None:
    text = yaml.safe_dump({"model_list": models})
    result = import_all(Found({}, {}, defaults(), config=("config.yaml", text.encode())))
    assert set(decisions(result).values()) == {"not a list of deployments: nothing is served"}


def test_the_default_provider_stays_when_another_name_with_a_star_leads_to_it() -> None:
    any_model, its_models = {"as": "*", "model": "openai/*"}, {"as": "openai/*", "model": "openai/*"}
    for deployments in ((any_model, its_models), (its_models, any_model)):
        result = config(*[{**each, "api_key": "os.environ/OPENAI_API_KEY"} for each in deployments])
        assert made(result, "model-mappings.yaml")["routing_rules"] == {"default_provider": "openai"}
        assert list(made(result, "providers.yaml")["providers"]) == ["openai"]


@pytest.mark.parametrize("models", [True, 5, "m", {"a": 1}])
def test_a_registry_whose_models_are_no_list_is_compared_with_its_generated_file(models: Any) -> None:
    providers = {"providers": {"p": {"type": "vllm", "base_url": "http://127.0.0.1:8000", "models": models}}}
    generated = {"model_list": [{"model_name": {"a": 1}, "litellm_params": {"model": "openai/m"}}]}
    files = {"providers.yaml": yaml.safe_dump(providers).encode(), "model-mappings.yaml": b"special_cases: 5\n"}
    generated["litellm_settings"] = {"num_retries": 2}  # type: ignore[assignment]
    generated["router_settings"] = {"allowed_fails": 2}  # type: ignore[assignment]
    result = import_all(
        Found(files, {}, defaults(), generated=("litellm-unified.yaml", yaml.safe_dump(generated).encode()))
    )
    assert "special_cases" not in (made(result, "model-mappings.yaml") or {})
    assert result.report.decisions


@pytest.mark.parametrize("section", ["exact_matches", "patterns", "fallback_chains", "routing_rules", "special_cases"])
def test_a_section_that_is_a_text_is_set_aside(section: str) -> None:
    providers = b"providers: {p: {type: vllm, base_url: 'http://127.0.0.1:8000', models: [m]}}\n"
    mappings = f"{section}: text\ncapabilities: {{code: {{provider: p}}}}\n".encode()
    result = import_all(Found({"providers.yaml": providers, "model-mappings.yaml": mappings}, {}, defaults()))
    assert list(decisions(result)) == [section]
    assert list(made(result, "model-mappings.yaml")) == ["capabilities"]
    assert f"# {section}: text" in result.sources["model-mappings.yaml"].decode()
