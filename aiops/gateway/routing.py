"""The name that stored generations have for `aiops.gateway.worker.routing`: a rollback serves their very bytes."""

from aiops.gateway.worker.routing import instance, usage

__all__ = ["instance", "usage"]
