"""Training runs: configuration, run folder, training, evaluation, composing."""
