"""What a Durable Object keeps of requests."""
