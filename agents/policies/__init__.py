"""Policies: action distribution, networks, and the Stable-Baselines3 policies made of them."""
