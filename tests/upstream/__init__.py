"""Fake AI providers over real HTTP, for the tests of the proxy."""

from .server import Upstream

__all__ = ["Upstream"]
