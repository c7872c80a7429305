"""What a provider is sent of a request."""

from __future__ import annotations

import json
import resource
from typing import Any

import pytest

from aiops.gateway.worker.front import asked
from aiops.gateway.worker.lanes.direct.asking import asking
from aiops.gateway.worker.lanes.direct.body import body
from aiops.spec.lanes.table import Direct

JSON = b"application/json"


def sent(
    raw: bytes, model: str = "there", kind: bytes = JSON, path: str = "/v1/chat/completions", **more: Any
) -> bytes:
    direct = Direct(deployment="d", provider="p", url="http://p/v1", paths=frozenset({"chat/completions"}), **more)
    return body(asked.read(path, kind, raw), asking(direct, {}), model, kind)


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        (b'{"model":"a","x":1e400}', b'{"model":"there","x":1e400}'),
        (b'{"x":{"model":"a"},"model":"a"}', b'{"x":{"model":"a"},"model":"there"}'),
        (b'{"x":[{"model":"a"}],"model" :\n"a" }', b'{"x":[{"model":"a"}],"model" :\n"there" }'),
        (b'{"model":"b","model":"a"}', b'{"model":"there"}'),
        (b'{"x":"\\"model\\":\\"a\\"","model":"a"}', b'{"x":"\\"model\\":\\"a\\"","model":"there"}'),
        (b'{"x":"model","model":"a"}', b'{"x":"model","model":"there"}'),
        (b'{"x":"}{\\\\","y":{"model":"a"},"model":"a"}', b'{"x":"}{\\\\","y":{"model":"a"},"model":"there"}'),
        (b'{"model":"a\\u00e9"}', b'{"model":"there"}'),
        (b'{"model":"there", "n":1.50, "unknown":null}', b'{"model":"there", "n":1.50, "unknown":null}'),
    ],
)
def test_the_model_of_the_body_alone_is_put_right(raw: bytes, wanted: bytes) -> None:
    assert sent(raw) == wanted


def test_a_name_that_is_spelled_with_escapes_is_put_right_too() -> None:
    assert json.loads(sent(b'{"mod\\u0065l":"a","n":1}')) == {"model": "there", "n": 1}


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        (b'{"model":"dear","n":1,"model":"there"}', {"model": "there", "n": 1}),
        (b'{"n":9,"model":"a","n":1}', {"model": "there", "n": 1}),
        (b'{"model":"dear","mod\\u0065l":"there"}', {"model": "there"}),
        (b'{"mod\\u0065l":"a","x":{"model":"b"}}', {"model": "there", "x": {"model": "b"}}),
        (b'{"\\u006e":9,"model":"a","n":1}', {"model": "there", "n": 1}),
    ],
)
def test_a_field_is_sent_once_and_as_it_was_read_here(raw: bytes, wanted: dict[str, Any]) -> None:
    pairs: list[tuple[str, Any]] = []
    found = json.loads(sent(raw), object_pairs_hook=lambda each: pairs.extend(each) or dict(each))
    assert found == wanted
    assert len([name for name, _ in pairs if name == "n"]) == ("n" in wanted)
    assert b"dear" not in sent(raw)


def test_a_field_of_the_same_name_elsewhere_leaves_the_body_as_it_is() -> None:
    raw = b'{"model":"there", "x":{"model":"a","n":1.50}, "n":1.00, "text":"\\u0041 \\"n\\""}'
    assert sent(raw) == raw


def test_a_text_of_megabytes_takes_no_more_memory_than_it_has() -> None:
    raw = b'{"model":"a","x":{"model":"b"},"image":"' + b"A" * 4_000_000 + b'"}'
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert sent(raw).startswith(b'{"model":"there","x":{"model":"b"}')
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024  # kB; it was 450 MB


def test_a_model_with_every_character_is_written_as_json() -> None:
    assert json.loads(sent(b'{"model":"a"}', 'qu"ote\\ \u00e9\n')) == {"model": 'qu"ote\\ \u00e9\n'}


def test_fields_that_the_client_leaves_open_are_put_before_its_own() -> None:
    found = sent(b'{"model":"there", "top_k":3}', defaults={"top_k": 1, "seed": 7}, forced={"x": [1]})
    assert found == b'{"seed":7,"x":[1],"model":"there", "top_k":3}'


def test_what_is_forced_dropped_or_renamed_is_so_whatever_the_client_says() -> None:
    said = {"model": "a", "x": 1, "gone": 2, "max_completion_tokens": 3, "keep": {"gone": 4}}
    found = sent(
        json.dumps(said).encode(),
        forced={"x": 9},
        drop=frozenset({"gone"}),
        rename={"max_completion_tokens": "max_tokens"},
    )
    assert json.loads(found) == {"model": "there", "x": 9, "max_tokens": 3, "keep": {"gone": 4}}


def test_large_numbers_survive_being_written_anew() -> None:
    raw = b'{"model":"a","gone":1,"seed":18446744073709551615}'
    assert b"18446744073709551615" in sent(raw, drop=frozenset({"gone"}))


@pytest.mark.parametrize("more", [{}, {"drop": frozenset({"gone"})}])
def test_a_stream_is_asked_to_tell_its_usage(more: dict[str, Any]) -> None:
    found = json.loads(sent(b'{"model":"a","stream":true,"gone":1}', **more))
    assert found["stream_options"] == {"include_usage": True}
    found = json.loads(sent(b'{"model":"a","stream":true,"gone":1,"stream_options":{"x":1}}', **more))
    assert found["stream_options"] == {"x": 1, "include_usage": True}


