"""An AI proxy for Cloudflare Workers."""

__version__ = "0.1.0"
