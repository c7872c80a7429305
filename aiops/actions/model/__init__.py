"""One model of a provider."""
