"""What stands before LiteLLM on the public port. Plain ASGI; nothing here imports LiteLLM."""
