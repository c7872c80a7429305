"""Members of teams: `aiops teams add-member` and `remove-member`."""
