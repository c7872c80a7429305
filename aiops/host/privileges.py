"""Root at work on somebody's instance: acts as its owner, and as root only where the machine's systemd is concerned.

Without this, `sudo aiops …` would leave files in the instance that its own user cannot read.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def act_as_owner(directory: Path) -> None:
    """From now on have the rights of whoever owns ``directory``. Nothing happens unless root calls, for another."""
    if os.getuid() != 0 or os.geteuid() != 0:
        return
    try:
        owner = directory.stat()
    except OSError:
        return
    if owner.st_uid == 0:
        return
    try:
        os.initgroups(pwd.getpwuid(owner.st_uid).pw_name, owner.st_gid)
    except KeyError:
        os.setgroups([owner.st_gid])
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)


@contextmanager
def as_root() -> Iterator[None]:
    """Root's rights for a while, where this process was started by root."""
    user, group = os.geteuid(), os.getegid()
    if os.getuid() != 0 or user == 0:
        yield
        return
    os.seteuid(0)
    os.setegid(0)
    try:
        yield
    finally:
        os.setegid(group)
        os.seteuid(user)
