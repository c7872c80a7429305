"""The pages in runbooks/: one per verb, their options are the verb's options, and their commands do what they show."""

from __future__ import annotations

import functools
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiops.spec.sources import AT_INIT
from tests.docs.conftest import Instance
from tests.docs.console import Shell, commands
from tests.kit.warm.product import BIN, ROOT

PAGES = sorted(path for path in (ROOT / "runbooks").glob("*.md") if path.stem != "README")
LANES = ROOT / "docs" / "lanes.md"
TOPICS = {"keys-as-code": "Keys as code"}
"""Pages of a file rather than of a verb, with their titles."""
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)

OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)


@functools.cache
def help_text(*verb: str) -> str:
    done = subprocess.run([BIN / "aiops", *verb, "--help"], capture_output=True, text=True, timeout=30, check=True)
    return done.stdout


@functools.cache
def options_of(*verb: str) -> frozenset[str]:
    """The long options that ``aiops VERB --help`` lists, without --help itself."""
    if verb[:1] and verb[0] in TOPICS:
        return frozenset()
    text = help_text(*verb)
    rows = re.findall(r"^ {1,4}(?:-\w, )?(--\S.*?)(?: {2,}|$)", text, re.MULTILINE)
    own = frozenset(option for row in rows for option in OPTION.findall(row)) - {"--help"}
    deeper = re.findall(r"^ {2}([a-z][a-z-]*)", text.partition("Verbs:")[2], re.MULTILINE)
    return own.union(*(options_of(*verb, word) for word in deeper))


@functools.cache
def verbs() -> frozenset[str]:
    listed = subprocess.run(
        [BIN / "aiops", "help", "--all"], capture_output=True, text=True, timeout=30, check=True
    ).stdout
    return frozenset(re.findall(r"^ {2}([a-z][a-z-]*) ", listed, re.MULTILINE))


def invocations(page: str) -> Iterator[tuple[str, frozenset[str]]]:
    """Verb and options of each `aiops …` in the page's code, inline or in a block."""
    for code in CODE.findall(page):
        for line in code.replace("\\\n", " ").strip("`").splitlines():
            for call in re.findall(r"\baiops ((?:--[a-z-]+(?: \S+)? )*[a-z][a-z-]*[^|)#;]*)", line):
                words = call.split()
                verb = next((word for word in words if word in verbs()), "")
                yield verb, frozenset(OPTION.findall(call))


def test_every_verb_has_a_page_and_every_page_a_verb() -> None:
    assert verbs() | TOPICS.keys() == {page.stem for page in PAGES}


def test_the_index_lists_every_page() -> None:
    linked = set(re.findall(r"\]\(([a-z-]+)\.md\)", (ROOT / "runbooks/README.md").read_text()))
    assert linked == {page.stem for page in PAGES}


@every_page
def test_a_page_names_every_option_of_its_verb(page: Path) -> None:
    assert options_of(page.stem) <= set(OPTION.findall(page.read_text()))


@every_page
def test_a_page_names_no_option_that_does_not_exist(page: Path) -> None:
    text = page.read_text()
    for verb, used in invocations(text):
        unknown = used - options_of(verb or page.stem) - options_of() - {"--help", "--version"}
        assert not unknown, f"aiops {verb} has no {', '.join(sorted(unknown))}"
    own = {word for code in CODE.findall(text) for word in OPTION.findall(code) if code.startswith("`--")}
    assert own <= options_of(page.stem) | options_of()


@every_page
def test_a_page_tells_when_what_and_what_next(page: Path) -> None:
    text = page.read_text()
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert text.startswith(f"# {TOPICS.get(page.stem, f'aiops {page.stem}')}\n")
    assert headings == ["When", "What you see", "Options", "When it goes wrong"]
    assert commands(text), "a page shows at least one command"


@pytest.fixture
def restored(instance: Instance) -> Iterator[Instance]:
    """The instance; afterwards it runs again and has the configuration it had before."""
    before = {name: (instance.home / "config" / name).read_bytes() for name in AT_INIT}
    yield instance
    instance.aiops("--yes", "up")
    for name, content in before.items():
        (instance.home / "config" / name).write_bytes(content)
    instance.aiops("--yes", "apply", "--force", "--reason", "the next page begins where this one began")


@pytest.mark.parametrize("page", [*PAGES, LANES], ids=lambda page: page.stem)
def test_the_commands_of_a_page_do_what_it_shows(page: Path, restored: Instance, tmp_path: Path) -> None:
    shown = commands(page.read_text())
    if any("curl " in command.text for command in shown) and not shutil.which("curl") and not os.environ.get("CI"):
        pytest.skip("this page uses curl, which is not installed")
    shell = Shell(tmp_path, {**restored.env, "GENERATION": str(restored.status["generation"])})
    for command in shown:
        shell.run(command)


@pytest.mark.parametrize(
    ("wrapper", "arguments", "shown"),
    [
        ("generate-litellm-config.py", ("--stdout",), "model_list:"),
        ("validate-config-schema.py", (), "valid: 1 provider, 1 model served"),
        ("validate-unified-backend.sh", (), "0 fail, 0 skip"),
        ("compare-routing-performance.sh", ("explain", "tiny-random"), "tiny-random: a model of demo (providers.yaml:"),
    ],
)
def test_a_wrapper_works_on_a_real_instance(
    instance: Instance, wrapper: str, arguments: tuple[str, ...], shown: str
) -> None:
    command = [ROOT / "scripts" / wrapper, *arguments]
    done = subprocess.run(command, env=instance.env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert shown in done.stdout


@pytest.mark.parametrize("page", [*PAGES, LANES, ROOT / "README.md"], ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_the_readme_shows_only_exit_codes_and_verbs_that_exist() -> None:
    readme = (ROOT / "README.md").read_text()
    assert {shlex.split(name)[0] for name in re.findall(r"runbooks/([a-z-]+)\.md", readme)} == verbs()
