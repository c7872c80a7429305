"""A fork becomes the process that was ordered: descriptors, session, directory, environment, what ps shows."""

from __future__ import annotations

import atexit
import ctypes
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from tests.kit.warm.orders import Order

# prctl(2)
PR_SET_PDEATHSIG, PR_SET_NAME, PR_SET_MM, PR_SET_MM_ARG_END = 1, 15, 35, 9
# Of the warm process's own command line: room for the longest one that a fork may have to show.
PADDING = "x" * 8000

_prctl = ctypes.CDLL(None).prctl
_prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]


def become(order: Order, descriptors: Sequence[int], parent: int, set_by_imports: Mapping[str, str]) -> None:
    """Given an order and what came with it, be that process from now on, and die with ``parent``."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    if order.new_session:
        os.setsid()
    for number, given in enumerate(descriptors):
        os.dup2(given, number)
    for given in descriptors:
        os.close(given)
    os.chdir(order.directory)
    os.environ.clear()
    os.environ.update({**order.environment, **set_by_imports})
    sys.orig_argv = list(order.argv)
    show(order.argv)


def show(argv: Sequence[str]) -> None:
    """Make ``argv`` the command line in /proc: ps shows it, and aiops looks for it."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])  # arg_start and arg_end, proc(5)
    line = b"\0".join(os.fsencode(each) for each in argv) + b"\0"
    if len(line) > end - start:
        raise AssertionError(f"a command line of {len(line)} bytes: make PADDING longer")
    ctypes.memmove(start, line.ljust(end - start, b"\0"), end - start)
    # Without CAP_SYS_RESOURCE the line keeps its length, filled up with nothing.
    _prctl(PR_SET_MM, PR_SET_MM_ARG_END, start + len(line), 0, 0)
    _prctl(PR_SET_NAME, ctypes.cast(ctypes.c_char_p(os.fsencode(Path(argv[0]).name)), ctypes.c_void_p).value, 0, 0, 0)


def finish(main: Callable[[], Any]) -> NoReturn:
    """Run ``main`` and leave with its exit code, as an interpreter does, without taking the imports apart."""
    code: Any = 1
    try:
        code = main()
    except SystemExit as left:
        code = left.code
        if code is not None and not isinstance(code, int):
            sys.stderr.write(f"{code}\n")
            code = 1
    except KeyboardInterrupt:
        traceback.print_exc()
        code = 130
    except BaseException:
        traceback.print_exc()
    with suppress(BaseException):
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit((code or 0) & 0xFF)
