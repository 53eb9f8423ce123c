"""Personal data and secrets in what callers and models write: found, masked, put back, kept."""
