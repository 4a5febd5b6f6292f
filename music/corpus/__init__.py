"""Corpora of real music: loading, caching, and splits by work."""

from toccata.music.corpus.loading import ALIASES, NAMED, load_corpus
from toccata.music.corpus.works import Corpus, CorpusError, CorpusWarning, Work

__all__ = ["ALIASES", "NAMED", "Corpus", "CorpusError", "CorpusWarning", "Work", "load_corpus"]
