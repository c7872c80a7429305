"""Desired state: what the operator wrote, typed and checked. Pure: no clock, disk, network or environment."""
