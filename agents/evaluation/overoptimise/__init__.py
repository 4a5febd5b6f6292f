"""The over-optimisation study: reward and judges of runs against their KL, beside best-of-n and the exact optimum."""
