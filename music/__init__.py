"""What any musician's program needs: scores, files, sound, metrics, pictures. Nothing of RL, no torch."""

from toccata.music.score import NOTE_DTYPE, TICKS_PER_BEAT, Score

__all__ = ["NOTE_DTYPE", "TICKS_PER_BEAT", "Score"]
