"""What clients ask, in every shape that was seen or is allowed, for a model that is called `MODEL`."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

MODEL = "MODEL"
CHAT, TEXT, EMBEDDINGS, RESPONSES = "/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses"
JSON = ("content-type", "application/json")
BOUNDARY = "of-this-test"


@dataclass(frozen=True)
class Shape:
    """``body``: with `MODEL` where the name of the model goes. ``chunks``: bytes in each, when it is sent in chunks.
    ``kind``: of the model that is asked. ``waits``: it sends its body when it is told to. ``times``: how many of it are
    sent before an answer is read. ``packed``: by gzip. ``raw``: it is no JSON."""

    name: str
    path: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = (JSON,)
    kind: str = "chat"
    version: str = "1.1"
    chunks: int = 0
    waits: bool = False
    times: int = 1
    packed: bool = False
    raw: bool = False


def _of(name: str, path: str, kind: str = "chat", /, **fields: Any) -> Shape:
    return Shape(name, path, json.dumps({"model": MODEL, **fields}, ensure_ascii=False).encode(), kind=kind)


def _chat(name: str, /, content: Any = "hello", **fields: Any) -> Shape:
    return _of(name, CHAT, **{"messages": [{"role": "user", "content": content}], **fields})


def _literal(name: str, fields: str) -> Shape:
    """Fields of a chat as they are written, which ``json.dumps`` could not."""
    return Shape(name, CHAT, b'{"model":"MODEL","messages":[{"role":"user","content":"hello"}],%s}' % fields.encode())


def _bytes(name: str, content: bytes) -> Shape:
    return Shape(name, CHAT, b'{"model": "MODEL", "messages": [{"role": "user", "content": "%s"}]}' % content)


def _form(name: str, path: str, *fields: tuple[str, str], kind: str) -> Shape:
    parts = [
        f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in (("model", MODEL), *fields)
    ]
    wav = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(range(256))
    named = 'content-disposition: form-data; name="file"; filename="Grüße.wav"'.encode()
    file = b"--%s\r\n%s\r\ncontent-type: audio/wav\r\n\r\n%s\r\n" % (BOUNDARY.encode(), named, wav)
    end = f"--{BOUNDARY}--\r\n".encode()
    header = ("content-type", f"multipart/form-data; boundary={BOUNDARY}")
    return Shape(name, path, b"".join([*parts, file, end]), (header,), kind, raw=True)


HELLO = _chat("plain").body
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "of a city",
        "strict": True,
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
SCHEMA = {"type": "object", "properties": {"answer": {"type": "integer"}}, "additionalProperties": False}
CALLED = [
    {"role": "user", "content": "how is it there?"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Köln"}'}}
        ],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
]
PIXEL = base64.b64encode(bytes(range(256))).decode()
STREAM: dict[str, Any] = {"stream": True}

CHATS = (
    _chat("plain"),
    _chat("stream", **STREAM),
    _chat("stream with usage", **STREAM, stream_options={"include_usage": True}),
    _chat("stream without usage", **STREAM, stream_options={"include_usage": False}),
    _chat("stream with empty options", **STREAM, stream_options={}),
    _chat("stream with null options", **STREAM, stream_options=None),
    _chat("stream with options of more", **STREAM, stream_options={"include_usage": True, "include_obfuscation": True}),
    _chat("stream of two answers", **STREAM, n=2),
    _chat("stream said false", stream=False),
    _chat("tools", tools=[TOOL]),
    _chat("tools in a stream", tools=[TOOL], **STREAM),
    _chat("tool choice by name", tools=[TOOL], tool_choice={"type": "function", "function": {"name": "weather"}}),
    _chat("tool choice none", tools=[TOOL], tool_choice="none"),
    _chat("tool choice required", tools=[TOOL], tool_choice="required"),
    _chat("tools one by one", tools=[TOOL], parallel_tool_calls=False),
    _chat("tools in parallel", tools=[TOOL], parallel_tool_calls=True, **STREAM),
    _chat("functions of old", functions=[TOOL["function"]], function_call="auto"),
    _chat("tool results", messages=CALLED),
    _chat("tool results in a stream", messages=CALLED, **STREAM),
    _chat("three answers", n=3),
    _chat("logprobs", logprobs=True),
    _chat("top logprobs", logprobs=True, top_logprobs=2),
    _chat("top logprobs in a stream", logprobs=True, top_logprobs=2, **STREAM),
    _chat("reasoning", reasoning_effort="low"),
    _chat("reasoning in a stream", reasoning_effort="high", **STREAM),
    _chat(
        "reasoning of before",
        messages=[
            {"role": "user", "content": "hello"},
            {"role": "assistant", "content": "hi", "reasoning_content": "they greet"},
            {"role": "user", "content": "again"},
        ],
    ),
    _chat(
        "a schema",
        response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA, "strict": True}},
    ),
    _chat("a JSON object", response_format={"type": "json_object"}),
    _chat("text as a format", response_format={"type": "text"}),
    _chat("an image by its address", [{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]),
    _chat(
        "an image in detail",
        [
            {"type": "text", "text": "what is it?"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}", "detail": "low"}},
        ],
    ),
    _chat("audio heard", [{"type": "input_audio", "input_audio": {"data": PIXEL, "format": "wav"}}]),
    _chat("a file", [{"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PIXEL}", "filename": "a"}}]),
    _chat("audio said", modalities=["text", "audio"], audio={"voice": "alloy", "format": "wav"}),
    _chat("names", messages=[{"role": "user", "name": "Ann", "content": "hi"}, {"role": "system", "content": "be"}]),
    _chat("a developer", messages=[{"role": "developer", "content": "be brief"}, {"role": "user", "content": "hi"}]),
    _chat("an unknown role", messages=[{"role": "ipython", "content": "1"}, {"role": "user", "content": "hi"}]),
    _chat("nothing said", ""),
    _chat("null said", None),
    _chat("parts", [{"type": "text", "text": "one"}, {"type": "text", "text": "two", "cache_control": {"type": "x"}}]),
    _chat("no parts", []),
    _chat("a refusal of before", messages=[{"role": "assistant", "content": None, "refusal": "no"}]),
    _chat("spaces kept", "  hello \n\t "),
    _chat("emoji", "👩‍👩‍👧 Grüße ﷽ \u202e"),
    _bytes("an escaped surrogate pair", rb"\ud83d\ude00"),
    _bytes("half a surrogate pair", rb"\ud83d alone"),
    _bytes("an escaped NUL", rb"a\u0000b"),
    _bytes("escaped slashes", rb"\/\u00e9\n"),
    _literal("a huge integer", '"seed":123456789012345678901234567890'),
    _literal("a float beyond all", '"temperature":1e400'),
    _literal("a float as written", '"temperature":1.0,"top_p":0.10,"presence_penalty":-0.0,"frequency_penalty":1E-2'),
    _literal("a key twice", '"temperature":0.1,"temperature":0.9'),
    _literal("a key twice, one of ours", '"stream":false,"stream":true'),
    _literal("NaN", '"temperature":NaN'),
    _literal("spaces between", ' "seed" :\n\t7 , "top_p" : 1 '),
    _chat("an unknown field", x_of_mine=[1, {"a": None}]),
    _chat(
        "unknown fields within",
        messages=[{"role": "user", "content": "hi", "x": {"y": [1]}}],
        chat_template_kwargs={"t": 1},
    ),
    _chat("of llama.cpp", cache_prompt=True, grammar='root ::= "a"', min_p=0.1, mirostat=2, id_slot=0),
    _chat("of vLLM", guided_json=SCHEMA, top_k=5, repetition_penalty=1.1, ignore_eos=True, priority=1),
    _chat("nulls", temperature=None, tools=None, stop=None, max_tokens=None, user=None),
    _chat("a length", max_tokens=1),
    _chat("a length by its other name", max_completion_tokens=1),
    _chat("both lengths", max_tokens=5, max_completion_tokens=6),
    _chat("a length that is none", max_tokens=-1),
    _chat("one stop", stop="\n"),
    _chat("four stops", stop=["a", "b", "c", "d"]),
    _chat("sampling", temperature=0, top_p=0.5, presence_penalty=1, frequency_penalty=-2, seed=7),
    _chat("biases", logit_bias={"50256": -100}),
    _chat("a user", user="somebody"),
    _chat("metadata", metadata={"of": "mine"}),
    _chat("kept", store=True),
    _chat("a tier", service_tier="flex"),
    _chat("a prediction", prediction={"type": "content", "content": "hello"}),
    _chat("a search", web_search_options={"search_context_size": "low"}),
    _chat("verbosity and safety", verbosity="low", safety_identifier="me", prompt_cache_key="a"),
    _chat("extra body", extra_body={"top_k": 3}),
    _chat("tags", tags=["a"]),
    _chat("a time-out of its own", timeout=20),
    _chat("no fallbacks", disable_fallbacks=True),
    _chat("a hundred messages", messages=[{"role": "user", "content": f"number {at}"} for at in range(100)]),
)

OTHERS = (
    _of("text", TEXT, "text", prompt="hello", max_tokens=4),
    _of("text in a stream", TEXT, "text", prompt="hello", stream=True),
    _of(
        "text in a stream with usage", TEXT, "text", prompt="hello", stream=True, stream_options={"include_usage": True}
    ),
    _of("texts", TEXT, "text", prompt=["one", "two"], n=2, best_of=2),
    _of("text of tokens", TEXT, "text", prompt=[1, 2, 3]),
    _of("texts of tokens", TEXT, "text", prompt=[[1, 2], [3]]),
    _of("text echoed", TEXT, "text", prompt="hello", echo=True, suffix="!", logprobs=1, stop=["."]),
    _of("an embedding", EMBEDDINGS, "embed", input="hello"),
    _of("embeddings", EMBEDDINGS, "embed", input=["one", "two"], user="somebody"),
    _of("an embedding of tokens", EMBEDDINGS, "embed", input=[1, 2, 3]),
    _of("embeddings of tokens", EMBEDDINGS, "embed", input=[[1, 2], [3]]),
    _of("a short embedding", EMBEDDINGS, "embed", input="hello", dimensions=2, encoding_format="float"),
    _of("an embedding in base64", EMBEDDINGS, "embed", input="hello", encoding_format="base64"),
    _of("an embedding of its kind", EMBEDDINGS, "embed", input="hello", input_type="query", truncate="END"),
    _of("a response", RESPONSES, "respond", input="hello"),
    _of("a response in a stream", RESPONSES, "respond", input="hello", stream=True),
    _of(
        "a response with much",
        RESPONSES,
        "respond",
        input=[{"role": "user", "content": [{"type": "input_text", "text": "hello"}]}],
        instructions="be brief",
        tools=[{"type": "function", "name": "weather", "parameters": SCHEMA}],
        reasoning={"effort": "low"},
        text={"format": {"type": "text"}},
        store=False,
        max_output_tokens=20,
        x_of_mine=1,
    ),
    _of("speech", "/v1/audio/speech", "speak", input="hello", voice="alloy", response_format="mp3", speed=1.5),
    _form("a transcription", "/v1/audio/transcriptions", kind="hear"),
    _form(
        "a transcription with words",
        "/v1/audio/transcriptions",
        ("language", "de"),
        ("temperature", "0"),
        ("timestamp_granularities[]", "word"),
        ("response_format", "verbose_json"),
        kind="hear",
    ),
    _of("a ranking", "/v1/rerank", "rank", query="hello", documents=["one", "two"], top_n=1),
    _of("a ranking of texts", "/rerank", "rank", query="hello", documents=[{"text": "one"}], return_documents=True),
)


def _sent(name: str, path: str = CHAT, *headers: tuple[str, str], body: bytes = HELLO, **how: Any) -> Shape:
    return Shape(name, path, body, headers or (JSON,), **how)


LARGE = 20 * 1024 * 1024
SENT = (
    _sent("in chunks", chunks=7),
    _sent("in one chunk", chunks=1 << 20),
    _sent("by HTTP/1.0", version="1.0"),
    _sent("one behind another", times=3),
    _sent("streams one behind another", times=2, body=_chat("", stream=True).body),
    _sent("when it is told to", CHAT, JSON, ("expect", "100-continue"), waits=True),
    _sent("gzip", CHAT, JSON, ("content-encoding", "gzip"), packed=True, raw=True),
    _sent("a slash at the end", CHAT + "/"),
    _sent("no content type", CHAT, ("accept", "*/*")),
    _sent("as text", CHAT, ("content-type", "text/plain")),
    _sent("as JSON of some kind", CHAT, ("content-type", "application/json; charset=utf-8")),
    _sent("headers in capitals", CHAT, ("CONTENT-TYPE", "application/json"), ("ACCEPT", "application/json")),
    _sent("without /v1", "/chat/completions"),
    _sent("text without /v1", "/completions", body=OTHERS[0].body, kind="text"),
    _sent("an embedding without /v1", "/embeddings", body=OTHERS[7].body, kind="embed"),
    _sent("by its engine", "/engines/MODEL/chat/completions"),
    _sent("by its deployment", "/openai/deployments/MODEL/chat/completions?api-version=2024-10-21"),
    _sent("a query", CHAT + "?a=b&model=other"),
    _sent(
        "headers of clients",
        CHAT,
        JSON,
        ("user-agent", "OpenAI/Python 2.0"),
        ("openai-organization", "org-1"),
        ("x-stainless-lang", "python"),
        ("accept-language", "de"),
        ("cookie", "a=b"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-title", "mine"),
        ("accept-encoding", "gzip, br"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("idempotency-key", "this-one-MODEL"),
    ),
    _sent("from a browser", CHAT, JSON, ("origin", "https://app.test")),
    _sent("a mark before it", body=b"\xef\xbb\xbf" + HELLO),
    _sent("spaces around it", body=b" \r\n" + HELLO + b"\n\n"),
    _sent("nothing", body=b"", raw=True),
    _sent("no JSON", body=b"{'model': 'MODEL'}", raw=True),
    _sent("half of it", body=HELLO[:-9], raw=True),
    _sent("two of it", body=HELLO + HELLO, raw=True),
    _sent("no UTF-8", body=HELLO.replace(b"hello", b"h\xe9llo"), raw=True),
    _sent("no model", body=b'{"messages": [{"role": "user", "content": "hello"}]}', raw=True),
    _sent("no messages", body=b'{"model": "MODEL"}'),
    _sent("a list of nothing", body=b'{"model": "MODEL", "messages": []}'),
    _sent(
        "an image of 20 MB",
        body=HELLO.replace(
            b'"hello"', b'[{"type":"image_url","image_url":{"url":"data:image/png;base64,%s"}}]' % (b"A" * LARGE)
        ),
    ),
)

SHAPES = {shape.name: shape for shape in (*CHATS, *OTHERS, *SENT)}
assert len(SHAPES) == len(CHATS) + len(OTHERS) + len(SENT), "each has a name of its own"
