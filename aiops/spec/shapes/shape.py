"""What every typed part of the desired state has in common: frozen, strict, no key that nothing reads.

The modules of shapes do without ``from __future__ import annotations``: of two hundred annotations pydantic would have
to compile and evaluate every one as text, at the start of each verb that reads the files.
"""

import sys
from types import ModuleType

# No plugin is to see the files. Looking for some reads the metadata of all that is installed, and what is imported for
# that alone is a tenth of a short verb; PYDANTIC_DISABLE_PLUGINS would say the same, to the gateway that a verb starts
# too. pydantic.plugin._loader is imported when the first shape is made, for this function.
_NO_PLUGINS = ModuleType("pydantic.plugin._loader")
_NO_PLUGINS.get_plugins = tuple  # type: ignore[attr-defined]
sys.modules[_NO_PLUGINS.__name__] = _NO_PLUGINS

from pydantic import BaseModel, ConfigDict  # noqa: E402


class Shape(BaseModel):
    """The base of the shapes in ``model`` and ``mappings``."""

    # Validators are built when they are first used: of thirty shapes most verbs need five. Defaults are made with
    # `model_construct`, which needs none.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, protected_namespaces=(), defer_build=True)
