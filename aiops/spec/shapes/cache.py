"""``cache`` in ``aiops.yaml``."""

from typing import Annotated

from pydantic import Field

from aiops.spec.shapes.shape import Shape


class Cache(Shape):
    """Answers are given again to whoever asks the same with the same key, for ``ttl`` seconds. ``most_bytes``: of all
    that are kept, by all gateways that share them."""

    ttl: Annotated[float, Field(gt=0, le=86400)]
    most_bytes: Annotated[int, Field(ge=1 << 20, le=1 << 40)] = 256 << 20
