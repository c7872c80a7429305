"""The database itself: `aiops database`."""
