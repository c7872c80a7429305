"""Whether what a key may ask for is served: one that is misspelt is noticed when the key is made."""

from __future__ import annotations

from collections.abc import Iterator

from aiops.actions.instance.snapshot import Snapshot
from aiops.host.instance import Instance
from aiops.spec.suggest import nearest
from aiops.state import rules
from aiops.state.store.rows import Key


def not_served(instance: Instance, row: Key) -> Iterator[str]:
    """A line for each of its models that nothing of the committed generation is called; none before the first."""
    routes = Snapshot(instance).routes
    if routes is None:
        return
    served, led = routes[0].models, [name for name, _ in routes[1].rules]
    for name in row.models or ():
        if name in rules.SPECIAL or any(rules.means(name, model) for model in (*served, *led)):
            continue
        if any(rules.means(rule, name) for rule in led):
            continue
        close = nearest(name, served)
        yield f"! nothing is served as `{name}`" + (f"; did you mean `{close}`?" if close else "")
