"""PPO with rewards for whole pieces."""
