"""Fits to votes on pairs."""

import numpy as np
import pytest
import torch
from rich.console import Console

from toccata.envs.pieces import Pieces
from toccata.reward_models.preferences import Pair, read_preferences
from toccata.reward_models.rating.fitting.config import FitRatingError
from toccata.reward_models.rating.fitting.fit import fit, main
from toccata.reward_models.rating.fitting.pairs import Votes, bradley_terry_loss, held_out_votes
from toccata.reward_models.rating.fitting.sanity_probes import parse_melody
from toccata.reward_models.rating.model import RatingModel

VOTES = Votes.of([Pair(0, 2, 1.0), Pair(2, 4, 0.5), Pair(4, 5, 0.0), Pair(1, 0, 0.0)], kept=[0, 2, 4, 5])


def test_votes_on_pieces_that_were_not_kept_are_dropped():
    assert list(zip(VOTES.first, VOTES.second, VOTES.share, strict=True)) == [(0, 1, 1.0), (1, 2, 0.5), (2, 3, 0.0)]
    assert len(Votes.of([], [0, 1])) == 0 and not Votes.of([], []).pieces.size


def test_votes_are_divided_by_their_pieces():
    assert VOTES.among(np.array([0, 1, 2])).share.tolist() == [1.0, 0.5]
    assert VOTES.among(np.arange(4), touching=np.array([3])).share.tolist() == [0.0]


def test_pieces_without_votes_have_no_strength():
    strengths = VOTES.strengths(6)
    assert np.isnan(strengths[4:]).all()
    assert strengths[0] > strengths[1] and strengths[3] > strengths[2]


def test_the_loss_is_the_negative_log_likelihood():
    first, second = torch.tensor([1.0, 0.0, 2.0]), torch.tensor([0.0, 0.0, 1.0])
    loss = bradley_terry_loss(first, second, torch.tensor([1.0, 0.5, 0.0]), 2.0)
    sigmoid = 1 / (1 + np.exp(-2.0))
    assert loss.item() == pytest.approx(-(np.log(sigmoid) + np.log(0.5) + np.log(1 - sigmoid)) / 3)


def test_ratings_in_the_order_of_the_votes_predict_all_of_them():
    pairs = [Pair(i, j, float(i > j)) for i in range(12) for j in range(12) if i != j]
    votes = Votes.of([*pairs, Pair(0, 1, 0.5)], range(12))
    results = held_out_votes(votes, np.arange(12.0), 12)
    assert (results["accuracy"], results["votes"], results["pieces"]) == (1.0, len(pairs), 12)
    assert results["rank_correlation"] == pytest.approx(1)
    assert held_out_votes(votes, -np.arange(12.0), 12)["accuracy"] == 0
    assert held_out_votes(votes, np.zeros(12), 12)["accuracy"] == 0.5


def test_of_few_votes_nothing_is_said():
    results = held_out_votes(Votes.of([Pair(0, 1, 0.5)], [0, 1]), np.zeros(2), 2)
    assert results["accuracy"] is None and results["rank_correlation"] is None and results["votes"] == 0


def write_votes(folder, count):
    """Each piece was preferred to the one before it."""
    rows = [f"{later}.mid,{later - 1}.mid,first" for later in range(1, count)] * 2
    (folder / "pairs.csv").write_text("\n".join(["first,second,choice", *rows]) + "\n")


def test_votes_alone_become_a_reward(small_network, short_fit, midi_rows, fit_facts, tmp_path, capsys):
    midi_rows(tmp_path / "data", 12)
    write_votes(tmp_path / "data", 12)
    main(short_fit(tmp_path / "data", tmp_path / "a"))
    printed = capsys.readouterr().out
    assert "12 pieces in 12 groups; left out: none. 22 votes on pairs. Without plays and likes" in printed
    assert "## Held-out votes" in printed and "## Calibration" not in printed
    facts = fit_facts(tmp_path / "a")
    assert facts["p_mean"] is None and facts["votes"] == 22
    assert set(facts["held_out"]) == {"agreement", "votes"}
    assert np.isfinite(RatingModel.load(tmp_path / "a").score(Pieces([parse_melody("C4 D4 E4 F4")]))).all()


def test_votes_and_likes_are_fitted_together(small_network, short_fit, write_manifest, midi_rows, tmp_path):
    data = write_manifest(tmp_path / "data", midi_rows(tmp_path / "data", 12)[:11])
    write_votes(data, 12)
    table = read_preferences(data)
    both, facts, (curve, *_), _ = fit(short_fit(data), table, Console(quiet=True))
    assert facts["pieces"] == 12 and facts["votes"] == 22
    assert set(facts["held_out"]) == {"agreement", "votes", "calibration", "noise_ceiling"}
    assert {result["pieces"] for result in facts["held_out"]["agreement"].values()} == {11}
    assert set(curve[0]) == {"train_mse", "valid_mse", "train_pairs", "valid_pairs"}
    ignored, _, (curve, *_), _ = fit(short_fit(data, folds=0, pair_weight=0.0), table, Console(quiet=True))
    assert set(curve[0]) == {"train_mse", "valid_mse"}
    weights = [model.network[0].head.layers[0].weight for model in (both, ignored)]
    assert not torch.equal(*weights)


def test_votes_without_a_weight_are_no_data(small_network, short_fit, midi_rows, tmp_path):
    midi_rows(tmp_path / "data", 12)
    write_votes(tmp_path / "data", 12)
    with pytest.raises(FitRatingError, match="no plays and likes, and no votes on pairs with a weight above 0"):
        main(short_fit(tmp_path / "data", tmp_path / "a", pair_weight=0.0))


def test_likes_without_a_spread_leave_it_to_the_votes(small_network, short_fit, write_manifest, midi_rows, tmp_path):
    data = write_manifest(tmp_path / "data", [(name, 10, 0) for name, *_ in midi_rows(tmp_path / "data", 12)])
    write_votes(data, 12)
    _, facts, (curve, *_), _ = fit(short_fit(data, folds=0), read_preferences(data), Console(quiet=True))
    assert facts["p_mean"] is None and np.isnan(curve[0]["train_mse"]) and np.isfinite(curve[0]["train_pairs"])
