"""Options of keys, teams and members, called as LiteLLM's fields are; what was said, by those names."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

Command = Callable[..., None]
NONE = "none"
"""What takes a limit away again."""


class _Field(click.Option):
    """``field``: LiteLLM's name. ``read``: what was typed to what LiteLLM's API takes."""

    def __init__(self, *names: str, field: str, read: Callable[[Any], Any], **settings: Any) -> None:
        super().__init__(names, callback=_read, **settings)
        self.field, self.read = field, read


def _read(ctx: click.Context, field: click.Parameter, value: Any) -> Any:
    assert isinstance(field, _Field)
    if value is None or value == ():
        return None
    if value in (NONE, (NONE,)):
        return _Null()
    words = value if isinstance(value, tuple) else (value,)
    if any(isinstance(word, str) and not word.strip(" ,") for word in words):  # a variable of a script that is not set
        raise click.BadParameter(f"is empty: leave it out, or write `{NONE}`", ctx, field)
    try:
        return field.read(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, field) from None


class _Null:
    """Null was said."""


def said(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """By LiteLLM's names, without what was not said."""
    command = click.get_current_context().command
    fields = {each.name: each.field for each in command.params if isinstance(each, _Field)}
    return {
        fields[name]: None if isinstance(value, _Null) else value
        for name, value in arguments.items()
        if name in fields and value is not None
    }


def options(*kinds: Sequence[Callable[[], click.Option]]) -> Callable[[Command], Command]:
    """Add those of these kinds; the command takes them as one mapping, ``fields``."""

    def add(function: Command) -> Command:
        def on_fields(**arguments: Any) -> None:
            fields = said(arguments)
            names = {each.name for each in click.get_current_context().command.params if isinstance(each, _Field)}
            function(fields=fields, **{name: value for name, value in arguments.items() if name not in names})

        on_fields.__name__ = function.__name__
        params = [make() for kind in kinds for make in kind]
        found: list[click.Parameter] = [*params, *reversed(getattr(function, "__click_params__", []))]
        on_fields.__click_params__ = list(reversed(found))  # type: ignore[attr-defined]
        return on_fields

    return add


def _option(*names: str, field: str, read: Callable[[Any], Any] = str, **settings: Any) -> Callable[[], click.Option]:
    return lambda: _Field(*names, field=field, read=read, **settings)


def _flag(name: str, field: str, help: str) -> Callable[[], click.Option]:
    return _option(f"--{name}/--no-{name}", field=field, read=bool, default=None, help=help)


def _whole(value: str) -> int:
    try:
        return int(value.replace("_", "").replace(",", ""))
    except ValueError:
        raise ValueError(f"{value} is no whole number, nor `{NONE}`") from None


def _several(values: Sequence[str]) -> list[str]:
    return [word.strip() for value in values for word in value.split(",") if word.strip()]


