"""Files edited by hand: applied when asked to, refused when they are not what was planned, never silently lost."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from aiops.demo.child import DemoProvider
from tests.kit.gateway import Gateway, Poller
from tests.kit.waiting import free_port, until


@pytest.fixture(autouse=True)
def taken_back(gateway: Gateway) -> Iterator[None]:
    """A hand edit that a test leaves behind is not the next test's."""
    yield
    served = gateway.home / "state" / "current"
    for path in (served / "sources").iterdir():
        gateway.source(path.name).write_bytes(path.read_bytes())
    gateway.source("litellm-unified.yaml").write_bytes((served / "release" / "litellm-unified.yaml").read_bytes())


def test_apply_makes_a_hand_edited_file_live(gateway: Gateway) -> None:
    gateway.edit("providers.yaml", "      - beta\n", "")
    assert "providers.yaml" in gateway.status["drift"][0]
    planned = gateway.must("plan")
    assert [(change["sign"], change["name"]) for change in planned["changes"]] == [("~", "one"), ("-", "beta")]
    assert gateway.cli("plan", "--exit-code").code == 10
    done = gateway.must("apply", "--plan", planned["digest"], "--force")
    assert done["outcome"] == "applied"
    assert gateway.models() == ["alpha"]
    assert gateway.status["drift"] == []
    assert gateway.cli("plan", "--exit-code").code == 0


def test_a_plan_that_is_no_longer_true_is_not_applied(gateway: Gateway) -> None:
    gateway.edit("providers.yaml", "      - beta\n", "")
    digest = gateway.must("plan")["digest"]
    gateway.edit("providers.yaml", "      - alpha\n", "      - alpha\n      - epsilon\n")
    generation, before = gateway.generation, gateway.snapshot()
    refused = gateway.cli("apply", "--plan", digest, "--force")
    assert refused.code == 4
    assert refused.data["outcome"] == "refused"
    assert refused.message.startswith("the state is not what was planned: the plan is ")
    assert digest[:12] in refused.message
    assert gateway.snapshot() == before
    assert gateway.generation == generation


def test_a_plan_is_void_once_another_generation_serves(gateway: Gateway, two: DemoProvider) -> None:
    digest = gateway.must("plan")["digest"]
    gateway.add("two", two.url, "gamma")
    assert gateway.cli("apply", "--plan", digest).code == 4


def test_a_short_form_of_the_digest_is_enough_but_not_too_short(gateway: Gateway) -> None:
    gateway.edit("providers.yaml", "      - beta\n", "")
    digest = gateway.must("plan")["digest"]
    assert gateway.cli("apply", "--plan", digest[:4], "--force").code == 2
    assert gateway.must("apply", "--plan", digest[:12], "--force")["outcome"] == "applied"


def test_a_comment_alone_is_no_drift_once_it_is_applied(gateway: Gateway) -> None:
    workers, generation = gateway.workers(), gateway.generation
    with gateway.source("providers.yaml").open("a") as file:
        file.write("# mind the step\n")
    assert gateway.status["drift"] != []
    done = gateway.must("apply")
    assert (done["outcome"], done["generation"]) == ("unchanged", generation)
    assert gateway.status["drift"] == []
    assert gateway.workers() == workers
    assert gateway.source("providers.yaml").read_text().endswith("# mind the step\n")
    assert gateway.cli("verify").code == 0
    gateway.source("providers.yaml").write_text(gateway.source("providers.yaml").read_text() + "# and again\n")
    assert gateway.status["drift"] != []


def test_a_change_goes_on_from_the_hand_edited_files(gateway: Gateway, two: DemoProvider) -> None:
    """The edit is the desired state; the plan shows both, and both become live."""
    gateway.edit("providers.yaml", "      - beta\n", "")
    done = gateway.must(*gateway.adding("two", two.url, "gamma"), "--force")
    assert gateway.models() == ["alpha", "gamma"]
    assert any("beta" in line for line in gateway.must("diff", done["previous"], done["generation"])["lines"])
    pending = done["plan"]["pending"]
    assert pending["files"] == ["providers.yaml"]
    assert [each["name"] for each in pending["changes"]] == ["one", "beta"]
    assert [each["name"] for each in pending["own"]] == ["two", "gamma"]


def test_the_plan_of_a_verb_shows_hand_edits_apart(gateway: Gateway, two: DemoProvider) -> None:
    gateway.edit("providers.yaml", "      - beta\n", "")
    said = gateway.say(*gateway.adding("two", two.url, "gamma"), "--dry-run").err.splitlines()
    edits, own = (
        said.index("edited by hand in providers.yaml, not live yet, live with this:"),
        said.index("changed by this verb:"),
    )
    assert "  - model beta" in said[edits:own]
    assert "  + model gamma: two" in said[own:]
    assert gateway.say("plan").out.splitlines()[0] == "edited by hand in providers.yaml, not live yet, live with this:"
    back = gateway.say("rollback", "--reason", "x", "--dry-run").err.splitlines()
    assert back[0] == "edited by hand in providers.yaml, not live yet, lost with this:"


