"""Fits to votes on pairs."""

import numpy as np
import pytest
import torch

from toccata.reward_models.preferences import Pair
from toccata.reward_models.rating.fitting.config import FitRatingError
from toccata.reward_models.rating.fitting.fit import main
from toccata.reward_models.rating.fitting.pairs import Votes, bradley_terry_loss, held_out_votes
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
    main(short_fit(tmp_path / "data", tmp_path / "b"))
    assert RatingModel.load(tmp_path / "b").weights_hash() == RatingModel.load(tmp_path / "a").weights_hash()


def test_votes_and_likes_are_fitted_together(small_network, short_fit, write_manifest, midi_rows, fit_facts, tmp_path):
    data = write_manifest(tmp_path / "data", midi_rows(tmp_path / "data", 12)[:11])
    main(short_fit(data, tmp_path / "likes"))
    write_votes(data, 12)
    main(short_fit(data, tmp_path / "both"))
    main(short_fit(data, tmp_path / "ignored", pair_weight=0.0))
    facts = fit_facts(tmp_path / "both")
    assert facts["pieces"] == 12 and facts["votes"] == 22
    assert set(facts["held_out"]) == {"agreement", "votes", "calibration", "noise_ceiling"}
    assert {result["pieces"] for result in facts["held_out"]["agreement"].values()} == {11}
    likes, both, ignored = (RatingModel.load(tmp_path / name).weights_hash() for name in ("likes", "both", "ignored"))
    assert len({likes, both, ignored}) == 3  # the twelfth piece has features that the others' statistics depend on


def test_votes_without_a_weight_are_no_data(small_network, short_fit, midi_rows, tmp_path):
    midi_rows(tmp_path / "data", 12)
    write_votes(tmp_path / "data", 12)
    with pytest.raises(FitRatingError, match="no plays and likes, and no votes on pairs with a weight above 0"):
        main(short_fit(tmp_path / "data", tmp_path / "a", pair_weight=0.0))


def test_likes_without_a_spread_leave_it_to_the_votes(
    small_network, short_fit, write_manifest, midi_rows, fit_facts, tmp_path
):
    data = write_manifest(tmp_path / "data", [(name, 10, 0) for name, *_ in midi_rows(tmp_path / "data", 12)])
    write_votes(data, 12)
    main(short_fit(data, tmp_path / "a", folds=0))
    assert fit_facts(tmp_path / "a")["p_mean"] is None
