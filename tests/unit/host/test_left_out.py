"""What is installed of LiteLLM and what is not: its own list decides, so that another release turns this red."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import distributions, requires, version
from pathlib import Path

from aiops.supervise import requirements
from aiops.supervise.left_out import LEFT_OUT

ROOT = Path(__file__).parents[3]


def listed(package: str, extra: str) -> set[str]:
    """Requirements of an extra, as ``name<2,>=1``: in one order, without markers and extras of the name."""
    lines = [line.partition(";") for line in requires(package) or []]
    wanted = re.compile(rf"extra == ['\"]{extra}['\"]")
    return {_same(line) for line, _, marker in lines if wanted.search(marker)}


def _same(line: str) -> str:
    name, bounds = re.fullmatch(r"([\w.-]+)\s*(.*?)\s*", line).groups()  # type: ignore[union-attr]
    return name + ",".join(sorted(part.strip() for part in bounds.split(",")))


def _name(line: str) -> str:
    return re.split(r"[<>=!~]", line)[0]


def test_the_extra_is_what_litellm_lists_for_its_proxy_without_what_is_left_out() -> None:
    theirs = {line for line in listed("litellm", "proxy") if _name(line) not in LEFT_OUT}
    assert listed("aiops", "litellm") == theirs | {f"litellm=={version('litellm')}"}


def test_the_page_names_the_version_that_a_tool_gets() -> None:
    page = (ROOT / "docs" / "install.md").read_text()
    assert f"LiteLLM {version('litellm')}, the version this release was tested with" in page


def test_everything_that_is_left_out_is_something_litellm_asks_for() -> None:
    assert set(LEFT_OUT) <= {_name(line) for line in listed("litellm", "proxy")}


def test_nothing_that_is_left_out_is_installed_or_locked() -> None:
    assert not set(LEFT_OUT) & {found.name.lower() for found in distributions()}
    locked = {package["name"] for package in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}
    assert not set(LEFT_OUT) & locked


def test_another_litellm_does_not_bring_it_either() -> None:
    assert requirements.OVERRIDES.splitlines() == [f"{name} ; sys_platform == 'never'" for name in LEFT_OUT]


def test_the_gateway_does_without() -> None:
    """LiteLLM's whole proxy is imported, and every router that is put off: nobody asks for what is not there."""
    asked = """
import sys
LEFT_OUT = {"granian", "gunicorn", "InquirerPy", "polars", "pyroscope", "rq", "tomlkit"}
class Refuser:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in LEFT_OUT:
            print("ASKED", name)
sys.meta_path.insert(0, Refuser())
from aiops.gateway.worker import put_off, runtime
runtime.prepare_environment()
runtime.load()
for name in put_off.waiting():
    put_off.load(name)
print("LOADED")
"""
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.splitlines() == ["LOADED"]
