"""Lines with fields, as journald's native protocol wants them."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

from aiops.gateway.shared import journald


def sent(tmp_path: Path, message: str, **fields: object) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "j"))
        receiver.settimeout(2)
        assert journald.send(message, journald.INFO, str(tmp_path / "j"), **fields)
        return receiver.recv(65536)


def test_fields_are_lines_and_empty_ones_are_left_out(tmp_path: Path) -> None:
    said = sent(tmp_path, "generation 7 serves", aiops_generation=7, aiops_provider="", aiops_verb=None)
    assert said == b"MESSAGE=generation 7 serves\nPRIORITY=6\nAIOPS_GENERATION=7\n"


def test_a_text_of_several_lines_says_how_long_it_is(tmp_path: Path) -> None:
    said = sent(tmp_path, "a\nb")
    assert said.startswith(b"MESSAGE\n" + struct.pack("<Q", 3) + b"a\nb\n")


def test_no_journald_is_no_error(tmp_path: Path) -> None:
    assert not journald.send("x", journald.INFO, str(tmp_path / "nobody"))