def test_plan_says_when_the_generated_file_was_edited(gateway: Gateway) -> None:
    path = gateway.source("litellm-unified.yaml")
    path.write_text(path.read_text() + "# tuned by hand at 2 a.m.\n")
    [note] = gateway.must("plan")["notes"]
    assert note.startswith(f"{path} was edited by hand")


def test_a_hand_edit_of_the_generated_file_is_drift(gateway: Gateway) -> None:
    path = gateway.source("litellm-unified.yaml")
    path.write_text(path.read_text() + "# tuned by hand at 2 a.m.\n")
    assert gateway.status["drift"] == [
        f"{path} was edited by hand: `aiops --home {gateway.home} diff --generated` shows it"
    ]
    assert "+# tuned by hand at 2 a.m." in gateway.must("diff", "--generated")["lines"]


def test_a_hand_edit_of_the_generated_file_is_never_silently_overwritten(gateway: Gateway, two: DemoProvider) -> None:
    path = gateway.source("litellm-unified.yaml")
    edited = path.read_text() + "# tuned by hand at 2 a.m.\n"
    path.write_text(edited)
    before = gateway.snapshot()
    refused = gateway.cli(*gateway.adding("two", two.url, "gamma"))
    assert refused.code == 4
    assert refused.message == f"{path} was edited by hand, and this change would overwrite it"
    assert "--force" in refused.hint
    assert gateway.snapshot() == before
    done = gateway.must(*gateway.adding("two", two.url, "gamma"), "--force")
    assert done["outcome"] == "applied"
    kept = list(path.parent.glob("litellm-unified.yaml.edited-*"))
    assert [copy.read_text() for copy in kept] == [edited]
    assert path.read_text() != edited
    assert gateway.status["drift"] == []
    kept[0].unlink()


def test_a_generated_file_that_was_deleted_is_written_again(gateway: Gateway, two: DemoProvider) -> None:
    path = gateway.source("litellm-unified.yaml")
    path.unlink()
    assert gateway.status["drift"] == [f"{path} is missing; the next change writes it again"]
    gateway.add("two", two.url, "gamma")
    assert "gamma" in path.read_text()


@pytest.mark.shows("aiops.yaml: gateway.workers")
def test_two_workers_serve_the_same_generation(gateway: Gateway) -> None:
    gateway.edit("aiops.yaml", "  # workers: 1", "  workers: 2")
    done = gateway.must("apply")
    assert len(gateway.workers()) == 2
    seen = {check["id"]: check["status"] for check in done["checks"]}
    assert seen["worker:1:generation"] == seen["worker:2:generation"] == "pass"
    verified = gateway.must("verify")
    assert [check["detail"] for check in verified["checks"] if check["id"].endswith(":generation")] == [
        f"generation {done['generation']}"
    ] * 3
    assert gateway.must("rollback", "--reason", "one is enough")["outcome"] == "applied"
    assert len(gateway.workers()) == 1


@pytest.mark.shows("aiops.yaml: gateway.port")
def test_a_change_of_port_moves_to_the_new_one_and_closes_the_old(running: Gateway) -> None:
    gateway, old, new = running, running.port, free_port()
    gateway.edit("aiops.yaml", f"port: {old}", f"port: {new}")
    done = gateway.must("apply")
    assert done["outcome"] == "applied"
    gateway.port = new
    try:
        assert gateway.ask("alpha").status_code == 200
        assert gateway.status["gateway"]["url"] == f"http://127.0.0.1:{new}/v1"
        assert gateway.must("env")["OPENAI_BASE_URL"] == f"http://127.0.0.1:{new}/v1"
        until(lambda: not _listens(old), 20, "closing the old port")
    finally:
        gateway.must("rollback", "--reason", "the firewall")
        gateway.port = old
    assert gateway.ask("alpha").status_code == 200
    until(lambda: not _listens(new), 20, "closing the new port again")


def test_a_port_that_is_taken_is_refused_and_the_old_one_goes_on(gateway: Gateway) -> None:
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        taken = stranger.getsockname()[1]
        gateway.edit("aiops.yaml", f"port: {gateway.port}", f"port: {taken}")
        before = gateway.snapshot()
        with Poller(gateway) as poller:
            refused = gateway.cli("apply")
    assert refused.code == 4
    line = gateway.source("aiops.yaml").read_text().split("port: ")[0].count("\n") + 1
    assert refused.message.startswith(f"aiops.yaml:{line}: port {taken} is taken by pid {os.getpid()} (")
    assert gateway.snapshot() == before
    assert poller.clean, poller.statuses


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
