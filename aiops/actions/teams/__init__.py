"""Teams and their members: `aiops teams`."""
