"""Preference data: pieces with plays and likes, from the user's own tables and from public data sets."""

from toccata.reward_models.preferences.folds import group_folds
from toccata.reward_models.preferences.pairs import PAIRS_FILE
from toccata.reward_models.preferences.reading import read_preferences
from toccata.reward_models.preferences.table import (
    LeftOut,
    Pair,
    Preference,
    PreferenceError,
    PreferenceTable,
    contour,
    popularity,
)

__all__ = [
    "PAIRS_FILE",
    "LeftOut",
    "Pair",
    "Preference",
    "PreferenceError",
    "PreferenceTable",
    "contour",
    "group_folds",
    "popularity",
    "read_preferences",
]
