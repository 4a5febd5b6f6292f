"""Sound: FluidSynth, the bank of recorded notes, audio files, log-mel spectrograms."""
