"""What every verb is given: where the instance is, and where to speak."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from aiops.output import Output

if TYPE_CHECKING:
    from aiops.host.instance import Instance


class Context:
    """What every verb gets: where the instance is, and where to speak."""

    def __init__(self, home: Path | None, as_json: bool, yes: bool, debug: bool) -> None:
        self.home = home
        self.assume_yes = yes
        self.debug = debug
        self.out = Output(as_json)

    @property
    def instance(self) -> Instance:
        from aiops.host.instance import locate
        from aiops.host.privileges import act_as_owner

        instance = locate(self.home)
        act_as_owner(instance.config)
        return instance