def test_a_provider_that_takes_no_stream_options_is_sent_none() -> None:
    found = json.loads(sent(b'{"model":"a","stream":true}', drop=frozenset({"stream_options"})))
    assert found == {"model": "there", "stream": True}


FORM = (
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n'
    b'RIFF\x00\xff model\r\n--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nalpha\r\n'
    b'--x\r\nContent-Disposition: form-data; name="language"\r\n\r\nde\r\n--x--\r\n'
)


def test_of_a_form_the_field_with_the_model_alone_changes() -> None:
    kind = b"multipart/form-data; boundary=x"
    found = sent(FORM, "there", kind, "/v1/audio/transcriptions")
    assert found == FORM.replace(b"\r\n\r\nalpha\r\n", b"\r\n\r\nthere\r\n")
    assert sent(FORM, "alpha", kind, "/v1/audio/transcriptions") is not None
    assert sent(FORM, "alpha", kind, "/v1/audio/transcriptions") == FORM


def test_of_a_form_every_field_with_the_model_says_the_same() -> None:
    kind = b'Multipart/Form-Data; boundary="x"'
    part = b"--x\r\nContent-Type: text/plain\r\nContent-Disposition: form-data;\tname=%s\r\n\r\n%s\r\n"
    twice = part % (b'"model"', b"dear") + part % (b"model", b"alpha") + part % (b'"a"; filename="model"', b"x")
    wanted = twice.replace(b"dear", b"alpha")
    assert sent(twice + b"--x--\r\n", "alpha", kind, "/v1/audio/transcriptions") == wanted + b"--x--\r\n"
    empty = part % (b'"model"', b"")
    assert sent(empty + b"--x--\r\n", "m", kind, "/v1/audio/transcriptions") == part % (b'"model"', b"m") + b"--x--\r\n"


def test_what_is_in_a_file_of_a_form_is_not_looked_at() -> None:
    kind = b"multipart/form-data; boundary=x"
    inside = b'--a\r\nContent-Disposition: form-data; name="model"\r\n\r\nalpha\r\n' + b"--a\r\n" * 5_000
    form = FORM.replace(b"RIFF", b"RIFF\r\n" + inside)
    found = sent(form, "there", kind, "/v1/audio/transcriptions")
    assert found == form.replace(b'name="model"\r\n\r\nalpha\r\n--x', b'name="model"\r\n\r\nthere\r\n--x')


def test_a_key_is_shown_as_the_api_wants_it_and_never_twice() -> None:
    direct = Direct(deployment="d", provider="p", url="http://p/v1", key="K", paths=frozenset({"messages"}))
    assert (b"authorization", b"Bearer secret") in asking(direct, {"K": "secret"}).headers_for([], JSON)
    theirs = Direct(deployment="d", provider="p", url="u", key="K", wire="anthropic", paths=frozenset({"messages"}))
    found = asking(theirs, {"K": "secret"}).headers_for([(b"anthropic-beta", b"b"), (b"x-secret", b"s")], JSON)
    assert sorted(found) == [
        (b"anthropic-beta", b"b"),
        (b"anthropic-version", b"2023-06-01"),
        (b"content-type", b"application/json"),
        (b"x-api-key", b"secret"),
    ]
    own = Direct(
        deployment="d", provider="p", url="u", key="K", headers={"Authorization": "os.environ/OTHER"}, paths=frozenset()
    )
    found = asking(own, {"K": "secret", "OTHER": "Basic x"}).headers_for([], JSON)
    assert [value for name, value in found if name == b"authorization"] == [b"Basic x"]


@pytest.mark.parametrize(
    ("messages", "wanted"),
    [
        ('[{"role" : "developer","content":"x\\u00e9"}]', '[{"role" : "system","content":"x\\u00e9"}]'),
        ('[{"content":"\\"role\\":\\"developer\\"","role":"user"}]', None),
        ('[{"role":"developer","x":{"role":"developer"}}]', '[{"role":"system","x":{"role":"developer"}}]'),
        ('[{"role":"develop\\u0065r","content":"developer"}]', '[{"role":"system","content":"developer"}]'),
        ('[{"role":"user","content":"developer"}]', None),
    ],
)
def test_a_role_that_few_models_know_is_sent_as_system(messages: str, wanted: str | None) -> None:
    before, after = ('{"model":"there", "messages":' + text + "}" for text in (messages, wanted or messages))
    found = sent(before.encode())
    assert json.loads(found) == json.loads(after)
    assert "e9" not in before or found == after.encode(), "what did not have to change stays as it was"


@pytest.mark.parametrize("kind", [b"", b"text/plain", b"application/json; charset=utf-8", b"application/JSON"])
def test_a_body_that_is_no_form_is_called_json_whatever_its_client_called_it(kind: bytes) -> None:
    direct = Direct(deployment="d", provider="p", url="u", paths=frozenset(), key="NOT_SET")
    assert asking(direct, {}).headers_for([], kind) == [(b"content-type", JSON)]
    form = b"multipart/form-data; boundary=x"
    assert asking(direct, {}).headers_for([], form) == [(b"content-type", form)]


def test_a_header_of_one_client_is_not_sent_for_the_next() -> None:
    direct = Direct(
        deployment="d", provider="p", url="u", wire="anthropic", paths=frozenset(), headers={"content-type": "x/y"}
    )
    made = asking(direct, {})
    first = made.headers_for([(b"anthropic-beta", b"mine")], JSON)
    assert (b"anthropic-beta", b"mine") in first
    assert made.headers_for([], JSON) == [pair for pair in first if pair[0] != b"anthropic-beta"]
