"""A candidate that cannot answer never takes a public request, and refusing it leaves no trace in any file."""

from __future__ import annotations

import threading
import time

import httpx

from aiops.demo.child import DemoProvider
from tests.kit.gateway import Gateway, Poller
from tests.kit.waiting import free_port


def users_requests(provider: DemoProvider) -> list[object]:
    """What the double was asked by the poller, which says `public`."""
    asked = [request["body"] for request in provider.requests() if request["method"] == "POST"]
    return [body for body in asked if body["messages"][0]["content"] == "public"]


def test_a_bad_candidate_never_takes_a_public_request(gateway: Gateway, two: DemoProvider) -> None:
    generation = gateway.generation
    # The bad candidate also takes `alpha` over: a request that reached it would come to the double `two`.
    two.forget_requests()
    two.control(mode="500", paths=["/v1/chat/completions"], models=["alpha", "gamma"])
    gateway.edit("providers.yaml", "      - alpha\n", "")
    with (gateway.source("providers.yaml")).open("a") as file:
        file.write(f"  two:\n    type: openai_compatible\n    base_url: {two.url}\n    models:\n      - alpha\n")
    with Poller(gateway, "alpha") as poller:
        refused = gateway.cli("apply", "--force")
        time.sleep(0.2)
    two.control(mode="ok", paths=[], models=["gamma", "delta"])
    assert refused.code == 7
    assert [line.split(": ")[0] for line in refused.failed] == ["answer:alpha", "stream:alpha"]
    assert poller.clean, poller.statuses
    assert poller.seen == {generation}
    assert two.requests(), "it was probed"
    assert users_requests(two) == []
    restore(gateway)


def restore(gateway: Gateway) -> None:
    """Take back a hand edit that was refused."""
    sources = gateway.home / "state" / "current" / "sources"
    for path in sources.iterdir():
        gateway.source(path.name).write_bytes(path.read_bytes())


def test_a_refusal_leaves_every_file_byte_identical(gateway: Gateway, two: DemoProvider) -> None:
    before, workers, pids = gateway.snapshot(), gateway.workers(), gateway.pids()
    two.control(mode="500", paths=["/v1/chat/completions"])
    refused = gateway.cli(*gateway.adding("two", two.url, "gamma"), env={"TWO_KEY": "not asked for"})
    two.control(mode="ok", paths=[])
    assert (refused.code, refused.data["outcome"]) == (7, "refused")
    after = gateway.snapshot()
    assert {name: after[name] for name in before} == before
    added = sorted(set(after) - set(before))
    assert all(name.startswith("state/generations/") for name in added)
    assert any(name.endswith("outcome.json") for name in added), "the refused generation is kept, with its outcome"
    assert gateway.workers() == workers
    assert gateway.pids() == pids
    assert gateway.status["drift"] == []


def test_the_reason_of_a_refusal_is_in_the_history(gateway: Gateway, two: DemoProvider) -> None:
    two.control(mode="500", paths=["/v1/chat/completions"])
    gateway.cli(*gateway.adding("two", two.url, "gamma"))
    two.control(mode="ok", paths=[])
    newest = gateway.must("history")["generations"][0]
    assert newest["outcome"]["outcome"] == "refused"
    assert "answer:gamma" in newest["outcome"]["detail"]
    assert gateway.cli("rollback", newest["generation"], "--reason", "x").code == 2


def test_a_secret_of_a_refused_change_is_not_kept(gateway: Gateway, two: DemoProvider) -> None:
    two.control(mode="500", paths=["/v1/chat/completions"])
    argv = gateway.adding("two", two.url, "gamma", api_key_env="REFUSED_KEY")
    refused = gateway.cli(*argv, env={"REFUSED_KEY": "sk-not-to-be-kept-anywhere"})
    two.control(mode="ok", paths=[])
    assert refused.code == 7
    assert not (gateway.home / "secrets" / "env").exists()


def test_what_fails_after_the_switch_is_taken_back_without_a_failed_request(
    gateway: Gateway, two: DemoProvider
) -> None:
    """The provider answers the private proof and then breaks: the third POST is the public check's."""
    before, snapshot = gateway.generation, gateway.snapshot()
    two.forget_requests()
    two.control(delay=0.5, paths=["/v1/chat/completions"])

    def break_it_for_the_public_check() -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            asked = sum(request["method"] == "POST" for request in two.requests())
            if asked == 2:
                two.control(delay=3)  # of the third one: time enough for what follows, also on a busy machine
            elif asked >= 3:
                two.control(mode="500")  # while the third one is being delayed
                return
            time.sleep(0.01)

    breaker = threading.Thread(target=break_it_for_the_public_check)
    breaker.start()
    with Poller(gateway, "alpha") as poller:
        failed = gateway.cli(*gateway.adding("two", two.url, "gamma"))
        time.sleep(0.3)
    breaker.join()
    two.control(mode="ok", delay=0, paths=[])
    assert (failed.code, failed.data["outcome"]) == (5, "rolled_back")
    assert "public:answer:gamma" in failed.message
    assert "the old generation serves again" in failed.message
    assert poller.clean, poller.statuses
    assert gateway.generation == before
    after = gateway.snapshot()
    assert {name: after[name] for name in snapshot} == snapshot
    assert gateway.must("history")["generations"][0]["outcome"]["outcome"] == "rolled_back"
    assert gateway.ask("alpha").status_code == 200


def test_a_provider_that_nobody_listens_for_is_refused(gateway: Gateway) -> None:
    before = gateway.snapshot()
    refused = gateway.cli(*gateway.adding("two", f"http://127.0.0.1:{free_port()}", "gamma"))
    assert refused.code == 7
    after = gateway.snapshot()
    assert {name: after[name] for name in before} == before


def test_several_bad_things_are_all_said_at_once(gateway: Gateway) -> None:
    before = gateway.snapshot()
    with gateway.source("providers.yaml").open("a") as file:
        file.write("  two:\n    type: vlm\n    base_url: http://127.0.0.1:99999\n    models: [gamma]\n")
    edited = gateway.snapshot()
    refused = gateway.cli("apply")
    assert refused.code == 3
    assert refused.message.startswith("2 problems in the desired state")
    assert gateway.snapshot() == edited
    assert gateway.models() == ["alpha", "beta"]
    restore(gateway)
    assert gateway.snapshot() == before


def test_the_public_port_knows_no_probes(gateway: Gateway, one: DemoProvider) -> None:
    """On the private socket `mock` answers without a provider and `fail` makes one fail; here they mean nothing."""
    one.forget_requests()
    for mode in ("mock", "fail"):
        body = {"model": "alpha", "messages": [{"role": "user", "content": mode}]}
        headers = {**gateway.auth, "x-aiops-probe": mode}
        answer = httpx.post(f"{gateway.url}/v1/chat/completions", json=body, headers=headers)
        assert answer.status_code == 200
        assert answer.json()["choices"][0]["message"]["content"].startswith("w0")
        assert "x-litellm-attempted-fallbacks" not in answer.headers or (
            answer.headers["x-litellm-attempted-fallbacks"] == "0"
        )
    assert len(one.requests()) == 2
