"""Generating pieces with a policy, a sequence network, or random legal actions."""
