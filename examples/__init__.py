"""Examples: each one is run by a test."""
