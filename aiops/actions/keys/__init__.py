"""Keys, as people make and change them: `aiops keys`."""
