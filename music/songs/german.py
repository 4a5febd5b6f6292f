"""Word stress of German by rule, for songs whose syllables are known."""

from __future__ import annotations

from collections.abc import Sequence

# Prefixes that are never stressed. Source: Wiese 1996, "The Phonology of German", section 8.2.
PREFIXES = ("be", "ge", "er", "ver", "zer", "ent", "emp")
# Monosyllables that carry no stress in a sentence: articles, pronouns, prepositions, conjunctions, auxiliaries,
# particles.
WORDS = """
der die das des dem den ein eins ich du er sie es wir ihr mich mir dich dir ihn ihm uns euch sich man mein dein sein
in im ins an am ans auf aus bei beim mit nach von vom vor zu zum zur um für durch bis ob auch und daß dass wenn als wie
so da doch denn noch nur nun weil wo bin bist ist sind war hat hab hast wird will soll kann darf muß muss laß lass ja o
ach zwar wer was dies selbst
"""
UNSTRESSED = frozenset(WORDS.split())


def german_stress(syllables: Sequence[str]) -> list[int]:
    """The stress of each syllable of a German word: 1 for one of them at most, 0 for the others.

    The first syllable, or the second after an unstressed prefix; the last but one of a verb in -ieren; none of a word
    of one syllable from `UNSTRESSED`. Secondary stresses of compounds are left out, and loans are often wrong.

    Args:
        syllables: of the word, in any case, with punctuation or without.
    """
    parts = ["".join(filter(str.isalpha, each)).lower() for each in syllables]
    stress = [0] * len(parts)
    if len(parts) == 1:
        stress[0] = int(bool(parts[0]) and parts[0] not in UNSTRESSED)
    elif len(parts) > 2 and (parts[-2] + parts[-1]).endswith("ieren"):
        stress[-2] = 1
    elif parts:
        stress[int(parts[0] in PREFIXES)] = 1
    return stress
