"""The model of an answer under the name that was asked for, however its bytes are cut."""

from __future__ import annotations

import pytest

from aiops.gateway.worker.lanes.direct.naming import Naming, whole

STREAM = b"".join(
    b'data: {"id":"1","model":"there","choices":[{"delta":{"content":"%s"}}]}\n\n' % text
    for text in (b"", b'\\"model\\":\\"there\\"', b"mod", b'"model'.replace(b'"', b'\\"'))
)
WANTED = STREAM.replace(b'"model":"there"', b'"model":"asked"')


@pytest.mark.parametrize("size", [1, 2, 3, 7, 16, 33, 64, 1000])
def test_every_cut_gives_the_same_bytes(size: int) -> None:
    naming = Naming("asked")
    found = [naming.put_right(STREAM[at : at + size]) for at in range(0, len(STREAM), size)]
    assert b"".join([*found, naming.end()]) == WANTED
    assert WANTED.count(b'\\"model\\":\\"there\\"') == 1, "a text that looks like it is left alone"


def test_a_piece_that_ends_an_event_is_never_kept_back() -> None:
    naming = Naming("asked")
    for event in STREAM.split(b"\n\n")[:-1]:
        assert naming.put_right(event + b"\n\n") == (event + b"\n\n").replace(b'"model":"there"', b'"model":"asked"')


def test_a_provider_that_says_the_right_name_is_passed_on_untouched() -> None:
    naming = Naming("asked")
    piece = b'data: {"model" : "asked"}\n\n'
    assert naming.put_right(piece) is piece
    again = b'{"model":"asked'
    assert naming.put_right(again) is again
    assert naming.put_right(piece) is piece


def test_pieces_that_name_no_model_pass() -> None:
    naming = Naming("asked")
    assert naming.put_right(b'data: {"type":"ping"}\n\n') == b'data: {"type":"ping"}\n\n'
    assert naming.put_right(b'data: {"model":null}\n\n') == b'data: {"model":null}\n\n'
    assert naming.end() == b""


def test_an_answer_in_one_piece_is_changed_where_it_names_its_model() -> None:
    content = b'{"choices":[{"message":{"content":"\\"model\\":\\"there\\""}}],"model":"there","x":"there"}'
    said = {"model": "there"}
    assert whole(content, said, "asked") == content.replace(b',"model":"there"', b',"model":"asked"')
    assert whole(content, {"model": "asked"}, "asked") is content
    assert whole(b"[]", [], "asked") == b"[]"


def test_a_model_that_the_client_wrote_is_left_alone_wherever_it_stands() -> None:
    content = b'{"metadata":{"model":"mine"},"input":[{"model":"there"}],"model" : "there","x":{"model":"mine"}}'
    assert whole(content, {"model": "there"}, "asked") == content.replace(b'"model" : "there"', b'"model":"asked"')


def test_of_a_stream_that_says_again_what_its_client_wrote_the_answers_own_model_is_put_right() -> None:
    event = b'event: response.created\ndata: {"type":"x","response":{"metadata":{"model":"mine"},"model":"there"}}\n\n'
    naming = Naming("asked")
    for _ in range(2):
        assert naming.put_right(event) == event.replace(b'"model":"there"', b'"model":"asked"')
    assert Naming("asked").put_right(b'data: {"model":"there","x":{"model":"mine"}}\n\ndata: [1]\n\n') == (
        b'data: {"model":"asked","x":{"model":"mine"}}\n\ndata: [1]\n\n'
    )
