"""Keys reach the provider, and nothing else: no file but secrets/env, no log, no plan, no command line."""

from __future__ import annotations

import stat
from pathlib import Path

from aiops.demo.child import DemoProvider
from tests.kit.gateway import Gateway

KEY = "sk-very-secret-0123456789-end-to-end"
OTHER = "sk-another-secret-9876543210-in-a-file"


def files_with(home: Path, secret: str) -> list[str]:
    found = []
    for path in sorted(home.rglob("*")):
        if path.is_file() and not path.is_symlink() and secret.encode() in path.read_bytes():
            found.append(str(path.relative_to(home)))
    return found


def command_lines_with(secret: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
        except OSError:
            continue
        if secret.encode() in line:
            found.append(line.decode(errors="replace"))
    return found


def test_a_key_from_the_environment_reaches_the_provider_and_no_file_but_one(
    gateway: Gateway, two: DemoProvider
) -> None:
    two.control(api_key=KEY)
    argv = gateway.adding("two", two.url, "gamma", api_key_env="TWO_KEY")
    planned = gateway.cli(*argv, "--dry-run", env={"TWO_KEY": KEY})
    assert planned.code == 0
    assert files_with(gateway.home, KEY) == []
    done = gateway.cli(*argv, env={"TWO_KEY": KEY})
    try:
        assert done.code == 0, done.out
        assert gateway.ask("gamma").status_code == 200, "the double answers nobody without the key"
        assert all(request["headers"].get("authorization") == "***" for request in two.requests())
        assert files_with(gateway.home, KEY) == ["secrets/env"]
        assert stat.S_IMODE((gateway.home / "secrets" / "env").stat().st_mode) == 0o600
        assert command_lines_with(KEY) == []
        assert command_lines_with(gateway.key) == []
        said = planned.out + done.out + done.err + gateway.say("logs", "-n", "5000").out
        said += gateway.cli("plan").out + gateway.cli("show", done.data["generation"]).out + gateway.cli("history").out
        assert KEY not in said
        # A shell without the variable can go on: the gateway kept it.
        assert gateway.must("add-model", "two", "delta")["outcome"] == "applied"
        assert gateway.ask("delta").status_code == 200
    finally:
        two.control(api_key="")


def test_a_key_in_a_file_stays_in_that_file(gateway: Gateway, two: DemoProvider, tmp_path: Path) -> None:
    file = tmp_path / "two.key"
    file.write_text(OTHER + "\n")
    file.chmod(0o600)
    two.control(api_key=OTHER)
    try:
        gateway.add("two", two.url, "gamma", api_key_file=str(file))
        assert gateway.ask("gamma").status_code == 200
    finally:
        two.control(api_key="")
    assert files_with(gateway.home, OTHER) == []


def test_a_provider_without_a_key_gets_nobody_elses(gateway: Gateway, two: DemoProvider) -> None:
    """The caller's key and the gateway's own stay here."""
    two.control(api_key="none")  # the placeholder that says: there is no key
    try:
        with gateway.source("providers.yaml").open("a") as file:
            file.write(f"  two:\n    type: openai_compatible\n    base_url: {two.url}\n    models: [gamma]\n")
        two.control(api_key="", mode="ok")
        gateway.must("apply")
        two.control(api_key="none")
        assert gateway.ask("gamma").status_code == 200
    finally:
        two.control(api_key="")


def test_the_master_key_is_in_no_other_file_and_nothing_private_is_open_to_others(gateway: Gateway) -> None:
    assert files_with(gateway.home, gateway.key) == ["secrets/master_key"]
    for name in ("secrets", "state", "run", "logs"):
        assert stat.S_IMODE((gateway.home / name).stat().st_mode) == 0o700
    for path in (gateway.home / "run").iterdir():
        if path.is_socket():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE((gateway.home / "logs" / "gateway.log").stat().st_mode) == 0o600


def test_a_secret_in_the_configuration_is_refused_with_its_line_and_not_repeated(gateway: Gateway) -> None:
    path = gateway.source("providers.yaml")
    kept = path.read_bytes()
    with path.open("a") as file:
        file.write(f"  paid:\n    type: openai\n    api_key: {KEY}\n    models: [gpt-4o-mini]\n")
    refused = gateway.cli("apply")
    path.write_bytes(kept)
    assert refused.code == 3
    assert "providers.yaml:" in refused.message
    assert KEY not in refused.out + refused.err
