"""The units as systemd itself judges them, in both scopes."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from aiops.actions.instance.units import templates
from aiops.render.provider_units import PROVIDER_UNITS
from aiops.render.units import EXAMPLE, GATEWAY_UNITS, UnitFacts, quote, render_units

OURS = (*GATEWAY_UNITS, *PROVIDER_UNITS)
LEAST_EXPOSED = 20  # tenths: systemd-analyze's scale goes to 100, 0 is best
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


def facts(scope: str, home: str | None = "/var/lib/aiops") -> UnitFacts:
    below = home or "/var/lib/aiops"
    return UnitFacts(
        scope=scope,  # type: ignore[arg-type]
        python=sys.executable,
        listen="127.0.0.1:4000",
        host="127.0.0.1",
        port=4000,
        state=f"{below}/state",
        run=f"{below}/run",
        secrets=f"{below}/secrets",
        config=f"{below}/config",
        logs=f"{below}/logs",
        home=home,
        user="daemon",
        group="daemon",
        program="/bin/true",
    )


def written(scope: str, directory: Path) -> list[Path]:
    units = render_units(facts(scope), templates(), OURS)
    for name, content in units.items():
        (directory / name).write_bytes(content)
    return [directory / name for name in units]


@needs_systemd
@pytest.mark.parametrize("scope", ["user", "system"])
def test_systemd_has_nothing_to_say_about_any_unit(scope: str, tmp_path: Path) -> None:
    paths = written(scope, tmp_path)
    environment = {
        "PATH": "/usr/bin:/bin",
        "SYSTEMD_UNIT_PATH": f"{tmp_path}:",
        "HOME": "/root",
        "XDG_RUNTIME_DIR": "/tmp",
    }
    argv = ["systemd-analyze", f"--{scope}", "verify", "--man=no", *map(str, paths)]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    # Unknown keys are no error for it, only a line.
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


@needs_systemd
def test_the_gateway_in_system_scope_is_hardly_exposed(tmp_path: Path) -> None:
    written("system", tmp_path)
    argv = ["systemd-analyze", "security", "--offline=true", f"--threshold={LEAST_EXPOSED}"]
    done = subprocess.run([*argv, str(tmp_path / "litellm.service")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-400:]


@pytest.mark.parametrize("scope", ["user", "system"])
@pytest.mark.parametrize("name", OURS)
def test_every_unit_says_what_it_is_and_leaves_no_gap(scope: str, name: str) -> None:
    text = render_units(facts(scope), templates(), OURS)[name].decode()
    assert text.startswith("# ")
    assert "Documentation=" in text
    assert not re.search(r"\{\{|^@|None", text, re.MULTILINE)


@pytest.mark.parametrize("off", ["MemoryDenyWriteExecute", "PrivateNetwork", "IPAddressDeny"])
def test_each_relaxation_of_the_gateway_has_its_reason(off: str) -> None:
    text = render_units(facts("system"), templates())["litellm.service"].decode()
    assert re.search(rf"^# Relaxed: .*{off}=", text, re.MULTILINE)
    assert not re.search(rf"^{off}=", text, re.MULTILINE)


def test_systemd_waits_longer_than_the_gateway_drains() -> None:
    text = render_units(facts("user"), templates())["litellm.service"].decode()
    allowed = int(re.search(r"^TimeoutStopSec=(\d+)", text, re.MULTILINE)[1])  # type: ignore[index]
    drains = int(re.search(r"^ExecStart=.*--stop-within (\d+)", text, re.MULTILINE)[1])  # type: ignore[index]
    # user@.service itself gets 120 s when the machine shuts down.
    assert drains < allowed < 120


def test_a_users_units_need_no_privilege() -> None:
    text = render_units(facts("user"), templates())["litellm.service"].decode()
    assert not re.search(r"^(User|Protect\w+|Private\w+|CapabilityBoundingSet|ReadWritePaths)=", text, re.MULTILINE)
    assert "WantedBy=default.target" in text
    system = render_units(facts("system"), templates())["litellm.service"].decode()
    assert "User=daemon" in system
    assert "WantedBy=multi-user.target" in system


def test_only_an_instance_with_a_home_names_it() -> None:
    reload = [line for line in _service("/srv/it").splitlines() if line.startswith("ExecReload=")]
    assert "--home /srv/it" in reload[0]
    assert "--home" not in _service(None)


def _service(home: str | None) -> str:
    return render_units(facts("user", home), templates())["litellm.service"].decode()


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("/plain/path", "/plain/path"),
        ("/with space", '"/with space"'),
        ("100%", "100%%"),
        ("$HOME", "$$HOME"),
        ('say "hi"', '"say \\"hi\\""'),
        ("", '""'),
    ],
)
def test_arguments_reach_the_program_as_they_are(text: str, quoted: str) -> None:
    assert quote(text) == quoted


def test_the_example_of_a_drop_in_sets_nothing_by_itself() -> None:
    lines = [line for line in templates()[EXAMPLE].splitlines() if line and not line.startswith("#")]
    assert lines == ["[Service]"]
