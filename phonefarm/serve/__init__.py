"""The HTTP room: auth, validation, batching, routes. It runs without Ray; ``deployment`` wraps it for Serve."""
