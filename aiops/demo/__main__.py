"""``python -m aiops.demo llama-cpp`` and ``python -m aiops.demo double``: providers to try things on."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import click

from aiops.demo.control import FACES, Control, Face
from aiops.errors import AiopsError


@click.group(help=__doc__)
def main() -> None:
    pass


def _ready(url: str) -> None:
    """The first line on stdout: scripts read it to learn the port and that requests are answered."""
    click.echo(f"ready {url}")


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "aiops" / "demo"


def _key(variable: str | None) -> str:
    if variable and not os.environ.get(variable):
        raise click.UsageError(f"--api-key-env: the variable {variable} is not set")
    return os.environ[variable] if variable else ""


@main.command("llama-cpp")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8080, show_default=True, help="0: any free one")
@click.option("--model-alias", default="tiny-random", show_default=True, help="the name of the model in /v1/models")
@click.option("--dir", "directory", type=click.Path(path_type=Path, file_okay=False), help="where the model is kept")
@click.option("--model", type=click.Path(path_type=Path, exists=True), help="another model file")
@click.option("--context", type=int, help="tokens of all slots together; default: those of the tiny model")
@click.option("--slots", default=2, show_default=True, help="requests that it answers at the same time")
@click.option("--cache-ram", type=int, help="MiB for prompts that no slot has any more; default: llama.cpp's")
@click.option("--metrics/--no-metrics", default=True, help="whether it has /metrics")
@click.option("--api-key-env", help="name of the variable with the key that requests must carry")
def llama_cpp(
    host: str, port: int, model_alias: str, directory: Path | None, model: Path | None, context: int | None, slots: int,
    cache_ram: int | None, metrics: bool, api_key_env: str | None,
) -> None:  # fmt: skip
    """A real llama.cpp server with a tiny random model: real API, meaningless answers."""
    from aiops.demo.llama_cpp import Options, serve

    options = Options(model=model, slots=slots, kept=cache_ram, metrics=metrics, api_key=_key(api_key_env))
    if context is not None:
        options = replace(options, context=context)
    serve(host, port, model_alias, directory or _cache(), _ready, options)


@main.command("double")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=0, help="0, the default: any free one")
@click.option("--face", type=click.Choice(FACES), default="openai", show_default=True, help="whose API it speaks")
@click.option("--models", default="double", show_default=True, help="comma-separated names")
@click.option("--latency", default=0.0, help="seconds before each answer")
@click.option("--tokens", default=8, show_default=True, help="pieces in an answer")
@click.option("--chunk-delay", default=0.0, help="seconds between the pieces of a stream")
@click.option("--api-key-env", help="name of the variable with the key that requests must carry")
def double(
    host: str, port: int, face: Face, models: str, latency: float, tokens: int, chunk_delay: float,
    api_key_env: str | None,
) -> None:  # fmt: skip
    """A double of a model server: canned answers, and faults on demand at PUT /_control."""
    from aiops.demo.double import Double
    from aiops.demo.serving import serve

    names = tuple(name.strip() for name in models.split(",") if name.strip())
    key = _key(api_key_env)
    click.echo(f"a double with the face of {face}: canned answers, no model behind it", err=True)
    control = Control(delay=latency, tokens=tokens, chunk_delay=chunk_delay, models=names, api_key=key)
    serve(Double(face, control), host, port, _ready)


if __name__ == "__main__":
    try:
        main(standalone_mode=True, prog_name="python -m aiops.demo")
    except AiopsError as error:
        click.echo(f"error: {error.message}\nhint: {error.hint}", err=True)
        raise SystemExit(error.exit_code) from None
