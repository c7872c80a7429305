"""YAML as operators write it: read, and cut into without touching the rest."""
