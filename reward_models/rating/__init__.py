"""The rating network: log-mel spectrograms in, predicted popularity out."""
