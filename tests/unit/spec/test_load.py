"""What a good desired state means once it is loaded."""

from __future__ import annotations

import sys

import pytest

from aiops.errors import InvalidState
from aiops.spec.load.load import load
from aiops.spec.routes.notes import notes
from aiops.spec.routes.resolve import resolve
from aiops.spec.shapes.model import DesiredState, Provider
from aiops.spec.shapes.secrets import EnvRef, FileRef, secret_env

SETTINGS = b"gateway: {port: 4000}\n"


def loaded(providers: str, mappings: str = "", env: dict[str, str] | None = None) -> DesiredState:
    sources = {"aiops.yaml": SETTINGS, "providers.yaml": providers.encode()}
    if mappings:
        sources["model-mappings.yaml"] = mappings.encode()
    return load(sources, env or {})


def provider(text: str, env: dict[str, str] | None = None) -> Provider:
    return loaded(f"providers:\n  p: {{models: [m], {text}}}\n", env=env).providers["p"]


@pytest.mark.parametrize(
    ("written", "root", "endpoint"),
    [
        ("http://h:1/v1/chat/completions", "http://h:1", "/chat/completions"),
        ("http://h:1/v1/chat/completions/", "http://h:1", "/chat/completions"),
        ("http://h:1/openai/v2/completions", "http://h:1/openai/v2", "/completions"),
        ("http://h:1/v1/models", "http://h:1", "/models"),
        ("http://h:1/api/tags", "http://h:1", "/api/tags"),
        ("http://h:1/v1", "http://h:1", ""),
        ("http://h:1/models", "http://h:1/models", ""),
        ("http://h:1/api", "http://h:1/api", ""),
    ],
)
def test_an_endpoint_is_no_part_of_an_address_and_that_is_said(written: str, root: str, endpoint: str) -> None:
    state = loaded(f"providers:\n  p: {{models: [m], type: vllm, base_url: '{written}'}}\n")
    assert state.providers["p"].root == root
    said = [str(note) for note in notes(state, resolve(state))]
    cut = f"providers.yaml:2: `{endpoint}` is an endpoint and no part of the address: {root} is asked"
    assert said == ([cut] if endpoint else [])


def test_an_exact_url_is_sent_as_it_stands() -> None:
    text = "type: openai_compatible, exact_url: true, base_url: 'http://h:1/v1/chat/completions'"
    state = loaded(f"providers:\n  p: {{models: [m], {text}}}\n")
    assert state.providers["p"].base_url == "http://h:1/v1/chat/completions"
    assert notes(state, resolve(state)) == []


def test_settings_have_the_documented_defaults() -> None:
    state = loaded("providers: {}\n")
    assert state.gateway.model_dump() == {
        "expose": (),
        "lanes": "auto",
        "host": "127.0.0.1",
        "port": 4000,
        "admin_host": "127.0.0.1",
        "admin_port": None,
        "workers": 1,
        "drain_seconds": 3600,
        "request_timeout": 600,
        "stream_timeout": None,
        "retries": None,
    }
    assert (state.mode, state.profile, state.settings.supervisor) == ("standalone", "dev", "auto")
    proofs = {"billable": False, "every_model": False, "timeout": 60, "confirm_seconds": 30}
    assert state.verify.model_dump() == proofs
    assert (state.settings.history.keep, state.settings.master_key_file) == (20, None)


@pytest.mark.parametrize("written", ["http://h:8000", "http://h:8000/", "http://h:8000/v1", "http://H:8000/v1/"])
@pytest.mark.parametrize(
    ("kind", "base"),
    [("vllm", "http://h:8000/v1"), ("ollama", "http://h:8000"), ("openai_compatible", "http://h:8000/v1")],
)
def test_a_base_url_may_end_in_v1_in_a_slash_or_in_neither(written: str, kind: str, base: str) -> None:
    assert provider(f"type: {kind}, base_url: '{written}'").api_base == base


def test_a_path_that_has_a_version_of_its_own_is_left_alone() -> None:
    assert provider("type: openai_compatible, base_url: 'http://h/v1beta/openai/'").api_base == "http://h/v1beta/openai"
    assert provider("type: openai_compatible, base_url: 'http://h/llm'").api_base == "http://h/llm/v1"


def test_services_have_an_address_of_their_own() -> None:
    assert provider("type: openai, api_key_env: K").api_base == "https://api.openai.com/v1"
    assert provider("type: anthropic, api_key_env: K").api_base == "https://api.anthropic.com"
    assert provider("type: groq, api_key_env: K").api_base is None


def test_references_in_a_url_are_resolved_after_parsing() -> None:
    env = {"HOST": "gpu-1", "EMPTY": ""}
    assert provider("type: vllm, base_url: 'http://${HOST}:${PORT:-8000}'", env).root == "http://gpu-1:8000"
    assert provider("type: vllm, base_url: 'http://${EMPTY:-other}'", env).root == "http://other"


