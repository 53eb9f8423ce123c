"""Types, errors, settings and Protocols that every room shares; no policy."""
