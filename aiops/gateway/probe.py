"""The name that stored generations have for `aiops.gateway.worker.probe`: a rollback serves their very bytes."""

from aiops.gateway.worker.probe import instance

__all__ = ["instance"]
