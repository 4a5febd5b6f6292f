"""The realism discriminator: human-written against agent-written pieces."""
