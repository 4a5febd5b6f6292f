from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.songs import song
from toccata.envs.pieces import Piece, Pieces
from toccata.envs.reward_model import RewardModelError, RewardSpecError, contributions
from toccata.music.songs.corpus import corpus_songs
from toccata.music.songs.prosody import sung_syllables
from toccata.reward_models import load_reward, parse_rewards
from toccata.reward_models.lyrics.agreement import LyricAgreement, linear
from toccata.reward_models.lyrics.features import COUNT, NOTE_FEATURES, SYLLABLE_FEATURES, note_features, products
from toccata.reward_models.lyrics.fit_agreement import ORDERS, fit, is_held_out, reordered
from toccata.reward_models.lyrics.reward import WEIGHTS, LyricsReward


def trochees() -> Piece:
    score, underlay = song("A-b C-d E-f G", [60, 64, 67, 72, 67, 64, 60], [1, 1, 1, 1, 1, 1, 4])
    return Piece(score, lyrics=underlay.lyrics)


def test_the_terms_add_up_to_the_score_and_have_names() -> None:
    reward = LyricsReward.load()
    pieces = Pieces([trochees(), Piece(trochees().score)])
    terms = contributions(reward, pieces)
    assert set(terms) == set(WEIGHTS)
    np.testing.assert_allclose(sum(terms.values()), reward.score(pieces), atol=1e-6)
    assert reward.score(pieces)[0] > 0.5


def test_weights_of_terms_are_arguments() -> None:
    only = load_reward("lyrics(stress_on_beats=2, stress_on_length=0, line_end_degree=0, line_end_length=0, "
                       "phrase_arch=0, lyric_agreement=0)")  # fmt: skip
    np.testing.assert_array_equal(
        only.score(Pieces([trochees()])), load_reward("stress_on_beats").score(Pieces([trochees()]))
    )
    with pytest.raises(RewardSpecError, match=r"unknown term 'stress': there are stress_on_beats"):
        load_reward("lyrics(stress=1)")
    with pytest.raises(RewardSpecError, match="phrase_arch must be a weight in"):
        load_reward("lyrics(phrase_arch=-1)")
    with pytest.raises(RewardSpecError, match="at least one term"):
        LyricsReward(LyricAgreement(linear()), **dict.fromkeys(WEIGHTS, 0.0))


def test_it_works_in_a_weighted_sum() -> None:
    total = parse_rewards([("lyrics", 2.0), ("silence", 1.0)])
    assert total.score_ranges["lyrics"] == (-1.0, 1.0)
    assert total.contributions(Pieces([trochees()]))["lyrics"][0] > 1


def test_features_do_not_mix_notes_and_words() -> None:
    score, underlay = song("A-b C-d / e F", [60, 64, 67, 72, 67, 64], [1, 1, 1, 2, 1, 1], rest_after=[3])
    sung = sung_syllables(score, underlay)
    other = reordered(sung, "syllables shuffled", np.random.default_rng(0))
    np.testing.assert_array_equal(note_features(sung), note_features(other))
    assert note_features(sung).shape == (6, len(NOTE_FEATURES))
    assert products(np.ones((6, len(NOTE_FEATURES))), np.ones((6, len(SYLLABLE_FEATURES)))).shape == (6, COUNT)
    named = dict(zip(NOTE_FEATURES, note_features(sung)[3], strict=True))
    assert (named["weight"], named["length"], named["step_up"]) == (0.5, 1.0, 5 / 3.5)


@pytest.mark.parametrize("name", ORDERS)
def test_orders_keep_the_syllables(name: str) -> None:
    score, underlay = song("A-b-c d / e F-g h i", [60] * 9, [1] * 9)
    sung = sung_syllables(score, underlay)
    other = reordered(sung, name, np.random.default_rng(1))
    assert sorted(other.stress) == sorted(sung.stress)
    assert other.line_ends.sum() == 2
    if name == "words shuffled in their lines":
        np.testing.assert_array_equal(other.line_ends, sung.line_ends)


def test_a_fit_learns_what_agrees() -> None:
    songs = []
    for seed in range(6):
        pitches = np.random.default_rng(seed).integers(60, 72, 16).tolist()
        songs.append(sung_syllables(*song("A b C d E f G / h I j K l M n", pitches[:14], [1, 1, 1, 1, 1, 1, 3] * 2)))
    model = fit(songs, 0)
    swapped = replace(songs[0], stress=1 - songs[0].stress)
    assert model.agreement(songs[0]) > 0 > model.agreement(swapped)


def test_the_gain_is_0_on_average_over_all_orders_of_the_syllables() -> None:
    score, underlay = song("A-b C d", [60, 67, 64, 72], [1, 0.5, 2, 1])
    sung = sung_syllables(score, underlay)
    model = LyricAgreement.load()
    gains = []
    for order in map(list, permutations(range(4))):
        names = ("stress", "word_begins", "word_ends")
        gains.append(model.gain(replace(sung, **{name: getattr(sung, name)[order] for name in names})))
    assert np.mean(gains) == pytest.approx(0, abs=1e-12)
    assert np.std(gains) > 0.1


def test_the_weights_that_come_with_toccata_know_songs_kept_out() -> None:
    found = corpus_songs(["bach/bwv269", "liliuokalani/aloha_oe"])
    assert is_held_out(found[1])
    model = LyricAgreement.load()
    rng = np.random.default_rng(0)
    for each in found:
        sung = sung_syllables(each.score, each.underlay)
        others = [model.agreement(reordered(sung, "words shuffled", rng)) for _ in range(10)]
        assert model.agreement(sung) > max(others)


def test_weights_are_saved_and_read_back(tmp_path: Path) -> None:
    model = LyricAgreement(linear(torch.linspace(-1, 1, COUNT, dtype=torch.float64), 0.5), {"songs": 3})
    model.save(tmp_path / "weights")
    read = LyricAgreement.load(tmp_path / "weights")
    assert read.weights_hash() == model.weights_hash()
    assert read.about == {"songs": 3}
    spec = f"lyric_agreement:{tmp_path / 'weights'}"
    np.testing.assert_array_equal(load_reward(spec).score(Pieces([trochees()])), model.score(Pieces([trochees()])))
    (tmp_path / "weights" / "agreement.safetensors").write_bytes(b"broken")
    with pytest.raises(RewardModelError, match=r"agreement\.safetensors"):
        load_reward(spec)
