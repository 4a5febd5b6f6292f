"""Songs: words with their notes. How they fit each other, files that show them, and the songs of music21's corpus."""
