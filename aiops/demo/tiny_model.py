"""A complete but tiny llama model with random weights: 430 kB, made in half a second, no download.

It answers nonsense, yet it is a real GGUF file that llama.cpp loads and samples from. The seed is
fixed, so the same version of this module writes the same bytes.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import astuple, dataclass
from pathlib import Path

# Part of the file name: raise it when anything below changes, so that an old cached file is not used.
VERSION = 2
CONTEXT = 2048
MERGES = ("t h", "th e", "i n", "e r", "a n", "o n", "Ġ t", "Ġ a")
CONTROL = ("<|bos|>", "<|im_start|>", "<|im_end|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@dataclass(frozen=True)
class Shape:
    """How large the model is: a larger one is as senseless, but has more to compute."""

    embedding: int = 64
    blocks: int = 2
    heads: int = 4
    kv_heads: int = 2
    feed_forward: int = 128
    context: int = CONTEXT


TINY = Shape()


def ensure(directory: Path, shape: Shape = TINY) -> Path:
    """Given a cache directory, return the model file in it, making it first if it is not there.

    The file appears by rename, so two processes that make it at once both end up with a whole one.
    Raise ``OSError`` when the directory cannot be written.
    """
    size = "" if shape == TINY else "-".join(map(str, ("", *astuple(shape))))
    target = directory / f"tiny-random-v{VERSION}{size}.gguf"
    if target.exists():
        return target
    directory.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=directory, prefix=".tiny-random-", suffix=".gguf")
    os.close(handle)
    temporary = Path(name)
    try:
        _write(temporary, shape)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return target


def byte_alphabet() -> list[str]:
    """The 256 printable characters that GPT-2 uses for the 256 bytes, in byte order (OpenAI's ``encoder.py``)."""
    printable = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    spare = iter(range(256, 512))
    return [chr(byte if byte in printable else next(spare)) for byte in range(256)]


def _liking(token: str) -> float:
    if token in CONTROL or not token.replace("Ġ", "").isascii():
        return -6.0
    return 1.0 if token.startswith("Ġ") or token.islower() else 0.0


def _write(path: Path, shape: Shape) -> None:
    import gguf  # numpy comes with it: 200 ms that no other verb should pay
    import numpy
    import numpy.typing

    tokens = [*byte_alphabet(), *(merge.replace(" ", "") for merge in MERGES), *CONTROL]
    kinds = [gguf.TokenType.NORMAL] * (len(tokens) - len(CONTROL)) + [gguf.TokenType.CONTROL] * len(CONTROL)
    first_control = len(tokens) - len(CONTROL)

    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name("tiny-random")
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.embedding)
    writer.add_block_count(shape.blocks)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_rope_dimension_count(shape.embedding // shape.heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(list(MERGES))
    writer.add_bos_token_id(first_control)
    writer.add_eos_token_id(first_control + 2)
    writer.add_chat_template(CHAT_TEMPLATE)

    random = numpy.random.default_rng(7)

    def matrix(*shape: int) -> numpy.typing.NDArray[numpy.float32]:
        return random.normal(0, 0.05, shape).astype(numpy.float32)

    def weights(name: str, *shape: int, keeps_first: bool = False) -> None:
        values = matrix(*shape)
        if keeps_first:
            values[0, :] = 0
        writer.add_tensor(name, values)

    def norm(name: str) -> None:
        writer.add_tensor(name, numpy.ones(shape.embedding, dtype=numpy.float32))

    kv = shape.embedding // shape.heads * shape.kv_heads
    # The first dimension is the same for every token and no block changes it, so its column in the output is
    # a bias per token: answers are readable characters, never half a UTF-8 sequence, and do not end by chance.
    embedding, output = matrix(len(tokens), shape.embedding), matrix(len(tokens), shape.embedding)
    embedding[:, 0] = 1
    output[:, 0] = [_liking(token) for token in tokens]
    writer.add_tensor("token_embd.weight", embedding)
    norm("output_norm.weight")
    writer.add_tensor("output.weight", output)
    for block in range(shape.blocks):
        norm(f"blk.{block}.attn_norm.weight")
        weights(f"blk.{block}.attn_q.weight", shape.embedding, shape.embedding)
        weights(f"blk.{block}.attn_k.weight", kv, shape.embedding)
        weights(f"blk.{block}.attn_v.weight", kv, shape.embedding)
        weights(f"blk.{block}.attn_output.weight", shape.embedding, shape.embedding, keeps_first=True)
        norm(f"blk.{block}.ffn_norm.weight")
        weights(f"blk.{block}.ffn_gate.weight", shape.feed_forward, shape.embedding)
        weights(f"blk.{block}.ffn_up.weight", shape.feed_forward, shape.embedding)
        weights(f"blk.{block}.ffn_down.weight", shape.embedding, shape.feed_forward, keeps_first=True)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
