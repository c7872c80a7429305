"""What providers say of their models: asked of the doubles, of a real llama.cpp, and written by the command line."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import yaml

from aiops.demo.child import DemoProvider
from aiops.spec.shapes.model import ModelSpec, Provider
from aiops.verify import diagnose, discovery, provider_load
from tests.kit.gateway import Gateway
from tests.kit.waiting import until


def asked(kind: str, url: str) -> discovery.Discovered:
    return discovery.report(Provider(name="it", type=kind, base_url=url), None)


def test_ollama_says_size_and_context_and_that_the_context_is_not_what_a_request_gets() -> None:
    with DemoProvider.double(face="ollama", models=("llama3:8b",)) as provider:
        report = asked("ollama", provider.url)
    assert report.models == (ModelSpec(name="llama3:8b", size="7B", context_length=8192),)
    assert report.parallel is None
    assert "num_ctx" in report.notes[0]


def test_a_page_that_fails_is_named_once_and_the_models_are_found_all_the_same() -> None:
    with DemoProvider.double(face="ollama", models=("llama3:8b", "other:8b")) as provider:
        provider.control(mode="500", paths=["/api/show"])
        report = asked("ollama", provider.url)
        [note] = report.notes
        assert note.startswith(f"{provider.url}/api/show answered HTTP 500")
    assert report.models == (ModelSpec(name="llama3:8b", size="7B"), ModelSpec(name="other:8b", size="7B"))


def test_vllm_says_the_context_it_was_started_with() -> None:
    with DemoProvider.double(face="vllm", models=("org/model",)) as provider:
        report = asked("vllm", provider.url)
    assert report.models == (ModelSpec(name="org/model", context_length=2048),)
    assert report.parallel is None
    assert report.notes == ("its cache holds 16,384 tokens: 8.0 requests of 2,048 at a time",)


def test_a_server_that_says_nothing_but_names_is_no_problem() -> None:
    with DemoProvider.double(face="openai", models=("a", "b")) as provider:
        assert asked("openai_compatible", provider.url).models == (ModelSpec(name="a"), ModelSpec(name="b"))


def test_a_real_llama_cpp_says_the_context_of_one_slot_and_how_many_slots_it_has() -> None:
    with DemoProvider.llama_cpp() as provider:
        report = asked("llama_cpp", provider.url)
    assert report == discovery.Discovered((ModelSpec(name="tiny-random", size="108K", context_length=1024),), 2)


def loaded(kind: str, url: str) -> str:
    return str(provider_load.load(Provider(name="it", type=kind, base_url=url), None))


def test_vllm_says_how_busy_it_is() -> None:
    with DemoProvider.double(face="vllm", models=("m",)) as provider, ThreadPoolExecutor() as clients:
        assert loaded("vllm", provider.url) == "0 requests running, 0 waiting, 25% of its cache used"
        provider.control(delay=3, paths=["/v1/chat"])
        body = {"model": "m", "messages": []}
        clients.submit(httpx.post, f"{provider.url}/v1/chat/completions", json=body, timeout=30)
        until(lambda: loaded("vllm", provider.url) == "1 request running, 0 waiting, 25% of its cache used")


def test_a_real_llama_cpp_says_how_many_of_its_slots_are_busy() -> None:
    with DemoProvider.llama_cpp() as provider:
        assert loaded("llama_cpp", provider.url) == "0 requests running"
        seen = threading.Event()

        def keep_busy() -> None:
            body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 900}
            while not seen.is_set():
                httpx.post(f"{provider.url}/v1/chat/completions", json=body, timeout=30)

        with ThreadPoolExecutor() as clients:
            clients.submit(keep_busy)
            try:
                until(lambda: loaded("llama_cpp", provider.url) == "1 request running", 20)
            finally:
                seen.set()


def test_a_server_without_such_a_page_says_nothing_of_its_load() -> None:
    with DemoProvider.double(face="openai", models=("m",)) as provider:
        assert [loaded(kind, provider.url) for kind in ("vllm", "llama_cpp", "ollama")] == ["None"] * 3


def providers(gateway: Gateway) -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load((gateway.home / "config" / "providers.yaml").read_text())["providers"]
    return found


def test_add_provider_writes_what_was_discovered_and_provider_discover_what_is_missing(gateway: Gateway) -> None:
    with DemoProvider.llama_cpp(alias="small") as provider:
        gateway.must(*gateway.adding("real", provider.url, kind="llama_cpp"), "--discover")
        written = providers(gateway)["real"]
        assert isinstance(written, dict)
        assert written["models"] == [{"name": "small", "size": "108K", "context_length": 1024}]
        assert written["max_parallel"] == 2
        again = gateway.must(*gateway.adding("real", provider.url, kind="llama_cpp"), "--discover")
        assert again["outcome"] == "unchanged"
        gateway.must("remove-provider", "real", "--force")
        gateway.must(*gateway.adding("real", provider.url, "small", kind="llama_cpp"))
        assert providers(gateway)["real"]["models"] == ["small"]  # type: ignore[index]
        planned = gateway.must("provider", "discover", "real", "--dry-run")
        assert planned["outcome"] == "planned"
        assert gateway.must("provider", "discover", "real")["outcome"] == "applied"
        assert providers(gateway)["real"] == {**written, "max_parallel": 2}
        assert gateway.must("provider", "discover", "real")["outcome"] == "unchanged"
        gateway.must("remove-provider", "real", "--force")


def test_a_provider_that_is_down_or_unknown_changes_nothing(gateway: Gateway, one: DemoProvider) -> None:
    before = gateway.snapshot()
    assert gateway.cli("provider", "discover", "onee").code == 2
    one.control(mode="500", paths=["/v1/models"])
    assert gateway.cli("provider", "discover", "one").code == 7
    assert gateway.snapshot() == before


def test_a_server_of_another_type_than_was_said_is_recognised(gateway: Gateway) -> None:
    with DemoProvider.double(face="vllm", models=("m",)) as provider:
        refused = gateway.cli("add-provider", "it", "--type", "ollama", "--base-url", provider.url, "--discover")
        assert refused.code == 7
        assert refused.message.endswith("; that looks like a vLLM, not ollama: its type is `vllm`")
        refused = gateway.cli(*gateway.adding("it", provider.url, "m", kind="ollama"))
        assert refused.code == 7
        first, *others = refused.failed
        assert first.endswith("; that looks like a vLLM, not ollama: its type is `vllm`")
        assert not any("looks like" in line for line in others), "said once"


def looks(kind: str, url: str) -> str:
    return diagnose.matter(diagnose.Server("it", kind, url))


def test_servers_are_told_from_each_other_by_what_they_say_of_themselves() -> None:
    with DemoProvider.llama_cpp() as real, DemoProvider.double(face="ollama", models=("m",)) as ollama:
        assert looks("vllm", real.url) == "that looks like a llama.cpp server, not vllm: its type is `llama_cpp`"
        assert looks("vllm", ollama.url) == "that looks like an Ollama, not vllm: its type is `ollama`"
        assert looks("llama_cpp", real.url) == looks("ollama", ollama.url) == ""
        assert looks("openai_compatible", real.url) == "", "it may be asked as one"
    assert looks("ollama", ollama.url).startswith(f"`it` at 127.0.0.1:{ollama.port} cannot be reached: ")


def test_verify_names_the_address_that_cannot_be_reached(gateway: Gateway) -> None:
    with DemoProvider.double(models=("gone",)) as provider:
        gateway.add("gone", provider.url, "gone")
    told = gateway.cli("verify", "--suite", "all")
    assert told.code == 7
    assert f"`gone` at 127.0.0.1:{provider.port} cannot be reached: " in " ".join(told.failed)
