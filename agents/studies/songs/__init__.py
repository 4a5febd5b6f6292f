"""Songs for poems, measured beside random play and real songs."""
