"""How a request for a model is answered."""
