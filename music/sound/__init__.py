"""Sound: FluidSynth, the bank of note recordings, audio files, log-mel spectrograms."""
