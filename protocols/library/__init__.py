"""Protocols that ship with Duchenne, one YAML file each."""
