"""How models are proved: by what they answer, one at a time where a server holds one, and at no cost that shows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from aiops.demo.child import DemoProvider
from aiops.gateway.shared.proof import HEADER
from tests.e2e.fresh import forget, off, unproved, write
from tests.kit.gateway import Answer, Gateway
from tests.kit.tls import TLS


@pytest.fixture
def fresh(empty: Gateway) -> Iterator[Gateway]:
    """An instance that never served anything."""
    settings = empty.source("aiops.yaml")
    before = settings.read_bytes()
    forget(empty)
    yield empty
    settings.write_bytes(before)
    forget(empty)


def asked(provider: DemoProvider) -> list[str]:
    """The models that it was asked for, in order."""
    return [item["body"]["model"] for item in provider.requests() if item["method"] == "POST"]


def by_openai(provider: DemoProvider, *models: Any, **more: Any) -> dict[str, Any]:
    return {"base_url": provider.url, "models": list(models), **more}


# --- names ----------------------------------------------------------------------------------------------------------


def test_llama_cpp_answers_to_any_name_whatever_it_is_declared_as(fresh: Gateway) -> None:
    with DemoProvider.llama_cpp() as server:
        write(fresh, {"box": by_openai(server, "tinyllama")})
        up = fresh.must("up")
        assert up["unproved"] == []
        assert fresh.ask("tinyllama").status_code == 200
        checked = fresh.must("validate")
        assert "answers (llama.cpp serves its one model under any name)" in str(checked)


def test_an_answer_counts_more_than_a_list(fresh: Gateway) -> None:
    with DemoProvider.double(models=("listed",)) as server:
        server.control(unlisted=["hidden"])
        write(fresh, {"box": by_openai(server, "hidden")})
        up = fresh.must("up")
        assert up["unproved"] == []
        assert fresh.ask("hidden").status_code == 200
        refused = fresh.cli("add-model", "box", "neither")
        assert refused.code == 7
        assert "neither" in refused.failed[0]


@pytest.mark.parametrize("declared", ["llama3.2", "llama3.2:latest"])
@pytest.mark.parametrize("has", ["llama3.2", "llama3.2:latest"])
def test_a_model_of_ollama_is_the_same_with_its_tag_and_without(fresh: Gateway, declared: str, has: str) -> None:
    with DemoProvider.double(models=(has,), face="ollama") as server:
        write(fresh, {"box": {"type": "ollama", "base_url": server.url, "models": [declared, "qwen3:8b"]}})
        server.control(models=[has, "qwen3:8b"])
        assert fresh.must("up")["unproved"] == []
        for name in ("llama3.2", "llama3.2:latest", "qwen3:8b"):
            answer = fresh.ask(name)
            assert answer.status_code == 200, answer.text
        assert fresh.ask("qwen3").status_code == 400, "another tag is another model"
        assert fresh.models() == sorted([declared, "qwen3:8b"]), "it is listed once"
        assert fresh.ask("llama3.2", stream=True).status_code == 200
        found = fresh.must("route", "explain", "llama3.2")
        assert [step["provider"] for step in found["members"]] == ["box"]


def test_what_ollama_lists_with_its_tag_is_not_discovered_twice(fresh: Gateway) -> None:
    with DemoProvider.double(models=("llama3.2", "qwen3:8b"), face="ollama") as server:
        fresh.up()
        fresh.must(*fresh.adding("box", server.url, "llama3.2", kind="ollama"), "--discover")
        assert fresh.models() == ["llama3.2", "qwen3:8b"]


# --- servers that hold one model at a time --------------------------------------------------------------------------


@pytest.mark.shows("aiops.yaml: verify.every_model")
def test_of_a_server_that_takes_long_to_load_models_one_is_asked(fresh: Gateway) -> None:
    names = ("m1", "m2", "m3")
    with DemoProvider.double(models=names) as swapping:
        swapping.control(load=6)
        write(fresh, {"swap": by_openai(swapping, *names)})
        up = fresh.must("up")
        assert set(asked(swapping)) == {"m1"}
        (left,) = up["unproved"]
        assert (left["models"], left["reason"]) == (["m2", "m3"], "not asked")
        assert "`verify: {every_model: true}` in aiops.yaml asks each" in left["why"]
        swapping.forget_requests()
        forget(fresh)
        write(fresh, {"swap": by_openai(swapping, *names)})
        fresh.edit("aiops.yaml", "  # every_model: false", "  every_model: true")
        assert fresh.must("up")["unproved"] == []
        order = asked(swapping)
        assert sorted(set(order)) == list(names)
        assert [one for one, _ in itertools.groupby(order)] == sorted(set(order)), "each is loaded once"


def test_the_time_of_a_proof_is_for_each_model(fresh: Gateway) -> None:
    """Three models that load in two seconds each: six are more than a proof has."""
    names = ("m1", "m2", "m3")
    with DemoProvider.double(models=names) as swapping:
        swapping.control(load=2)
        write(fresh, {"swap": by_openai(swapping, *names)})
        fresh.edit("aiops.yaml", "  # timeout: 60", "  timeout: 4.5")
        assert fresh.must("up", "--strict")["unproved"] == []
        assert set(asked(swapping)) == set(names)


def test_who_is_too_slow_is_served_and_the_key_to_raise_is_named(fresh: Gateway) -> None:
    with DemoProvider.double(models=("slow",)) as server:
        server.control(mode="hang", paths=["/v1/chat"])
        write(fresh, {"box": by_openai(server, "slow")})
        fresh.edit("aiops.yaml", "  # timeout: 60", "  timeout: 1")
        refused = fresh.cli("up", "--strict")
        assert refused.code == 7
        assert "`verify: {timeout: …}` in aiops.yaml" in refused.hint
        up = fresh.say("up")
        assert up.code == 0, up.err
        assert "box (slow): no answer within 1 s" in up.out
        assert "`verify: {timeout: …}` in aiops.yaml" in up.out
        assert [each["reason"] for each in unproved(fresh)] == ["slow"]


# --- models that do not chat ----------------------------------------------------------------------------------------

NO_CHAT = {
    ("ollama", "nomic-embed-text"): "embedding",
    ("vllm", "nomic-embed-text"): "embedding",
    ("openai_compatible", "text-embed"): "embedding",
    ("openai_compatible", "whisper-1"): "audio_transcription",
}


@pytest.mark.parametrize(("kind", "model"), NO_CHAT)
def test_a_model_that_does_not_chat_is_told_what_it_is(fresh: Gateway, kind: str, model: str) -> None:
    face = {"openai_compatible": "openai"}.get(kind, kind)
    mode = NO_CHAT[kind, model]
    with DemoProvider.double(models=(model,), face=face) as server:
        write(fresh, {"box": {"type": kind, "base_url": server.url, "models": [model]}})
        refused = fresh.cli("up")
        assert refused.code == 7
        written = f"{{name: {model}, mode: {mode}}}"
        does = "embeds" if mode == "embedding" else "transcribes"
        assert f"`{model}` {does} and does not chat: `{written}` in providers.yaml says so" in refused.failed[0]
        write(fresh, {"box": {"type": kind, "base_url": server.url, "models": [{"name": model, "mode": mode}]}})
        assert fresh.must("up")["unproved"] == [], "what it says is what helps"


# --- what proofs cost -----------------------------------------------------------------------------------------------


def test_proofs_are_no_traffic(fresh: Gateway) -> None:
    """A model that may be asked once in a minute is proved, and after it has been asked still; nobody sees anything."""
    with DemoProvider.double(models=("chat", "other")) as server:
        write(
            fresh,
            {"box": by_openai(server, "chat", "other"), "gone": {"base_url": off(), "models": ["x"]}},
            {"exact_matches": {"chat": {"provider": "box", "fallback": "other", "rate_limit": {"rpm": 1}}}},
        )
        log = fresh.home / "logs" / "gateway.log"
        before = log.stat().st_size if log.exists() else 0
        up = fresh.must("up")
        assert [each["provider"] for each in up["unproved"]] == ["gone"]
        assert len(asked(server)) >= 5, "an answer and a stream of it, its fallback, and an answer in public"
        assert fresh.must("status", "--routes")["routes"]["models"] == []
        alone = {"disable_fallbacks": True}
        assert fresh.ask("chat", **alone).status_code == 200
        assert fresh.ask("chat", **alone).status_code == 429
        assert "answer:x" in {line.split(": ")[0] for line in fresh.cli("verify", "--all").failed}
        assert statuses(fresh.cli("verify", "--all"))["answer:chat"] == "pass", "whoever has used up the limit"
        (served,) = fresh.must("status", "--routes")["routes"]["models"]
        assert (served["model"], served["answered"]) == ("chat", 1)
        said = log.read_text()[before:]
        assert len([line for line in said.splitlines() if "ERROR" in line]) == 1, "the one of the user"
        assert "Traceback" not in said


def test_a_mark_that_only_looks_like_a_proof_is_none(fresh: Gateway) -> None:
    with DemoProvider.double(models=("chat",)) as server:
        write(fresh, {"box": by_openai(server, "chat")})
        fresh.up()
        body = {"model": "chat", "messages": [{"role": "user", "content": "hello"}]}
        for mark in ("", "0" * 64):
            headers = {**fresh.auth, HEADER: mark}
            answer = httpx.post(
                f"{fresh.url}/v1/chat/completions", json=body, headers=headers, trust_env=False, verify=TLS
            )
            assert answer.status_code == 200
        (served,) = fresh.must("status", "--routes")["routes"]["models"]
        assert served["answered"] == 2


def statuses(answer: Answer) -> dict[str, str]:
    return {check["id"]: check["status"] for check in answer.data["checks"]}
