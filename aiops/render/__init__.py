"""Desired state to release: one file per artefact. Pure, and the same input gives the same bytes."""
