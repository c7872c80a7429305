"""Compiled modules are taken over where Python would have compiled the same, and nowhere else."""

from __future__ import annotations

import importlib.util
import marshal
import os
import subprocess
import sys
from pathlib import Path

import pytest

from aiops.supervise import bytecode
from aiops.supervise.bytecode import BY_TIME, HEADER, compiled_at, take_over

TEXT = "def said():\n    return 'from the source'\n"
SECOND = 1_700_000_000
MAGIC = importlib.util.MAGIC_NUMBER


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return tmp_path / "new"


@pytest.fixture
def donor(tmp_path: Path) -> Path:
    return tmp_path / "old"


def module(below: Path, text: str = TEXT, second: int = SECOND, name: str = "package/module.py") -> Path:
    path = below / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (second, second))
    return path


def compiled(source: Path, magic: bytes = MAGIC, flags: int = BY_TIME) -> Path:
    """Bytecode that Python takes for that of ``source``, and that says where it came from."""
    code = compile(source.read_text().replace("the source", "bytecode"), str(source), "exec")
    target = compiled_at(source)
    target.parent.mkdir(exist_ok=True)
    facts = source.stat()
    target.write_bytes(HEADER.pack(magic, flags, int(facts.st_mtime), facts.st_size) + marshal.dumps(code))
    return target


def said(site: Path) -> list[str]:
    """What Python finds there: whose code it is, and the file it says it is from."""
    program = "from package.module import said; print(said()); print(said.__code__.co_filename)"
    argv = [sys.executable, "-B", "-c", program]
    done = subprocess.run(argv, cwd=site, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_the_same_text_is_not_compiled_again(site: Path, donor: Path) -> None:
    source = module(site)
    taken = compiled(module(donor))
    assert take_over(site, [donor]) == []
    assert said(site) == ["from bytecode", str(source)], "and a traceback names the new file"
    assert compiled_at(source).samefile(taken), "one file for both: one place on the disk and in memory"


def test_the_same_text_of_another_time_gets_the_time_it_has_now(site: Path, donor: Path) -> None:
    source = module(site, second=SECOND + 5)
    before = compiled(module(donor)).read_bytes()
    assert take_over(site, [donor]) == []
    assert said(site) == ["from bytecode", str(source)]
    assert compiled_at(donor / "package/module.py").read_bytes() == before


def test_what_belongs_to_somebody_else_is_copied(site: Path, donor: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = module(site)
    taken = compiled(module(donor))
    ours = os.geteuid()
    monkeypatch.setattr(bytecode.os, "geteuid", lambda: ours + 1)
    assert take_over(site, [donor]) == []
    assert said(site)[0] == "from bytecode"
    assert not compiled_at(source).samefile(taken), "he could change it afterwards"


def test_another_text_of_the_same_size_and_second_is_compiled(site: Path, donor: Path) -> None:
    source = module(site)
    compiled(module(donor, TEXT.replace("from", "FROM")))
    assert (donor / "package/module.py").stat().st_size == source.stat().st_size
    assert take_over(site, [donor]) == [source]
    assert said(site)[0] == "from the source"


@pytest.mark.parametrize(
    ("magic", "flags"), [(b"\0\0\r\n", BY_TIME), (MAGIC, 1), (MAGIC, 3)], ids=["another-python", "unchecked", "checked"]
)
def test_what_python_would_not_take_for_it_is_compiled(site: Path, donor: Path, magic: bytes, flags: int) -> None:
    source = module(site)
    compiled(module(donor), magic, flags)
    assert take_over(site, [donor]) == [source]


def test_what_is_cut_off_or_was_never_compiled_is_compiled(site: Path, donor: Path) -> None:
    names = ["package/cut.py", "package/never.py", "package/nowhere.py"]
    sources = [module(site, name=name) for name in names]
    compiled(module(donor, name="package/cut.py")).write_bytes(MAGIC)
    module(donor, name="package/never.py")
    assert take_over(site, [donor, donor / "that-is-not-there"]) == sources


def test_the_first_that_has_it_gives_it(site: Path, donor: Path, tmp_path: Path) -> None:
    module(site)
    module(donor, TEXT + "# other\n")
    compiled(module(tmp_path / "third"))
    assert take_over(site, [donor, tmp_path / "third"]) == []


def test_half_a_copy_is_not_left_when_the_disk_is_full(
    site: Path, donor: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = module(site, second=SECOND + 5)
    compiled(module(donor))
    whole = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        whole(path, content[:20])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert take_over(site, [donor]) == [source]
    assert not compiled_at(source).exists()
