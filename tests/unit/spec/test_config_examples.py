"""The commented examples are valid, say what every key means, and take edits well."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aiops.spec.edit.edit import add_provider, set_value
from aiops.spec.load.load import load
from aiops.spec.load.load_mappings import SECTIONS
from aiops.spec.routes.resolve import resolve
from aiops.spec.shapes.mappings import (
    Balanced,
    BalancedMember,
    Capability,
    Chain,
    ComplexityThresholds,
    ContextThresholds,
    ErrorBased,
    ExactMatch,
    FirstRequest,
    MetadataRouting,
    Parameters,
    Pattern,
    RateLimit,
    RateLimitedFallback,
    RoutingRules,
    SizeRouting,
    SpecialCases,
    Threshold,
)
from aiops.spec.shapes.model import ModelSpec, Port, Provider
from aiops.spec.shapes.settings import Settings
from aiops.spec.shapes.tenancy import Account, KeySpec, Tenancy, UserSpec, Window
from aiops.spec.sources import AT_INIT, FILES, KEYS, PORTS

CONFIG = Path(__file__).resolve().parents[3] / "config"
MAPPING_SHAPES: list[type] = [
    *(ExactMatch, RateLimit, Chain, Balanced, BalancedMember, Parameters, Capability, Threshold),
    *(ComplexityThresholds, ContextThresholds, Pattern, RoutingRules, MetadataRouting, SizeRouting),
    *(SpecialCases, FirstRequest, RateLimitedFallback, ErrorBased),
]
SOURCES = {file: (CONFIG / file).read_bytes() for file in FILES}


def test_the_examples_are_a_valid_empty_gateway() -> None:
    state = load(SOURCES, {})
    assert state.gateway.port == 4000
    assert {provider.status for provider in state.providers.values()} == {"template"}
    assert resolve(state).routes == ()


@pytest.mark.parametrize(
    ("file", "kinds"),
    [
        ("aiops.yaml", [Settings]),
        ("providers.yaml", [Provider, ModelSpec]),
        ("model-mappings.yaml", MAPPING_SHAPES),
        ("ports.yaml", [Port]),
        ("keys.yaml", [Tenancy, KeySpec, Account, UserSpec, Window]),
    ],
)
def test_every_key_is_mentioned(file: str, kinds: list[type]) -> None:
    text = SOURCES[file].decode()
    keys = {key for kind in kinds for key in kind.model_fields} - ({"line", "status"} if file == PORTS else set())
    keys |= {
        inner
        for kind in kinds
        for field in kind.model_fields.values()
        if hasattr(field.annotation, "model_fields")
        for inner in field.annotation.model_fields
    }
    assert [key for key in sorted(keys) if not re.search(rf"\b{key}\b", text)] == []


@pytest.mark.parametrize("file", ["providers.yaml", "model-mappings.yaml"])
def test_the_commented_example_is_valid_when_it_is_uncommented(file: str) -> None:
    def uncommented(name: str) -> bytes:
        lines = SOURCES[name].decode().splitlines()
        kept = [
            line[2:] if re.match(rf"# ( {{2,}}|providers:|(?:{'|'.join(SECTIONS)}):)", line) else line for line in lines
        ]
        text = (
            "\n".join(
                line
                for line in kept
                if not re.search(
                    r"^[a-z_]+: (\{\}|\[\])$|options: \{\}$|api_key_file|allow_link_local|exact_url|same_server_as",
                    line,
                )
            )
            + "\n"
        )
        # The example and the templates stand below a `providers:` each; the mappings' example falls back to openai.
        text = text.replace("\nproviders:\n  template", "\n  template", 1)
        filled = "openai:\n    type: openai\n    status: "
        return text.replace(f"template_{filled}template", f"{filled}active").encode()

    state = load({"aiops.yaml": SOURCES["aiops.yaml"], **{name: uncommented(name) for name in AT_INIT[1:]}}, {})
    assert {name for name, provider in state.providers.items() if provider.status == "active"} == {
        "local_llama",
        "openai",
    }
    assert set(state.exact_matches) == {"fast"}
    assert set(state.mappings.load_balancing) == {"balanced-chat", "kept-chat"}
    assert set(state.mappings.capabilities) == {"code", "reading", "large"}
    assert [rule.pattern for rule in state.mappings.patterns] == ["^openai/", "^lan/(.*)$"]
    assert resolve(state).rules.default is not None
    assert set(state.fallback_chains) == {"llama-3.1-8b", "default"}


def test_a_first_provider_and_a_port_are_put_in_the_right_place() -> None:
    edit = set_value(SOURCES, "aiops.yaml", ("gateway", "port"), 4111)
    edit = add_provider(edit.sources, "local", type="llama_cpp", base_url="http://127.0.0.1:8080", models=["tiny"])
    assert edit.sources["aiops.yaml"] == SOURCES["aiops.yaml"].replace(b"port: 4000", b"port: 4111")
    block = b"\n  local:\n    type: llama_cpp\n    base_url: http://127.0.0.1:8080\n    status: active\n"
    block += b"    models:\n      - tiny\n"
    assert edit.sources["providers.yaml"] == SOURCES["providers.yaml"] + block


def test_the_port_registrys_example_is_valid_when_it_is_uncommented() -> None:
    lines = SOURCES[PORTS].decode().splitlines()
    text = "\n".join(
        line[2:] if re.match(r"# ([a-z]+:| {2})", line) and "ports.yaml:" not in line else line for line in lines
    )
    state = load({**SOURCES, PORTS: text.encode()}, {})
    assert {name: port.port for name, port in state.ports.items()} == {"ollama": 11434, "gateway": 4000}


def test_the_example_of_keys_is_valid_when_it_is_uncommented() -> None:
    lines = SOURCES[KEYS].decode().splitlines()
    text = "\n".join(
        line[2:] if re.match(r"# ([a-z]+: |[a-z]+:$| {2})", line) and "keys.yaml:" not in line else line
        for line in lines
    )
    state = load({**SOURCES, KEYS: text.encode()}, {})
    assert state.tenancy is not None
    assert [(section, name) for section, name, _ in state.tenancy.entries()] == [
        ("budgets", "small"), ("teams", "research"), ("users", "alice"), ("keys", "ci"),
    ]  # fmt: skip
