"""What a runtime is made from."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiops.errors import Precondition, UsageError
from aiops.gateway.shared.installed import COMPROMISED, code_digest
from aiops.supervise import requirements

LISTED = """# made by uv
litellm[proxy]==1.106.1 \\
    --hash=sha256:aa
idna==3.4 ; python_version < '4' \\
    --hash=sha256:bb
"""


@pytest.mark.parametrize("version", sorted(COMPROMISED))
def test_a_compromised_release_is_refused_before_anything_is_asked(version: str) -> None:
    with pytest.raises(Precondition, match="known-compromised"):
        requirements.resolve(version, requirements.Source())


@pytest.mark.parametrize("word", ["", "1", "latest", "1.2.3 --pre", "1.2.3;", "../1.2", ">=1.2", "v1.2.3", "1.82.7\n"])
def test_only_an_exact_version_is_one(word: str) -> None:
    with pytest.raises(UsageError):
        requirements.require_acceptable(word)


@pytest.mark.parametrize("version", ["1.106.2", "1.107.0rc1", "1.106.0.post1"])
def test_a_version_is_accepted(version: str) -> None:
    requirements.require_acceptable(version)


def test_the_digest_follows_the_versions_and_not_the_comments() -> None:
    short = requirements.digest(LISTED, "code")
    assert requirements.digest(LISTED.replace("made by uv", "another head"), "code") == short
    assert requirements.digest(LISTED.replace("1.106.1", "1.106.2"), "code") != short
    assert requirements.digest(LISTED, "other code") != short
    assert requirements.count(LISTED) == 2


def test_a_runtime_gets_what_a_gateway_needs_and_nothing_else() -> None:
    ours = list(requirements._ours())
    assert any(line.startswith("httptools") for line in ours)
    assert any(line.startswith("pydantic") for line in ours)
    assert not any("xllamacpp" in line or ";" in line for line in ours)
    assert not any("litellm" in line for line in ours), "another LiteLLM is wanted, with what that one needs"


def test_the_digest_of_the_code_sees_every_module(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "one.py").write_text("a = 1\n")
    before = code_digest(tmp_path)
    (tmp_path / "inner" / "one.txt").write_text("not code")
    assert code_digest(tmp_path) == before
    (tmp_path / "inner" / "one.py").write_text("a = 2\n")
    assert code_digest(tmp_path) != before
