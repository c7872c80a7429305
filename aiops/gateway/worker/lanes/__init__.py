"""How an asked request reaches its provider."""
