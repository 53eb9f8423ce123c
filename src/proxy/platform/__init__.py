"""The platform as core.ports wants it."""
