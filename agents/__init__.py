"""Agents that compose: policies, PPO, behaviour cloning, run folders. Needs torch and Stable-Baselines3."""
