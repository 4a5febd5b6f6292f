"""An LSTM over classes of notes and chords, one for each genre."""
