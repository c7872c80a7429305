"""``aiops status``"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from aiops.commands._patience import Seconds
from aiops.context import Context

if TYPE_CHECKING:
    from aiops.actions.service.status import Situation

DOWN = ("stopped", "failed")


@click.command("status", help="What serves now, and whether it is what the files say. Reads only; asks no model.")
@click.option("--routes", is_flag=True, help="Also who served what in the last minutes, cooldowns, fallbacks taken.")
@click.option("-w", "--watch", is_flag=True, help="Go on looking: anew on a terminal, a line per change elsewhere.")
@click.option(
    "--interval",
    type=Seconds(0.1),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="Between two looks of --watch.",
)
@click.pass_obj
def command(context: Context, routes: bool, watch: bool, interval: float) -> None:
    from aiops.actions.service import status

    if watch:
        try:
            _watch(context, status.follow(context.instance, interval, routes=routes), routes)
        except KeyboardInterrupt:
            click.get_current_context().exit(130)  # it was asked to end: nothing went wrong, nothing is to be said
    now = status.look(context.instance, routes=routes)
    context.out.answer(_lines(context, now, routes), _data(now, routes))


def _watch(context: Context, looks: Iterator[Situation], routes: bool) -> None:
    out, told = context.out, ""
    if out.redraws:
        click.clear()
    for now in looks:
        if out.redraws:
            out.screen(_lines(context, now, routes))
        elif now.line != told:
            told = now.line
            out.result(f"{now.at} {told}")
            out.record({"at": now.at, **_data(now, routes)})


def _data(now: Situation, routes: bool) -> dict[str, Any]:
    return {**now.to_json(), **({"routes": now.routes.to_json()} if routes else {})}


def _lines(context: Context, now: Situation, routes: bool) -> Iterator[str]:
    made, workers = now.manifest, len(now.master.serving)
    yield f"{'status:':<12}{context.out.word(now.health.word)}"
    for sentence in now.health.why:
        yield f"{'why:':<12}{sentence}"
    lines = {
        "ready": now.routes.readiness.status,
        "gateway": now.gateway_state + (f" at {now.url}" if now.url and now.gateway_state not in DOWN else ""),
        "admin": f"the management API at {now.admin_url}" if now.admin_url and now.gateway_state not in DOWN else "",
        "generation": f"{now.generation or now.desired_generation or 'none yet'}"
        + (f", made {made.created[:19]}Z by {made.who} with `aiops {made.verb}`" if made else ""),
        "process": f"pid {now.master.pid}, {workers} worker(s), {now.litellm}"
        + (f" in {now.master.runtime}" if now.master.runtime else "")
        + f", up {now.master.uptime:.0f} s ({now.supervisor})"
        if now.master.pid is not None
        else "",
        "systemd": now.units.line() if now.units else "",
        "mode": now.mode,
        "models": _few(now.models),
    }
    for name, value in lines.items():
        if value:
            yield f"{name + ':':<12}{value}"
    for sentence in now.drift:
        yield f"{'drift:':<12}{sentence}"
    for sentence in now.notes:
        if sentence not in now.health.why:
            yield f"{'note:':<12}{sentence}"
    if now.gateway_state in DOWN:
        yield f"{'next:':<12}`{context.instance.command} up` starts it"
    elif now.unproved:
        yield f"{'next:':<12}`{context.instance.command} verify --all` asks those who were not proved"
    if routes:
        yield from now.routes.lines() if now.routes.workers else ["no worker serves"]


def _few(names: list[str], most: int = 12) -> str:
    more = f", … ({len(names)} in all)" if len(names) > most else ""
    return ", ".join(names[:most]) + more