@pytest.mark.parametrize(
    ("text", "billable"),
    [
        ("type: vllm, base_url: 'http://127.0.0.1:1'", False),
        ("type: vllm, base_url: 'http://10.1.2.3:1'", False),
        ("type: vllm, base_url: 'http://gpu-box:1'", False),
        ("type: openai_compatible, base_url: 'https://api.example.com'", True),
        ("type: ollama, base_url: 'https://ollama.com'", True),
        ("type: openai, api_key_env: K", True),
        ("type: gemini, api_key_env: K", True),
        ("type: openai, api_key_env: K, base_url: 'http://127.0.0.1:9'", True),
        ("type: vllm, base_url: 'http://100.100.7.7:1'", False),
        ("type: openai, api_key_env: K, billable: false", False),
        ("type: vllm, base_url: 'http://127.0.0.1:1', billable: true", True),
    ],
)
def test_a_request_is_billable_when_it_leaves_the_private_network_or_the_operator_says_so(
    text: str, billable: bool
) -> None:
    assert provider(text).is_billable is billable


@pytest.mark.parametrize(
    "name", ["org/model", "llama3:8b", "my model", "modèle-été", "a,b", "{x}", "yes", "10", "x" * 256]
)
def test_a_model_may_have_any_sensible_name(name: str) -> None:
    import json

    state = loaded(json.dumps({"providers": {"p": {"type": "vllm", "base_url": "http://h", "models": [name]}}}))
    assert resolve(state).models == (name,)


def test_cloud_providers_may_share_an_address_and_the_gateways_port_elsewhere_is_free() -> None:
    loaded(
        "providers:\n"
        "  a: {type: openai, api_key_env: A, models: [x]}\n"
        "  b: {type: openai, api_key_env: B, models: [y]}\n"
        "  c: {type: vllm, base_url: 'http://gpu:4000', models: [z]}\n"
        "  d: {type: openai, base_url: 'https://proxy.lan', api_key_env: A, models: [v]}\n"
        "  e: {type: openai, base_url: 'https://proxy.lan', api_key_env: B, models: [w]}\n"
    )


def test_servers_that_take_turns_may_share_a_port_in_the_registry() -> None:
    def sources(other: str) -> dict[str, bytes]:
        at = "type: vllm, base_url: 'http://127.0.0.1:8001'"
        providers = (
            f"providers:\n  a: {{{at}, models: [x], service: {{unit: vllm@a.service, exclusive_group: card}}}}\n"
            f"  b: {{{at}, models: [y], status: disabled, "
            f"service: {{unit: vllm@b.service, exclusive_group: {other}}}}}\n"
        )
        ports = b"a: {port: 8001}\nb: {port: 8001}\n"
        return {"aiops.yaml": SETTINGS, "providers.yaml": providers.encode(), "ports.yaml": ports}

    assert set(load(sources("card"), {}).ports) == {"a", "b"}
    with pytest.raises(InvalidState, match="port 8001 is given to `b` and to `a`"):
        load(sources("another"), {})


def test_secrets_are_references_one_variable_for_each_provider() -> None:
    state = loaded(
        "providers:\n"
        "  a-b: {type: vllm, base_url: 'http://h:1', api_key_file: /one, models: [v]}\n"
        "  a_b: {type: vllm, base_url: 'http://h:2', api_key_file: /two, models: [w]}\n"
        "  c: {type: openai, api_key_env: MY_KEY, models: [x]}\n"
        "  d: {type: openai, api_key_env: OFF, status: disabled, models: [y]}\n"
        "  e: {type: vllm, base_url: 'http://h:3', models: [z]}\n"
    )
    needed = secret_env(state)
    assert needed.pop("MY_KEY") == EnvRef("MY_KEY")
    assert needed.pop("AIOPS_KEY_A_B") == FileRef("/two")
    ((variable, reference),) = needed.items()
    assert variable.startswith("AIOPS_KEY_A_B_")
    assert reference == FileRef("/one")


def big(count: int) -> dict[str, bytes]:
    providers = ["providers:"]
    matches = ["exact_matches:"]
    for p in range(count // 100):
        providers += [f"  p{p}:", "    type: vllm", f"    base_url: http://10.0.{p}.1:8000", "    models:"]
        for m in range(100):
            providers += [f"      - name: m-{p}-{m}", '        size: "7B"', "        description: a model"]
            matches.append(f"  m-{p}-{m}: {{provider: p{p}, fallback: p{(p + 1) % (count // 100)}}}")
    matches += ["fallback_chains:", "  default: [m-0-0, m-1-1]"]
    return {
        "aiops.yaml": SETTINGS,
        "providers.yaml": "\n".join(providers).encode(),
        "model-mappings.yaml": "\n".join(matches).encode(),
    }


def test_the_cost_of_loading_and_resolving_grows_linearly_up_to_ten_thousand_models() -> None:
    """Calls are counted, not seconds: the same on every machine, however busy (seconds are `scripts/bench scale`)."""

    def calls(count: int) -> int:
        sources, made = big(count), 0

        def counted(frame: object, event: str, argument: object) -> None:
            nonlocal made
            made += event == "call"

        sys.setprofile(counted)
        try:
            assert len(resolve(load(sources, {})).routes) == count
        finally:
            sys.setprofile(None)
        return made

    assert calls(10_000) < 11 * calls(1_000)
