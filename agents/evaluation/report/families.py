"""What the rows of a table are: family, unit, which direction is better, and a line of description."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from toccata.music.metrics import METRICS

FAMILIES = ("rewards", "judges", "pitch", "harmony", "rhythm", "texture", "structure", "dynamics", "diversity", "other")
TITLES = {"diversity": "diversity and originality"}
TOTAL = "reward/total"
HIGHER, LOWER, LIKE_REAL = "higher is better", "lower is better", "like real"


@dataclass(frozen=True)
class Row:
    """A metric, as it stands in a table.

    Attributes:
        family: one of `FAMILIES`.
        unit: empty for shares and for what has none.
        better: `HIGHER`, `LOWER`, `LIKE_REAL`, or empty where neither is better.
        description: a line.
    """

    family: str
    unit: str = ""
    better: str = LIKE_REAL
    description: str = ""


_KNOWN = {
    TOTAL: Row("rewards", "", HIGHER, "Sum of the weighted rewards that training maximised."),
    "kl/nats_per_piece": Row("rewards", "nats", "", "KL of the agent from the reference policy, summed over a piece."),
    "score/rating": Row("rewards", "SD", HIGHER, "Predicted popularity, as it was paid."),
    "score/realism": Row("rewards", "log-odds", HIGHER, "The discriminator that the agent was trained against."),
    "sibling_rating": Row("judges", "SD", HIGHER, "Rating by a member of the paid ensemble that rewards no agent."),
    "judge/bits": Row("judges", "bits an action", LIKE_REAL, "Surprise of a sequence model that pays no agent."),
    "judge/atypicality": Row(
        "judges", "widths of the range", LOWER, "Distance of the bits to the range of real music."
    ),
    "judge/band_share": Row("judges", "", HIGHER, "Share of the metrics inside the 5 to 95 % range of real music."),
    "judge/rating": Row("judges", "SD", HIGHER, "Gold rating: popularity predicted from the notes."),
    "judge/realism": Row("judges", "log-odds", HIGHER, "Held-out realism: that a person wrote it, from the notes."),
    "playability": Row("texture", "", HIGHER),
    "polyphony": Row("texture", "notes"),
    "note_density": Row("rhythm", "notes a beat"),
    "pitch_class_entropy": Row("pitch", "bits"),
    "pitch_range": Row("pitch", "semitones"),
    "diversity": Row("diversity", "", HIGHER, "Mean distance of a piece to the others of its composer, by bigrams."),
    "longest_passage": Row(
        "diversity", "notes", LIKE_REAL, "Notes of the longest passage that a training work has too, in any key."
    ),
    "shared_ngram_share": Row(
        "diversity", "", LIKE_REAL, "Share of the eight-note n-grams of the melody that training works have."
    ),
    "originality_score": Row(
        "diversity", "", LIKE_REAL, "One minus the largest share of notes that coincide with a training work."
    ),
    "frechet_distance": Row(
        "diversity", "", LOWER, "Fréchet distance of the embeddings from real music; of real from other real music."
    ),
    "different_bins": Row("diversity", "", LOWER, "Share of k-means bins in which the set differs from real music."),
    "overlapping_area": Row("diversity", "", HIGHER, "Common area with the densities of real music, over features."),
    "kl_divergence": Row("diversity", "nats", LOWER, "KL divergence from the densities of real music, over features."),
    "self_bleu": Row("diversity", "", LIKE_REAL, "BLEU of each piece with the others as references; 1: all are equal."),
    "inception_score": Row("diversity", "genres", "", "From the genres that the prior finds in the pieces."),
    "vendi_score": Row("diversity", "pieces", HIGHER, "Effective number of different pieces, from the same distance."),
}
_FAMILY = {  # of metrics without a row above that are not in the registry
    "diversity": "longest_passage shared_ngram_share originality_score self_bleu inception_score "
    "frechet_distance different_bins overlapping_area kl_divergence",
}
_FAMILY_OF = {name: family for family, names in _FAMILY.items() for name in names.split()}
_PREFIXES = {"reward/": "rewards", "score/": "rewards", "judge/": "judges"}


def row_of(metric: str) -> Row:
    """The row of a metric; of an unknown one the family is that of its prefix, else "other"."""
    registered = METRICS.get(metric)
    family = next((each for prefix, each in _PREFIXES.items() if metric.startswith(prefix)), None)
    family = family or _FAMILY_OF.get(metric) or getattr(registered, "family", "other")
    default = Row(family if family in FAMILIES else "other", better=HIGHER if family == "rewards" else LIKE_REAL)
    known = _KNOWN.get(metric, default)
    lines = (getattr(registered, "function", registered).__doc__ or "").strip().splitlines() if registered else []
    return Row(
        known.family,
        known.unit or getattr(registered, "unit", ""),
        known.better,
        known.description or (lines[0] if lines else ""),
    )


def by_family(metrics: Iterable[str]) -> dict[str, list[str]]:
    """The metrics by title of their family, families in order; the total reward is first in its own."""
    families: dict[str, list[str]] = {family: [] for family in FAMILIES}
    for metric in sorted(metrics, key=lambda name: name != TOTAL):
        families[row_of(metric).family].append(metric)
    return {TITLES.get(family, family): each for family, each in families.items() if each}


def spoken(metric: str) -> str:
    """The name of a metric in a sentence or a table."""
    return metric.replace("_", " ")
