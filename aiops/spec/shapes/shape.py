"""What every typed part of the desired state has in common: frozen, strict, no key that nothing reads.

The modules of shapes do without ``from __future__ import annotations``: of two hundred annotations pydantic would have
to compile and evaluate every one as text, at the start of each verb that reads the files.
"""

from pydantic import BaseModel, ConfigDict
from pydantic.plugin import _loader

# No plugin is to see the files. Looking for some reads the metadata of all that is installed, a tenth of a short verb;
# PYDANTIC_DISABLE_PLUGINS would say the same, to the gateway that a verb starts too.
_loader._plugins = {}


class Shape(BaseModel):
    """The base of the shapes in ``model`` and ``mappings``."""

    # Validators are built when they are first used: of thirty shapes most verbs need five. Defaults are made with
    # `model_construct`, which needs none.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, protected_namespaces=(), defer_build=True)
