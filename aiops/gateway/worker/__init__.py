"""What serves one generation: LiteLLM's app, and what aiops adds to it."""
