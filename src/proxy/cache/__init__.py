"""The cache: what a request's key is, what an entry holds, and the tier in the isolate's memory."""
