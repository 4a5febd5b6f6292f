"""Training runs: configuration, run folder, training, and `toccata compose`."""
