from __future__ import annotations

import inspect
from importlib.util import find_spec
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from toccata.agents.rivals.composer import Composer, RivalError, WithLikelihood, checked_genre
from toccata.agents.rivals.dreaming import piano_dream
from toccata.agents.rivals.fitting.config import FitRivalConfig
from toccata.agents.rivals.registry import RIVALS, Request, load_rival
from toccata.agents.rivals.weights import shipped_folder
from toccata.agents.runs.compose_config import ComposeConfig
from toccata.agents.studies.rivals.config import COMPOSERS
from toccata.music.score import Score
from toccata.weights import WeightsError


def test_every_entry_names_modules_that_are_there() -> None:
    for rival in RIVALS.values():
        for function in filter(None, (rival.loader, rival.fitter)):
            assert find_spec(function.partition(":")[0]) is not None, function


def test_the_lists_of_names_agree() -> None:
    assert set(COMPOSERS) == set(RIVALS)
    described = " ".join(inspect.getsource(ComposeConfig).split())
    assert f"of your own: {', '.join(RIVALS)}." in described
    fitted = {name for name, rival in RIVALS.items() if rival.fitter}
    assert set(get_args(get_type_hints(FitRivalConfig)["rival"])) == fitted


def test_unknown_names_and_folders_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(RivalError, match=r"unknown composer 'markof': it must be .*; did you mean 'markov'"):
        load_rival("markof")
    with pytest.raises(RivalError, match="random: is not fitted, so it takes no folder, got 'x'"):
        load_rival("random:x")
    with pytest.raises(RivalError, match="'markov:': has no folder after the colon; give markov, or markov:FOLDER"):
        load_rival("markov:")
    with pytest.raises(WeightsError, match=r"rival-markov: holds no weights of dcgan; fit them with: toccata"):
        load_rival(f"dcgan:{shipped_folder('markov')}")
    with pytest.raises(WeightsError, match="is of the composer 'wgan-gp', not of dcgan"):
        load_rival(f"dcgan:{shipped_folder('wgan-gp')}")
    with pytest.raises(RivalError, match=r"markov: no such folder of weights: .*; fit them with: toccata fit"):
        load_rival(f"markov:{tmp_path / 'none'}")


def test_genres_are_checked() -> None:
    assert checked_genre("dream", None, ()) is None
    assert checked_genre("markov", "folk", ("folk",)) == "folk"
    with pytest.raises(RivalError, match="dream: composes without genres, got genre 'folk'; leave it out"):
        checked_genre("dream", "folk", ())
    with pytest.raises(RivalError, match=r"markov: unknown genre 'fork': .*; did you mean 'folk'"):
        checked_genre("markov", "fork", ("folk", "jazz"))


@pytest.mark.parametrize("name", RIVALS)
def test_every_composer_keeps_the_promises(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "folk"
    folder.mkdir()
    for number in range(4):  # the embedded corpora take a minute to parse
        score = Score([(12 * i, 12, 60 + (i * i + number) % 12, 80) for i in range(24)], beats_per_bar=3)
        score.to_midi(folder / f"{number}.mid")
    monkeypatch.setattr(piano_dream, "CORPORA", {"folk": tmp_path})
    monkeypatch.setattr(piano_dream, "STEPS", 2)
    monkeypatch.setattr(piano_dream, "REAL_EXCERPTS", 4)
    request = Request(bars=2, beats_per_bar=3, tempo_bpm=100, drafts=2)
    composer = load_rival(name, request)
    assert isinstance(composer, Composer)
    assert composer.name == name
    scores = composer.compose(2, seed=1)
    assert len(scores) == 2
    for score in scores:
        assert (score.length_ticks, score.beats_per_bar, score.tempo_bpm) == (2 * 3 * score.ticks_per_beat, 3, 100)
        assert len(score) > 0 or name in ("dcgan", "wgan-gp")
    assert scores == composer.compose(2, seed=1)
    assert scores[:1] != composer.compose(1, seed=2, genre=next(iter(composer.genres), None))
    with pytest.raises(RivalError, match=name):
        composer.compose(1, genre="polka")
    assert isinstance(composer, WithLikelihood) == (name in ("random", "markov", "lstm", "wavenet", "transformer"))
