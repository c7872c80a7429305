"""Taking away what aiops made."""
