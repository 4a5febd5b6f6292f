"""How much a rating depends on the piano: `python benchmarks/sound_fonts.py FONT [FONT ...] [--weights FOLDER]`.

Every piece is rendered by the default sound font and by each FONT, and rated as a recording. Printed are the rank
correlation of the scores and the mean difference between any two sound fonts, for the first two bars of 300 folk tunes,
for the skylines of 100 chorales, which is what the reward hears of them, and for these chorales in four parts; the
scores of ten of the last by the default and the last sound font; and the mean absolute change of the score at 12 dB
more and less. Takes about ten minutes for six fonts on one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from toccata.music.corpus.loading import load_corpus
from toccata.music.score import Score
from toccata.music.skyline import skyline
from toccata.music.sound.bank import NoteBank
from toccata.music.sound.spectrogram import SAMPLE_RATE
from toccata.reward_models.rating.model import RatingModel
from toccata.stats import spearman

MELODIES, CHORALES = 300, 100
BARS = 8  # of each chorale
MIN_NOTES = 8  # of a melody, as in the fit of the shipped rating
EXAMPLES = 10
TWELVE_DB = 10 ** (12 / 20)


def scores_of(model: RatingModel, scores: Sequence[Score], bank: NoteBank, gain: float = 1.0) -> np.ndarray:
    """(n,) scores of pieces rendered by a bank."""
    return np.array([model.score_audio(np.float32(gain) * bank.render_one(score)) for score in scores])


def table(title: str, names: Sequence[str], scores: np.ndarray) -> str:
    """Rank correlations above the diagonal, mean differences (row minus column) below it; of (fonts, n) scores."""
    rows = [f"| {title} | {' | '.join(names)} |", f"|---|{len(names) * '---|'}"]
    for i, name in enumerate(names):
        cells = [
            f"{scores[i].mean():.2f}"
            if i == j
            else f"{spearman(scores[i], scores[j]):.3f}"
            if i < j
            else f"{np.mean(scores[i] - scores[j]):+.2f}"
            for j in range(len(names))
        ]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows)


def melodies_and_chorales() -> tuple[list[Score], list[Score]]:
    """The first two bars of folk tunes, and the first `BARS` of chorales."""
    tunes = [tune.slice(0, 2 * tune.ticks_per_bar) for tune in load_corpus("ryan").scores]
    tunes = [tune for tune in tunes if len(tune) >= MIN_NOTES]
    chorales = [chorale.slice(0, BARS * chorale.ticks_per_bar) for chorale in load_corpus("bach").scores]
    return tunes[:: len(tunes) // MELODIES][:MELODIES], chorales[:: len(chorales) // CHORALES][:CHORALES]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fonts", nargs="+", type=Path, help="sound fonts, SF2 or SF3 files")
    parser.add_argument("--weights", type=Path, help="folder of a rating, by default that of Toccata")
    arguments = parser.parse_args()
    model = RatingModel.load(arguments.weights)
    banks = [NoteBank(SAMPLE_RATE), *(NoteBank(SAMPLE_RATE, path) for path in arguments.fonts)]
    names = [bank.soundfont.stem for bank in banks]
    tunes, chorales = melodies_and_chorales()
    skylines = [skyline(chorale) for chorale in chorales]
    for title, scores in (("melodies", tunes), ("skylines of chorales", skylines), ("chorales", chorales)):
        rated = np.array([scores_of(model, scores, bank) for bank in banks])
        print(f"{table(f'{len(scores)} {title}', names, rated)}\n")
    print(f"| chorale | {names[0]} | {names[-1]} |\n|---|---|---|")
    for number in range(EXAMPLES):
        print(f"| {number + 1} | {rated[0, number]:.2f} | {rated[-1, number]:.2f} |")
    plain = scores_of(model, tunes, banks[0])
    for name, gain in (("+12 dB", TWELVE_DB), ("-12 dB", 1 / TWELVE_DB)):
        print(f"\n{name}: mean absolute change {np.abs(scores_of(model, tunes, banks[0], gain) - plain).mean():.3f}")


if __name__ == "__main__":
    main()
