"""Starting other programs: whose they are."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from aiops.host import process

NOBODY = 65534
ASK = f"""
import json, os
from aiops.host import process
from aiops.supervise import requirements
os.environ["XDG_CACHE_HOME"] = "/root/.cache"
os.setegid({NOBODY})
os.seteuid({NOBODY})
own = requirements.environment()
print(json.dumps([process.run(["id", flag], 10).out.strip() for flag in ("-ru", "-u", "-rg", "-g")]))
print(json.dumps([own["HOME"], own.get("XDG_CACHE_HOME"), own.get("UV_NO_CACHE")]))
"""


def test_a_program_that_is_not_there_and_one_that_takes_too_long_are_answers() -> None:
    assert process.run(["/nowhere/at/all"], 1).code == 127
    assert process.run(["sleep", "5"], 0.05).code == 124


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as somebody else")
def test_what_root_starts_as_the_owner_of_an_instance_cannot_become_root_and_uses_nothing_of_roots() -> None:
    said = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True).stdout.splitlines()
    assert said[0] == str([str(NOBODY)] * 4).replace("'", '"')
    assert said[1] == '["/nonexistent", null, "1"]'
