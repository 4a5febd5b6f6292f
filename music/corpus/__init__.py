"""Corpora of real music: loading, caching, and splits by work."""

from toccata.music.corpus.loading import ALIASES, NAMED, load_corpus
from toccata.music.corpus.works import Corpus, CorpusError, CorpusWarning, GenreError, Work

__all__ = ["ALIASES", "NAMED", "Corpus", "CorpusError", "CorpusWarning", "GenreError", "Work", "load_corpus"]
