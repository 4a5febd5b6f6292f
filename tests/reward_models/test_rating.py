"""The rating model: its score and terms, what it remembers, frozen weights, files, and the weights that are shipped."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import toccata.reward_models.rating.model as rating_module
from toccata.envs.pieces import Pieces
from toccata.envs.reward_model import RewardModel, checked
from toccata.music.score import Score
from toccata.music.sound.bank import note_bank
from toccata.music.sound.spectrogram import N_MELS
from toccata.reward_models.rating.audio_windows import score_window_mels, score_windows
from toccata.reward_models.rating.fitting.augmentation import repeated
from toccata.reward_models.rating.fitting.report import agreement_table, calibration_table
from toccata.reward_models.rating.fitting.sanity_probes import melody, ratings, sanity_probes, together
from toccata.reward_models.rating.fitting.synthetic import negative, random_melody
from toccata.reward_models.rating.model import (
    BATCH,
    RATING_LIMIT,
    SHIPPED,
    RatingModel,
)
from toccata.weights import CONFIG_FILE, WeightsError

TUNE = melody("C4 C4 G4 G4 A4 A4 G4:2 F4 F4 E4 E4 D4 D4 C4:2")


def tunes(count, seed=0, bars=2):
    rng = np.random.default_rng(seed)
    return [random_melody(rng, bars) for _ in range(count)]


def biased(model, *biases):
    """The model with members that judge everything alike."""
    with torch.no_grad():
        for member, bias in zip(model.network, biases, strict=True):
            member.head.layers[-1].weight.fill_(0)
            member.head.layers[-1].bias.fill_(bias)
    return model


class Asked:
    """Counts the windows that members are asked about."""

    def __init__(self, model, monkeypatch):
        self.windows = 0
        judge = model.rate_windows

        def counted(log_mel, valid, which=None):
            self.windows += len(log_mel)
            return judge(log_mel, valid, which)

        monkeypatch.setattr(model, "rate_windows", counted)

    def since(self):
        windows, self.windows = self.windows, 0
        return windows


# Score and terms


def test_score_is_mean_less_pessimism_times_std(small_rating):
    model = biased(small_rating(pessimism=0.5), 1.0, 2.0, 100.0)
    terms = model.diagnostics(Pieces([TUNE, Score()]))
    np.testing.assert_allclose(terms["mean"], 1.5)
    np.testing.assert_allclose(terms["std"], 0.5)
    score = model.score(Pieces([TUNE, Score()]))
    np.testing.assert_allclose(score, 1.25)
    assert score.dtype == np.float32


@pytest.mark.parametrize(("biases", "limit"), [((90.0, 100.0, 0.0), 4.0), ((-90.0, -100.0, 0.0), -4.0)])
def test_score_and_gold_keep_within_the_limit(small_rating, biases, limit):
    model = biased(small_rating(), *biases)
    assert limit in (RATING_LIMIT, -RATING_LIMIT)
    assert model.score(Pieces([TUNE])) == limit
    assert model.score_audio(note_bank().render_one(TUNE)) == limit
    assert abs(model.diagnostics(Pieces([TUNE]))["mean"][0]) == 95  # the terms are as the members say
    assert biased(model, 0, 0, biases[0]).gold(Pieces([Score()])) == limit


def test_the_gold_rater_rewards_nobody(small_rating):
    model = small_rating()
    pieces = Pieces(tunes(3))
    members, gold = model.member_ratings(pieces), model.gold(pieces)
    assert members.shape == (3, 2) and gold.shape == (3,) and gold.dtype == np.float32
    assert not np.isclose(members, gold[:, None], atol=1e-4).any()
    score = model.score(pieces)
    torch.manual_seed(99)
    for parameter in model.network[-1].parameters():
        parameter.copy_(torch.randn_like(parameter))
    another = RatingModel(model.network, model.config)
    np.testing.assert_array_equal(another.member_ratings(pieces), members)
    np.testing.assert_array_equal(another.score(pieces), score)
    assert (another.gold(pieces) != gold).all()


@pytest.mark.parametrize("members", [1, 2])
def test_fewer_than_three_have_no_gold_rater(small_rating, members):
    model = small_rating(members=members)
    assert model.member_ratings(Pieces([TUNE])).shape == (1, members)
    with pytest.raises(WeightsError, match=f"at least 3 members, got {members}"):
        model.gold(Pieces([TUNE]))


def test_one_member_alone_is_never_in_doubt(small_rating):
    model = small_rating(members=1)
    np.testing.assert_array_equal(model.score(Pieces([TUNE])), model.diagnostics(Pieces([TUNE]))["mean"])
    assert model.diagnostics(Pieces([TUNE]))["std"] == 0


def test_a_member_judges_a_piece_by_the_mean_of_its_windows(small_rating):
    model = small_rating()
    score = tunes(1, bars=9)[0]
    judged = model.rate_windows(*score_window_mels(score_windows(score)))
    assert len(judged) >= 4 and judged.shape[1] == 3
    np.testing.assert_allclose(model.member_ratings(Pieces([score]))[0], judged.mean(0)[:2], atol=1e-6)
    np.testing.assert_allclose(model.gold(Pieces([score]))[0], judged.mean(0)[2], atol=1e-6)


def test_no_pieces_have_no_scores(small_rating):
    model = small_rating()
    assert model.score(Pieces([])).shape == (0,) and model.gold(Pieces([])).shape == (0,)
    assert model.member_ratings(Pieces([])).shape == (0, 2)


@pytest.mark.parametrize("bars", [1, 2, 5, 12])
def test_a_recording_of_a_piece_has_its_score(small_rating, bars):
    model = small_rating()
    for score in tunes(2, bars, bars):
        alone = model.score(Pieces([score]))[0]
        close = 1e-4 if bars <= 2 else 5e-3  # windows of a recording do not ring out, but go on
        assert model.score_audio(note_bank().render_one(score)) == pytest.approx(alone, abs=close)


@pytest.mark.parametrize("audio", [np.zeros((2, 100)), np.zeros(()), np.array([0.0, np.nan]), np.array([np.inf])])
def test_what_is_no_recording_is_an_error(small_rating, audio):
    with pytest.raises(ValueError, match=r"\(samples,\)|finite"):
        small_rating().score_audio(audio)


@pytest.mark.parametrize("samples", [0, 1, 100, 16_000])
def test_recordings_of_any_length_have_a_score(small_rating, samples):
    assert np.isfinite(small_rating().score_audio(np.full(samples, 0.1)))


@pytest.mark.parametrize("shape", [(1, 64, 160), (N_MELS, 160), (1, 160, N_MELS)])
def test_another_number_of_mels_is_an_error(small_rating, shape):
    with pytest.raises(ValueError, match=rf"\(n, {N_MELS}, frames\)"):
        small_rating().rate_windows(np.zeros(shape, np.float32), np.array([10]))


@pytest.mark.parametrize("valid", [0, -1, 11, 161])
def test_frames_beyond_the_window_are_an_error(small_rating, valid):
    frames = 10 if valid == 11 else 320
    with pytest.raises(ValueError, match=f"valid must be in 1..{min(frames, 160)}"):
        small_rating().rate_windows(np.zeros((1, N_MELS, frames), np.float32), np.array([valid]))


# What is remembered


def test_nothing_is_heard_twice(small_rating, monkeypatch):
    model = small_rating()
    asked = Asked(model, monkeypatch)
    first = model.score(Pieces(tunes(3)))
    assert asked.since() == 3  # two bars are one window
    np.testing.assert_array_equal(model.score(Pieces(tunes(3))), first)
    np.testing.assert_array_equal(model.score(Pieces([*tunes(3), *tunes(3)[::-1]])), [*first, *first[::-1]])
    model.diagnostics(Pieces(tunes(3)))
    assert asked.since() == 0
    model.gold(Pieces(tunes(3)))  # another member, who has heard nothing yet
    assert asked.since() == 3
    model.gold(Pieces(tunes(3)))
    assert asked.since() == 0


def test_a_piece_many_times_in_a_batch_is_heard_once(small_rating, monkeypatch):
    model = small_rating()
    asked = Asked(model, monkeypatch)
    scores = model.score(Pieces([TUNE] * 40))
    assert asked.since() == len(score_windows(TUNE))
    assert (scores == scores[0]).all()
    model.score(Pieces([repeated(tunes(1)[0], 20)]))
    assert asked.since() <= 3


def test_only_what_is_new_in_a_growing_piece_is_heard(small_rating, monkeypatch):
    model = small_rating()
    asked = Asked(model, monkeypatch)
    pitches = np.random.default_rng(0).integers(60, 80, 120)
    whole = Score([(24 * beat, 24, pitch, 80) for beat, pitch in enumerate(pitches)])  # 30 bars, none alike
    heard = []
    for bars in range(16, 31, 2):
        part = whole.slice(0, 96 * bars)
        grown = model.score(Pieces([part]))
        heard.append(asked.since())
        np.testing.assert_array_equal(RatingModel(model.network, model.config).score(Pieces([part])), grown)
    assert heard[0] == len(score_windows(whole.slice(0, 96 * 16))) == 8
    assert max(heard[1:]) <= 2


def test_the_oldest_is_forgotten_and_heard_again(small_rating, monkeypatch):
    monkeypatch.setattr(rating_module, "CACHED_WINDOWS", 5)
    model = small_rating()
    asked = Asked(model, monkeypatch)
    first = model.score(Pieces(tunes(12)))  # more than are remembered
    assert asked.since() == 12
    np.testing.assert_array_equal(model.score(Pieces(tunes(12)[-5:])), first[-5:])
    assert asked.since() == 0
    np.testing.assert_array_equal(model.score(Pieces(tunes(12)[:5])), first[:5])
    assert asked.since() == 5


def test_a_score_never_depends_on_what_else_was_judged(small_rating):
    rng = np.random.default_rng(5)
    pieces = [*tunes(8, 1), *tunes(2, 2, bars=7), *(negative(rng) for _ in range(8)), Score()]
    model = small_rating()
    alone = np.concatenate(
        [RatingModel(model.network, model.config).member_ratings(Pieces([piece])) for piece in pieces]
    )
    for _ in range(4):
        some = rng.permutation(len(pieces))[: rng.integers(1, len(pieces))]
        fresh = RatingModel(model.network, model.config)
        np.testing.assert_array_equal(fresh.member_ratings(Pieces([pieces[i] for i in some])), alone[some])
        np.testing.assert_array_equal(model.member_ratings(Pieces([pieces[i] for i in some])), alone[some])


def test_members_are_always_asked_about_as_many_windows(small_rating, monkeypatch):
    model = small_rating()
    shapes = set()
    for member in model.network:
        forward = member.forward
        monkeypatch.setattr(
            member, "forward", lambda mel, valid, forward=forward: (shapes.add(mel.shape), forward(mel, valid))[1]
        )
    model.score(Pieces(tunes(11)))
    model.score(Pieces([TUNE]))
    assert shapes == {(BATCH, N_MELS, 160)} and BATCH == 8


# Frozen


def test_the_network_is_frozen(small_rating):
    torch.manual_seed(0)
    model = small_rating()
    model.network.train().requires_grad_(True)
    model = RatingModel(model.network, model.config)
    before = model.weights_hash()
    model.score(Pieces([TUNE]))
    model.gold(Pieces([TUNE]))
    assert model.weights_hash() == before
    assert not any(module.training for module in model.network.modules())
    assert not any(parameter.requires_grad for parameter in model.network.parameters())


def test_training_against_it_changes_no_weight(small_rating):
    from toccata.agents.policies.feedforward_policy import PianoPolicy
    from toccata.agents.ppo.composer_ppo import ComposerPPO
    from toccata.agents.vec_env import PianoVecEnv

    model = small_rating()
    before = model.weights_hash()
    env = PianoVecEnv(2, bars=1, max_steps=12)
    agent = ComposerPPO(PianoPolicy, env, reward_model=model, n_steps=24, batch_size=16, n_epochs=1, device="cpu")
    policy = [parameter.clone() for parameter in agent.policy.parameters()]
    agent.learn(48)
    assert any(not torch.equal(a, b) for a, b in zip(policy, agent.policy.parameters(), strict=True))
    assert len(model._cache[range(2)]) > 0
    assert model.weights_hash() == before
    assert all(parameter.grad is None for parameter in model.network.parameters())


def test_another_weight_is_another_hash(small_rating):
    assert small_rating(0).weights_hash() == small_rating(0).weights_hash()
    assert small_rating(0).weights_hash() != small_rating(1).weights_hash()
    model, before = small_rating(0), small_rating(0).weights_hash()
    with torch.no_grad():
        model.network[2].mel_scale[5] += 1e-3
    assert model.weights_hash() != before


# Files


def test_saved_and_loaded_are_equal(small_rating, tmp_path):
    model = small_rating(members=4, pessimism=0.25)
    model.save(tmp_path / "a" / "b", {"pieces": 3})
    again = RatingModel.load(str(tmp_path / "a" / "b"))
    assert again.weights_hash() == model.weights_hash()
    assert again.config == model.config
    np.testing.assert_array_equal(again.score(Pieces(tunes(3))), model.score(Pieces(tunes(3))))
    config = json.loads((tmp_path / "a" / "b" / CONFIG_FILE).read_text())
    assert config["fit"] == {"pieces": 3} and config["weights_sha256"] == model.weights_hash()


def network(**changes):
    shape = {"bins": 4, "channels": 8, "sound_channels": 4, "hidden": 8, **changes}
    return json.dumps({"network": shape, "weights_sha256": 64 * "0"}).encode()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param(CONFIG_FILE, None, id="no config"),
        pytest.param("rating.safetensors", None, id="no weights"),
        pytest.param(CONFIG_FILE, b"{", id="no json"),
        pytest.param(CONFIG_FILE, b"[]", id="a list"),
        pytest.param(CONFIG_FILE, b"[" * 100_000, id="too deep"),
        pytest.param(CONFIG_FILE, b"\xff\xfe", id="no text"),
        pytest.param(CONFIG_FILE, b'{"network": null}', id="null"),
        pytest.param(CONFIG_FILE, network(depth=3), id="an unknown field"),
        pytest.param(CONFIG_FILE, network(hidden=0), id="zero"),
        pytest.param(CONFIG_FILE, network(hidden="8"), id="text"),
        pytest.param(CONFIG_FILE, network(hidden=8.5), id="no whole number"),
        pytest.param(CONFIG_FILE, network(pessimism="much"), id="no number"),
        pytest.param(CONFIG_FILE, network(hidden=9), id="another shape"),
        pytest.param(CONFIG_FILE, network(members=2), id="another number of members"),
        pytest.param(CONFIG_FILE, network(mels=64), id="other spectrograms"),
        pytest.param(CONFIG_FILE, network(), id="the hash of other weights"),
        pytest.param("rating.safetensors", b"not weights", id="no weights in the file"),
        pytest.param("rating.safetensors", b"", id="an empty file"),
    ],
)
def test_a_broken_folder_is_one_clear_error(small_rating, tmp_path, name, content):
    small_rating().save(tmp_path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=str(tmp_path)) as error:
        RatingModel.load(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(small_rating, tmp_path, bad):
    model = small_rating()
    with torch.no_grad():
        model.network[1].transcriber.first.bias[0] = bad
    model.save(tmp_path)
    with pytest.raises(WeightsError, match="not finite"):
        RatingModel.load(tmp_path)


# The shipped weights


@pytest.fixture(scope="module")
def shipped():
    return RatingModel.load()


@pytest.fixture(scope="module")
def extreme_ratings(shipped):
    pieces = sanity_probes()
    return dict(zip(pieces, ratings(shipped, list(pieces.values())), strict=True))


def test_shipped_weights_are_those_of_their_config(shipped):
    config = json.loads((SHIPPED / CONFIG_FILE).read_text())
    assert shipped.weights_hash() == config["weights_sha256"]
    assert isinstance(shipped, RewardModel)
    assert shipped.name == "rating"
    assert shipped.config.members == 3 and shipped.config.mels == N_MELS


def test_the_card_says_what_the_fit_found():
    facts = json.loads((SHIPPED / CONFIG_FILE).read_text())["fit"]
    card = (SHIPPED / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert agreement_table(facts) in card and calibration_table(facts) in card
    assert all(str(figure["held_f1"]) in card and str(figure["struck_f1"]) in card for figure in facts["hearing"])
    assert facts["held_out"]["agreement"]["mean"]["rank_correlation"] > 0.45


def test_shipped_weights_are_small():
    assert (SHIPPED / "rating.safetensors").stat().st_size < 6.5e6
    assert (SHIPPED / "MODEL_CARD.md").is_file()


@pytest.mark.parametrize(
    "score",
    [
        pytest.param(Score(), id="no length"),
        pytest.param(Score(length_ticks=96), id="silence"),
        pytest.param(Score([(0, 1, 21, 1)]), id="one soft short note"),
        pytest.param(Score([(0, 9_999, 127, 127)]), id="one long note above the piano"),
        pytest.param(Score([(0, 3, p, 127) for p in range(128)], tempo_bpm=600), id="all keys, fast"),
        pytest.param(replace(TUNE, tempo_bpm=4), id="very slow"),
    ],
)
def test_degenerate_pieces_have_finite_scores(shipped, score):
    assert np.abs(checked(shipped, Pieces([score]))).max() <= RATING_LIMIT
    assert np.isfinite(shipped.gold(Pieces([score]))).all()


@pytest.mark.parametrize("real", ["Twinkle Twinkle, melody", "Ode to Joy, melody", "chorale in four parts"])
def test_noise_and_walls_do_not_outrank_music(extreme_ratings, real):
    for name in (
        "random keys, 400 notes",
        "random keys, 2000 notes",
        "wall of all 88 keys",
        "one note, repeated",
        "one note",
        "silence",
        "white noise",
    ):
        assert extreme_ratings[name] < extreme_ratings[real] - 0.5, name


def test_an_accompaniment_keeps_a_melody_above_noise(shipped, extreme_ratings):
    bass = melody("C3:4 F2:2 C3:2 F2:2 C3:2 G2:2 C3:2")
    score = shipped.score(Pieces([together(TUNE, bass)]))[0]
    assert score > extreme_ratings["random keys, 400 notes"] + 0.5


def test_shipped_members_hear_each_for_themselves(shipped):
    first, *others = (member.transcriber.first.weight for member in shipped.network)
    assert not any(torch.equal(first, other) for other in others)


def test_the_gold_rater_agrees_on_what_is_music(shipped):
    pieces = sanity_probes()
    good = Pieces([pieces["Twinkle Twinkle, melody"], pieces["Ode to Joy, melody"]])
    bad = Pieces([pieces["silence"], pieces["wall of all 88 keys"], pieces["one note"]])
    assert shipped.gold(good).min() > shipped.gold(bad).max()
