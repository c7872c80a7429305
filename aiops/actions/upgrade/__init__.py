"""Another LiteLLM, or another image, in the gateway that runs."""
