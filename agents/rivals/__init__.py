"""Other ways to compose, which agents are compared with: one interface, `Composer`, and one registry of names."""
