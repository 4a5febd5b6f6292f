"""Every composer beside the agent, in one table."""
