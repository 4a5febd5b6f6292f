"""Examples: each runs as it stands, and the tests run them."""
