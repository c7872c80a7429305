"""Which deployment is asked over which lane: directly, or by way of LiteLLM."""