def _metadata(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError as error:
        raise ValueError(f"is no JSON: {error}") from None


def _weight(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise ValueError(f"{value} is no number") from None


def _windows(values: Sequence[str]) -> list[dict[str, str]]:
    """``10/1d``: dollars in each window."""
    found = []
    for value in values:
        dollars, slash, duration = value.partition("/")
        if not slash or not duration:
            raise ValueError(f"{value} is no budget: write dollars and a duration, such as 10/1d")
        found.append({"max_budget": dollars, "budget_duration": duration})
    return found


def _counts(values: Sequence[str]) -> dict[str, int]:
    return {model: _whole(count) for model, count in _pairs(values, "gpt-4o=60")}


def _budgets_of_models(values: Sequence[str]) -> dict[str, list[dict[str, str]] | str]:
    """``gpt-4o=10`` or ``gpt-4o=10/1d``; a model may be named again for another window."""
    found: dict[str, list[dict[str, str]] | str] = {}
    for model, budget in _pairs(values, "gpt-4o=10/1d"):
        before = found.get(model)
        windows = _windows([budget]) if "/" in budget else None
        if windows is None:
            found[model] = budget
        else:
            found[model] = [*(before if isinstance(before, list) else []), *windows]
    return found


def _pairs(values: Sequence[str], example: str) -> list[tuple[str, str]]:
    found = [value.rpartition("=") for value in values]
    for model, sign, count in found:
        if not sign or not model or not count:
            raise ValueError(f"{model or count} is no model with its limit: write {example}")
    return [(model, count) for model, _, count in found]


_LIMITS = (
    _option("--models", field="models", read=_several, multiple=True, metavar="NAMES",
            help="Names or patterns (gpt-*) that it may ask for, by commas or again; else all."),
    _option("--rpm-limit", field="rpm_limit", read=_whole, metavar="N", help="Requests a minute."),
    _option("--tpm-limit", field="tpm_limit", read=_whole, metavar="N", help="Tokens a minute."),
    _option("--max-parallel-requests", field="max_parallel_requests", read=_whole, metavar="N", help="At once."),
    _option("--max-budget", field="max_budget", metavar="DOLLARS", help="What it may spend."),
    _option("--budget-duration", field="budget_duration", metavar="30d",
            help="When that begins anew; never without it. 30s 5m 2h 1d 7d 1mo."),
)  # fmt: skip
_MORE_LIMITS = (
    _option("--budget", field="budget_limits", read=_windows, multiple=True, metavar="10/1d",
            help="One more budget: dollars, and when it begins anew. May be given again."),
    _option("--soft-budget", field="soft_budget", metavar="DOLLARS", help="`show` says when it is over that."),
    _option("--model-rpm-limit", field="model_rpm_limit", read=_counts, multiple=True, metavar="MODEL=N",
            help="Requests a minute for one model."),
    _option("--model-tpm-limit", field="model_tpm_limit", read=_counts, multiple=True, metavar="MODEL=N",
            help="Tokens a minute for one model."),
    _option("--model-max-budget", field="model_max_budget", read=_budgets_of_models, multiple=True,
            metavar="MODEL=10/1d", help="A budget for one model."),
    _option("--budget-id", field="budget_id", metavar="ID", help="Limits that are not set here are those of it."),
    _option("--metadata", field="metadata", read=_metadata, metavar="JSON", help="What you want to remember with it."),
    _flag("shadow", "shadow", "Over its limits is told, and not refused."),
)  # fmt: skip

KEY = (
    _option("--alias", field="key_alias", metavar="NAME", help="What people call it."),
    *_LIMITS,
    _option("--duration", field="duration", metavar="30d", help="How long from now it is valid; for ever without it."),
    _option("--team", field="team_id", metavar="TEAM", help="The team that it counts for, too: alias or id."),
    _option("--user", field="user_id", metavar="ID", help="The user that it counts for, too."),
    _option("--tags", field="tags", read=_several, multiple=True, metavar="NAMES", help="To find its usage by."),
    *_MORE_LIMITS,
    _option("--allowed-routes", field="allowed_routes", read=_several, multiple=True, metavar="ROUTES",
            help="Paths, or LiteLLM's groups such as llm_api_routes."),
    _option("--key-type", field="key_type", metavar="TYPE", help="llm_api, management, read_only or default."),
    _flag("admin", "admin", "It may use the management API."),
    _option("--weight", field="weight", read=_weight, metavar="N", help="Its share where requests wait. 1 without it."),
)  # fmt: skip

TEAM = (
    *_LIMITS,
    *_MORE_LIMITS,
    _option("--member-budget", field="team_member_budget", metavar="DOLLARS", help="Of each member without one."),
    _option("--member-budget-duration", field="team_member_budget_duration", metavar="30d", help="It begins anew."),
    _option("--member-rpm-limit", field="team_member_rpm_limit", read=_whole, metavar="N", help="Of each member."),
    _option("--member-tpm-limit", field="team_member_tpm_limit", read=_whole, metavar="N", help="Of each member."),
)  # fmt: skip

TEAM_ALIAS = (_option("--alias", field="team_alias", metavar="NAME", help="What people call it."),)

MEMBER = (
    _option("--role", field="role", metavar="ROLE", help="user or admin; kept for people, it gives no rights."),
    _option("--max-budget", field="max_budget_in_team", metavar="DOLLARS", help="What they may spend of it."),
    _option("--budget-duration", field="budget_duration", metavar="30d", help="When that begins anew."),
    _option("--models", field="allowed_models", read=_several, multiple=True, metavar="NAMES", help="Held to these."),
    _option("--rpm-limit", field="rpm_limit", read=_whole, metavar="N", help="Requests a minute."),
    _option("--tpm-limit", field="tpm_limit", read=_whole, metavar="N", help="Tokens a minute."),
)  # fmt: skip
