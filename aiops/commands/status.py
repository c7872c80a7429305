"""``aiops status``"""

from __future__ import annotations

import click

from aiops.context import Context

DOWN = ("stopped", "failed")


@click.command("status", help="What serves now, and whether it is what the files say. Reads only; asks no model.")
@click.option("--routes", is_flag=True, help="Also who served what in the last minutes, cooldowns, fallbacks taken.")
@click.pass_obj
def command(context: Context, routes: bool) -> None:
    from aiops.actions.service.status import look

    now = look(context.instance)
    out = context.out
    made = now.manifest
    workers = sum(len(group["workers"]) for group in now.master.get("groups", []) if group["role"] == "serving")
    lines = {
        "gateway": now.gateway_state + (f" at {now.url}" if now.url and now.gateway_state not in DOWN else ""),
        "generation": f"{now.generation or now.desired_generation or 'none yet'}"
        + (f", made {made.created[:19]}Z by {made.who} with `aiops {made.verb}`" if made else ""),
        "process": f"pid {now.master['pid']}, {workers} worker(s), LiteLLM {now.master['litellm']}"
        + (f" in {now.master['runtime']}" if now.master.get("runtime") else "")
        + f", up {now.master['uptime']:.0f} s ({now.supervisor})"
        if "pid" in now.master
        else "",
        "systemd": now.units.line() if now.units else "",
        "models": _few(now.models),
    }
    for name, value in lines.items():
        if value:
            out.result(f"{name + ':':<12}{value}")
    for sentence in now.drift:
        out.result(f"{'drift:':<12}{sentence}")
    for sentence in now.notes:
        out.result(f"{'note:':<12}{sentence}")
    if now.gateway_state in DOWN:
        out.result(f"{'next:':<12}`{context.instance.command} up` starts it")
    data = now.to_json()
    if routes:
        from aiops.actions.route import live as live_routes

        live = live_routes.look(now.master)
        for line in live.lines() if live.workers else ["no worker serves"]:
            out.result(line)
        data["routes"] = live.to_json()
    out.data(data)


def _few(names: list[str], most: int = 12) -> str:
    more = f", … ({len(names)} in all)" if len(names) > most else ""
    return ", ".join(names[:most]) + more
