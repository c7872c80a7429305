"""The name that stored generations have for `aiops.gateway.worker.auth`: a rollback serves their very bytes."""

from aiops.gateway.worker.auth import authenticate

__all__ = ["authenticate"]
