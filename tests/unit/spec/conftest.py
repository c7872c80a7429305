from tests.unit.spec.recorder import litellm, recorder

__all__ = ["litellm", "recorder"]
