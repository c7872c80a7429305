"""The demo providers: a real llama.cpp with a tiny model, and a double that is faithful until told not to be."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from aiops.demo import tiny_model
from aiops.demo.child import DemoProvider
from aiops.demo.control import Face
from aiops.errors import Precondition

CHAT = {"model": "double", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(scope="module")
def llama() -> Iterator[DemoProvider]:
    with DemoProvider.llama_cpp(alias="tiny/alias:1") as provider:
        yield provider


@pytest.fixture
def double() -> Iterator[DemoProvider]:
    with DemoProvider.double() as provider:
        yield provider


def chat(provider: DemoProvider, **more: Any) -> httpx.Response:
    return httpx.post(provider.url + "/v1/chat/completions", json=CHAT | more, timeout=5, trust_env=False)


def sdk(provider: DemoProvider, key: str = "none") -> openai.OpenAI:
    return openai.OpenAI(base_url=provider.url + "/v1", api_key=key, max_retries=0)


def lines(provider: DemoProvider, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    response = httpx.post(provider.url + path, json=body, trust_env=False)
    assert response.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in response.text.splitlines()]


class TestLlamaCpp:
    def test_it_is_a_real_server_that_answers_under_the_given_alias(self, llama: DemoProvider) -> None:
        assert httpx.get(llama.url + "/health").json() == {"status": "ok"}
        assert [model.id for model in sdk(llama).models.list()] == ["tiny/alias:1"]
        completion = sdk(llama).chat.completions.create(
            model="tiny/alias:1", messages=[{"role": "user", "content": "hi"}], max_tokens=4
        )
        assert completion.usage is not None
        assert completion.usage.completion_tokens == 4

    def test_it_streams_to_the_end(self, llama: DemoProvider) -> None:
        stream = sdk(llama).chat.completions.create(
            model="x", messages=[{"role": "user", "content": "hi"}], max_tokens=16, stream=True
        )
        reasons = [chunk.choices[0].finish_reason for chunk in stream if chunk.choices]
        assert reasons[-1] in ("length", "stop")

    def test_a_taken_port_is_refused_by_name(self, llama: DemoProvider) -> None:
        argv = (sys.executable, "-m", "aiops.demo", "llama-cpp", "--port", str(llama.port))
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30)
        assert done.returncode == 4
        assert f"cannot listen on 127.0.0.1:{llama.port}: Address already in use" in done.stderr
        with pytest.raises(Precondition, match="did not become ready"):
            DemoProvider.llama_cpp(port=llama.port)

    def test_the_model_is_made_once_and_always_the_same(self, tmp_path: Path) -> None:
        first = tiny_model.ensure(tmp_path / "a")
        made = first.stat().st_mtime_ns
        assert tiny_model.ensure(tmp_path / "a").stat().st_mtime_ns == made
        assert tiny_model.ensure(tmp_path / "b").read_bytes() == first.read_bytes()
        assert [path.name for path in (tmp_path / "a").iterdir()] == [first.name]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("kind", ["double", "llama_cpp"])
def test_a_provider_leaves_at_once_when_told(kind: str, number: signal.Signals) -> None:
    provider = DemoProvider.double() if kind == "double" else DemoProvider.llama_cpp()
    with provider:
        provider.process.send_signal(number)
        assert provider.process.wait(10) == 0


def test_a_hanging_request_does_not_keep_the_double_alive(double: DemoProvider) -> None:
    double.control(mode="hang")
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(double.url + "/v1/chat/completions", json=CHAT, timeout=0.2, trust_env=False)
    double.process.terminate()
    assert double.process.wait(10) == 0


class TestOpenAI:
    def test_the_sdk_is_content_with_all_of_it(self, double: DemoProvider) -> None:
        client = sdk(double)
        assert [model.id for model in client.models.list()] == ["double"]
        completion = client.chat.completions.create(model="double", messages=[{"role": "user", "content": "hi"}])
        assert completion.choices[0].message.content == "w0 w1 w2 w3 w4 w5 w6 w7 "
        text = client.completions.create(model="double", prompt="hi", max_tokens=2)
        assert (text.choices[0].text, text.choices[0].finish_reason) == ("w0 w1 ", "length")
        embeddings = client.embeddings.create(model="double", input=["a", "b"])  # the SDK asks for base64
        assert embeddings.data[0].embedding != embeddings.data[1].embedding
        plain = client.embeddings.create(model="double", input="a", encoding_format="float")
        assert plain.data[0].embedding == pytest.approx(embeddings.data[0].embedding)

    def test_a_stream_has_a_role_the_content_a_reason_the_usage_and_done(self, double: DemoProvider) -> None:
        response = chat(double, stream=True, stream_options={"include_usage": True}, max_tokens=3)
        events = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
        assert events[-1] == "[DONE]"
        chunks = [json.loads(event) for event in events[:-1]]
        assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
        assert [chunk["choices"][0]["delta"]["content"] for chunk in chunks[1:-2]] == ["w0 ", "w1 ", "w2 "]
        assert chunks[-2]["choices"][0]["finish_reason"] == "length"
        assert chunks[-1]["usage"]["completion_tokens"] == 3

    def test_an_unknown_model_is_a_404(self, double: DemoProvider) -> None:
        with pytest.raises(openai.NotFoundError, match="does not exist"):
            sdk(double).chat.completions.create(model="other", messages=[])

    def test_a_key_is_required_when_set_and_never_shown(self, double: DemoProvider) -> None:
        assert double.control(api_key="sk-very-secret")["api_key"] == "***"
        with pytest.raises(openai.AuthenticationError):
            sdk(double, "wrong").models.list()
        assert sdk(double, "sk-very-secret").models.list().data
        received = double.requests()
        assert [request["headers"]["authorization"] for request in received] == ["***", "***"]
        assert "sk-very-secret" not in httpx.get(double.url + "/_requests").text


class TestFaults:
    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize(("mode", "status"), [("429", 429), ("500", 500), ("401", 401), ("redirect", 302)])
    def test_a_status_is_what_was_asked_for(self, double: DemoProvider, mode: str, status: int, stream: bool) -> None:
        double.control(mode=mode)
        assert chat(double, stream=stream).status_code == status
        double.control(mode="ok")
        assert chat(double, stream=stream).status_code == 200

    def test_nonsense_is_a_200_that_is_no_json(self, double: DemoProvider) -> None:
        for mode, kind in (("wrong_json", "application/json"), ("html", "text/html")):
            double.control(mode=mode)
            response = chat(double)
            assert response.status_code == 200
            assert response.headers["content-type"].startswith(kind)
            with pytest.raises(json.JSONDecodeError):
                response.json()

    def test_drop_before_closes_without_a_byte(self, double: DemoProvider) -> None:
        double.control(mode="drop_before")
        with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
            chat(double)

    @pytest.mark.parametrize("stream", [False, True])
    def test_drop_mid_stream_closes_in_the_middle(self, double: DemoProvider, stream: bool) -> None:
        double.control(mode="drop_mid_stream")
        with pytest.raises(httpx.RemoteProtocolError, match="peer closed connection"):
            chat(double, stream=stream)

    @pytest.mark.parametrize(
        ("face", "path", "body"),
        [
            ("openai", "/v1/chat/completions", {"messages": [{"role": "user", "content": "hello"}]}),
            ("openai", "/v1/completions", {"prompt": "hello"}),
            ("ollama", "/api/chat", {"messages": [{"role": "user", "content": "hello"}]}),
        ],
    )
    def test_drop_before_token_closes_before_the_first_word(
        self, face: Face, path: str, body: dict[str, object]
    ) -> None:
        said = b""
        with DemoProvider.double(face=face, models=("a",)) as provider:
            provider.control(mode="drop_before_token")
            with (
                pytest.raises(httpx.RemoteProtocolError, match="peer closed connection"),
                httpx.stream("POST", provider.url + path, json={"model": "a", "stream": True, **body}) as answer,
            ):
                assert answer.status_code == 200
                for piece in answer.iter_bytes():
                    said += piece
        assert b"w0" not in said

    def test_slow_answers_late_and_rightly(self, double: DemoProvider) -> None:
        double.control(mode="slow", delay=0.3)
        began = time.monotonic()
        assert chat(double).status_code == 200
        assert time.monotonic() - began >= 0.3

    def test_chunk_delay_spreads_a_stream(self, double: DemoProvider) -> None:
        double.control(tokens=3, chunk_delay=0.1)
        began = time.monotonic()
        assert chat(double, stream=True).text.endswith("data: [DONE]\n\n")
        assert time.monotonic() - began >= 0.4

    def test_a_fault_can_be_kept_to_some_paths(self, double: DemoProvider) -> None:
        double.control(mode="500", paths=["/v1/chat"])
        assert httpx.get(double.url + "/v1/models").status_code == 200
        assert httpx.get(double.url + "/health").json() == {"status": "ok"}
        assert chat(double).status_code == 500

    @pytest.mark.parametrize(
        ("wanted", "message"),
        [
            ({"mood": 1}, "unknown key 'mood'; known: api_key, cache, chunk_delay"),
            ({"mode": "sleepy"}, "unknown mode 'sleepy'"),
            ({"delay": -1}, "delay must be a number, 0 or more"),
            ({"models": "a"}, "models must be a list of strings"),
        ],
    )
    def test_an_order_it_does_not_understand_is_refused(
        self, double: DemoProvider, wanted: dict[str, Any], message: str
    ) -> None:
        before = httpx.get(double.url + "/_control").json()
        with pytest.raises(ValueError, match=message):
            double.control(**wanted)
        assert httpx.get(double.url + "/_control").json() == before

    def test_it_remembers_what_it_was_asked_until_told_to_forget(self, double: DemoProvider) -> None:
        chat(double, temperature=0.5)
        [request] = double.requests()
        assert (request["method"], request["path"]) == ("POST", "/v1/chat/completions")
        assert request["body"] == CHAT | {"temperature": 0.5}
        double.forget_requests()
        assert double.requests() == []


class TestVLLM:
    @pytest.fixture
    def vllm(self) -> Iterator[DemoProvider]:
        with DemoProvider.double(face="vllm", models=("m/1",)) as provider:
            yield provider

    def test_it_lists_and_refuses_models_as_vllm_does(self, vllm: DemoProvider) -> None:
        [model] = httpx.get(vllm.url + "/v1/models").json()["data"]
        assert (model["owned_by"], model["root"], model["parent"]) == ("vllm", "m/1", None)
        assert model["max_model_len"] > 0
        assert model["permission"]
        refusal = chat(vllm)
        assert refusal.status_code == 404
        assert refusal.json()["error"]["type"] == "NotFoundError"
        assert refusal.json()["error"]["code"] == 404

    def test_health_and_metrics_stay_open_when_a_key_is_required(self, vllm: DemoProvider) -> None:
        vllm.control(api_key="k")
        health = httpx.get(vllm.url + "/health")
        assert (health.status_code, health.content) == (200, b"")
        assert 'vllm:num_requests_running{engine="0",model_name="m/1"}' in httpx.get(vllm.url + "/metrics").text
        refused = httpx.get(vllm.url + "/v1/models")
        assert (refused.status_code, refused.json()) == (401, {"error": "Unauthorized"})


class TestOllama:
    @pytest.fixture
    def ollama(self) -> Iterator[DemoProvider]:
        with DemoProvider.double(face="ollama", models=("llama3:8b",)) as provider:
            yield provider

    def test_it_says_who_it_is(self, ollama: DemoProvider) -> None:
        assert httpx.get(ollama.url + "/").text == "Ollama is running"
        assert httpx.get(ollama.url + "/api/version").json()["version"]
        [tag] = httpx.get(ollama.url + "/api/tags").json()["models"]
        assert tag["name"] == tag["model"] == "llama3:8b"
        assert set(tag) >= {"modified_at", "size", "digest", "details"}
        assert httpx.post(ollama.url + "/api/show", json={"model": "llama3:8b"}).json()["details"]

    def test_chat_is_a_line_for_each_piece_and_a_last_one_with_the_counts(self, ollama: DemoProvider) -> None:
        body = {"model": "llama3:8b", "messages": CHAT["messages"], "options": {"num_predict": 2}}
        answer = lines(ollama, "/api/chat", body)
        assert [line["message"]["content"] for line in answer] == ["w0 ", "w1 ", ""]
        assert [line["done"] for line in answer] == [False, False, True]
        assert (answer[-1]["eval_count"], answer[-1]["done_reason"]) == (2, "length")
        whole = httpx.post(ollama.url + "/api/chat", json=body | {"stream": False}).json()
        assert whole["message"]["content"] == "w0 w1 "

    def test_an_unknown_model_is_a_404_with_its_name(self, ollama: DemoProvider) -> None:
        response = httpx.post(ollama.url + "/api/chat", json={"model": "x", "messages": []})
        assert (response.status_code, response.json()) == (404, {"error": "model 'x' not found"})

    def test_a_pull_shows_progress_and_then_the_model_is_there(self, ollama: DemoProvider) -> None:
        steps = lines(ollama, "/api/pull", {"model": "new:1b"})
        assert [steps[0]["status"], steps[-1]["status"]] == ["pulling manifest", "success"]
        layers = [step for step in steps if "digest" in step]
        assert [step["completed"] for step in layers] == sorted(step["completed"] for step in layers)
        assert layers[-1]["completed"] == layers[-1]["total"]
        assert [tag["name"] for tag in httpx.get(ollama.url + "/api/tags").json()["models"]] == ["llama3:8b", "new:1b"]

    def test_a_pull_of_a_missing_model_fails_inside_a_200(self, ollama: DemoProvider) -> None:
        steps = lines(ollama, "/api/pull", {"model": "missing:1b"})
        assert steps == [{"status": "pulling manifest"}, {"error": "pull model manifest: file does not exist"}]

    def test_without_models_the_list_is_null(self, ollama: DemoProvider) -> None:
        ollama.control(models=[])
        assert httpx.get(ollama.url + "/v1/models").json()["data"] is None


def test_the_double_says_on_stderr_that_it_is_one_and_ready_on_the_first_line_of_stdout() -> None:
    argv = (sys.executable, "-m", "aiops.demo", "double")
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
    assert process.stdout
    first = process.stdout.readline()
    assert httpx.get(first.removeprefix("ready ").strip() + "/health").status_code == 200
    process.terminate()
    _, errors = process.communicate(timeout=5)
    assert "a double with the face of openai: canned answers" in errors


def test_it_is_fast_enough_not_to_be_what_a_benchmark_measures(double: DemoProvider) -> None:
    # In seconds of CPU, which do not depend on who else is at work.
    with httpx.Client(base_url=double.url, trust_env=False) as client:
        client.post("/v1/chat/completions", json=CHAT)
        its, ours = cpu_seconds(double.process.pid), time.process_time()
        for _ in range(200):
            assert client.post("/v1/chat/completions", json=CHAT).status_code == 200
        assert cpu_seconds(double.process.pid) - its < time.process_time() - ours, "httpx is the slow side here"


def cpu_seconds(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
