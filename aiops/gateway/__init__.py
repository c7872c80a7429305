"""What runs inside the gateway process: the master, its workers, and the extension around LiteLLM."""
