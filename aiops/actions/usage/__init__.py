"""What was used, and what it cost: `aiops usage`."""
