"""Fitting a rating network, from the command to the report: what is read, how it is split, what cannot be learnt."""

import json
import math
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch
from rich.console import Console

from toccata.envs.pieces import Pieces
from toccata.music.score import Score
from toccata.music.sound.bank import write_wav
from toccata.reward_models.loading import load_reward
from toccata.reward_models.preferences.reading import (
    Preference,
    PreferenceError,
    PreferenceTable,
    read_preferences,
)
from toccata.reward_models.rating.fitting import agreement
from toccata.reward_models.rating.fitting import fit as fit_rating
from toccata.reward_models.rating.fitting import report as rating_report
from toccata.reward_models.rating.fitting import transcription as transcribing
from toccata.reward_models.rating.fitting.config import FitRatingConfig, FitRatingError
from toccata.reward_models.rating.fitting.data import RatedPieces
from toccata.reward_models.rating.fitting.fit import NEGATIVE_PIECES, NOISES, fit, main
from toccata.reward_models.rating.fitting.held_out import splits
from toccata.reward_models.rating.fitting.sanity_probes import melody, sanity_probes
from toccata.reward_models.rating.fitting.synthetic import random_melody
from toccata.reward_models.rating.model import RatingModel
from toccata.reward_models.rating.network import RatingConfig

MINIMAL = {
    "refit_transcribers": True,
    "synthetic_pieces": 10,
    "transcriber_epochs": 1,
    "copies": 1,
    "epochs": 2,
    "folds": 2,
}
SMALL = {"bins": 4, "channels": 8, "sound_channels": 4, "hidden": 8}


@pytest.fixture
def tiny(monkeypatch):
    """Networks and reports that take no time."""
    few = {name: piece for name, piece in sanity_probes().items() if name in ("silence", "one note")}
    monkeypatch.setattr(fit_rating, "RatingConfig", partial(RatingConfig, **SMALL))
    monkeypatch.setattr(fit_rating, "NEGATIVE_PIECES", 6)
    monkeypatch.setattr(fit_rating, "NOISES", 2)
    monkeypatch.setattr(transcribing, "FRESH_PIECES", 2)
    monkeypatch.setattr(agreement, "RESAMPLES", 10)
    monkeypatch.setattr(rating_report, "sanity_probes", lambda: few)
    monkeypatch.setattr(rating_report, "CHANGED_PIECES", 2)


def tune(seed, least=8):
    rng = np.random.default_rng(seed)
    while True:
        score = random_melody(rng)
        if len(score) >= least and len(set(score.notes["pitch"].tolist())) > 1:
            return score


def manifest(folder, rows, header="file,plays,likes"):
    folder.mkdir(exist_ok=True)
    lines = [header, *(",".join(map(str, row)) for row in rows)]
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def wav_files(folder, count):
    """Recordings, the brighter the more popular."""
    folder.mkdir(exist_ok=True)
    for index in range(count):
        seconds = np.arange(8_000) / 16_000
        write_wav(folder / f"{index}.wav", 0.2 * np.sin(2 * np.pi * (200 + 100 * index) * seconds))
    return [(f"{index}.wav", 1_000, 10 + 20 * index) for index in range(count)]


def midi_files(folder, count):
    folder.mkdir(exist_ok=True)
    for index in range(count):
        tune(index).to_midi(folder / f"{index}.mid")
    return [(f"{index}.mid", 1_000, 10 + 20 * index) for index in range(count)]


def facts_of(folder):
    return json.loads((folder / "config.json").read_text())["fit"]


def table_of(scores, likes, **columns):
    """A table of scores in memory."""
    rows = zip(scores, likes, *columns.values(), strict=True)
    return PreferenceTable(
        tuple(
            Preference(f"row {i}", 1_000, k, score=score, **dict(zip(columns, rest, strict=True)))
            for i, (score, k, *rest) in enumerate(rows)
        )
    )


def quiet():
    return Console(quiet=True)


# The command


def run(*arguments, **options):
    command = [sys.executable, "-m", "toccata", "fit-rating", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def test_the_command_says_what_is_wrong_in_one_line(tmp_path):
    done = run("--data", tmp_path, "--out", "x", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path}: holds no preference data; it can be ")
    assert done.stderr.count("\n") == 1


def test_help_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from toccata.cli import run_command\n"
        "try:\n"
        "    run_command('fit-rating', ['--help'])\n"
        "except SystemExit as end:\n"
        "    assert not end.code\n"
        "heavy = {'torch', 'stable_baselines3', 'scipy', 'music21', 'numba', 'matplotlib.pyplot'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    for field in ("--data", "--out", "--copies", "--refit-transcribers", "--least-notes"):
        assert field in done.stdout


@pytest.mark.parametrize(
    ("option", "wrong"),
    [
        ("folds", 1),
        ("folds", 21),
        ("members", 0),
        ("members", 17),
        ("copies", -1),
        ("epochs", 0),
        ("pessimism", -1.0),
        ("pessimism", math.nan),
        ("seed", -1),
        ("least_notes", 0),
        ("synthetic_pieces", 9),
        ("transcriber_epochs", 0),
    ],
)
def test_options_out_of_range_are_errors(tmp_path, option, wrong):
    with pytest.raises(FitRatingError, match=f"{option} must be"):
        FitRatingConfig(data=tmp_path, out=tmp_path / "out", **{option: wrong})


def test_a_fitted_network_is_not_overwritten(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(FitRatingError, match="already holds"):
        main(FitRatingConfig(data=tmp_path, out=tmp_path))


# From a manifest to a reward


def test_recordings_become_a_reward(tiny, tmp_path, capsys):
    rows = wav_files(tmp_path / "data", 12)
    (tmp_path / "data" / "broken.wav").write_bytes(b"RIFF nothing")
    rows += [("broken.wav", 10, 5), ("missing.wav", 10, 5), ("0.wav", 0, 0), ("1.wav", 10, 20)]
    data = manifest(tmp_path / "data", rows)
    main(FitRatingConfig(data=data, out=tmp_path / "a", **MINIMAL))
    printed = capsys.readouterr()
    assert f"fitted: {tmp_path / 'a'}" in printed.out and f"--rewards rating:{tmp_path / 'a'} 1.0" in printed.out
    assert "12 pieces in 12 groups" in printed.out
    facts = facts_of(tmp_path / "a")
    assert facts["pieces"] == 12
    assert facts["left_out"] == {
        "unreadable file": 1,
        "missing file": 1,
        "no plays": 1,
        "more likes than plays": 1,
    }
    assert set(facts["held_out"]["agreement"]) == {"score", "mean", "gold rater", "all members", "ridge", "constant"}
    assert {figure["pieces"] for figure in facts["held_out"]["agreement"].values()} == {12}
    assert len(facts["held_out"]["calibration"]) == 10
    assert facts["options"]["copies"] == 1 and "data" not in facts["options"]
    assert len(facts["hearing"]) == 3
    for name in ("rating.safetensors", "report.md", "curves.png"):
        assert (tmp_path / "a" / name).stat().st_size > 0
    reward = load_reward(f"rating:{tmp_path / 'a'}")
    assert np.isfinite(reward.score(Pieces([melody("C4 D4 E4 F4"), Score()]))).all()

    main(FitRatingConfig(data=data, out=tmp_path / "b", **MINIMAL))
    assert RatingModel.load(tmp_path / "b").weights_hash() == RatingModel.load(tmp_path / "a").weights_hash()
    assert facts_of(tmp_path / "b") == facts


def test_midi_files_become_a_reward(tiny, tmp_path):
    rows = midi_files(tmp_path / "data", 12)
    melody("C4 D4 E4").to_midi(tmp_path / "data" / "short.mid")
    melody("C4 " * 12).to_midi(tmp_path / "data" / "one.mid")
    (tmp_path / "data" / "broken.mid").write_bytes(b"MThd")
    wide = Score([(24 * i, 24, p, 80) for i, p in enumerate((0, 127) * 5)], tempo_bpm=590)
    wide.to_midi(tmp_path / "data" / "wide.mid")
    rows += [(f"{name}.mid", 100, 50) for name in ("short", "one", "broken", "wide")]
    data = manifest(tmp_path / "data", rows)
    main(FitRatingConfig(data=data, out=tmp_path / "a", **MINIMAL))
    main(FitRatingConfig(data=data, out=tmp_path / "b", **MINIMAL))
    model = RatingModel.load(tmp_path / "a")
    assert model.weights_hash() == RatingModel.load(tmp_path / "b").weights_hash()
    facts = facts_of(tmp_path / "a")
    assert facts["pieces"] == 13
    assert facts["left_out"] == {"fewer than 8 notes": 1, "one key only": 1, "unreadable file": 1}
    assert "What should not change the score" in (tmp_path / "a" / "report.md").read_text()
    assert np.isfinite(model.score(Pieces([tune(99)]))).all()


def test_scores_and_recordings_may_be_mixed(tiny, tmp_path):
    rows = [*wav_files(tmp_path / "data", 6), *midi_files(tmp_path / "data", 6)]
    data = manifest(tmp_path / "data", rows)
    main(FitRatingConfig(data=data, out=tmp_path / "a", **{**MINIMAL, "folds": 0, "members": 2, "copies": 0}))
    facts = facts_of(tmp_path / "a")
    assert facts["pieces"] == 12 and facts["held_out"] == {}
    assert RatingModel.load(tmp_path / "a").config.members == 2
    assert "held out" not in (tmp_path / "a" / "report.md").read_text()


def test_counts_alone_can_be_fitted_on(tiny, tmp_path):
    rows = []
    for index in range(12):
        notes = [[int(p), int(o) // 6, int(o + d) // 6] for o, d, p, _ in tune(index).notes.tolist()]
        counts = {"sessions": 2**index} if index % 2 else {"by_country": {"FR": [2**index, 2**index]}}
        rows.append(json.dumps({"notes": notes, **counts}))
    (tmp_path / "melodies.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    main(FitRatingConfig(data=tmp_path, out=tmp_path / "a", **MINIMAL))
    facts = facts_of(tmp_path / "a")
    assert facts["sources"] == {"worldwide": 6, "countries": 6}
    assert {"mean, worldwide", "mean, countries"} < set(facts["held_out"]["agreement"])
    assert facts["p_mean"] == pytest.approx(np.log(2) * np.mean(range(12)))


# Splits


def rated(splits_of, groups=None):
    n = len(splits_of)
    scores = [tune(0)] * n
    columns = {"split": splits_of} | ({"group": groups} if groups else {"group": [str(i) for i in range(n)]})
    preferences = table_of(scores, range(1, n + 1), **columns).preferences
    return RatedPieces(preferences, tuple(scores), None, np.zeros((n, 1)), np.arange(n, dtype=float))


def config(**options):
    return FitRatingConfig(data=".", out="out", **options)  # type: ignore[arg-type]


def test_the_split_of_the_table_is_kept():
    (part,) = splits(config(), rated(["train", "test", None, "valid", "test"] * 3))
    train, valid, test = (indices.tolist() for indices in part)
    assert train == [0, 2, 5, 7, 10, 12] and valid == [3, 8, 13] and test == [1, 4, 6, 9, 11, 14]


def test_folds_are_of_whole_groups():
    everything = rated([None] * 20, [str(index // 4) for index in range(20)])
    parts = splits(config(folds=3), everything)
    assert len(parts) == 3
    assert sorted(np.concatenate([test for _, _, test in parts]).tolist()) == list(range(20))
    for train, valid, test in parts:
        assert not len(valid) and sorted([*train, *test]) == list(range(20))
        assert not {everything.groups[i] for i in train} & {everything.groups[i] for i in test}


def test_no_more_folds_than_groups():
    assert len(splits(config(folds=5), rated([None] * 12, [str(index % 2) for index in range(12)]))) == 2
    assert splits(config(folds=0), rated([None] * 12)) == []


def test_targets_are_standardised():
    targets = rated([None] * 12).targets()
    assert targets.dtype == torch.float32
    assert float(targets.mean()) == pytest.approx(0, abs=1e-6) and float(targets.std(correction=0)) == pytest.approx(1)


@pytest.mark.parametrize("split_of", [lambda i: "test" if i % 3 == 0 else "valid" if i % 3 == 1 else "train", None])
def test_test_pieces_are_never_fitted_on(tiny, monkeypatch, split_of):
    split = [split_of(i) if split_of else None for i in range(36)]
    table = table_of([tune(i) for i in range(36)], range(1, 37), split=split)
    asked = []
    real = fit_rating.fit_ensemble

    def watched(transcribers, heard, negatives, groups, targets, train, valid, epochs, **options):
        asked.append((set(train.tolist()), set(valid.tolist())))
        return real(transcribers, heard, negatives, groups, targets, train, valid, epochs, **options)

    monkeypatch.setattr(fit_rating, "fit_ensemble", watched)
    _, facts, curves, pieces = fit(config(**{**MINIMAL, "epochs": 1}), table, quiet())
    held_out = facts["held_out"]["agreement"]["mean"]["pieces"]
    if split_of:
        test = {i for i in range(36) if i % 3 == 0}
        assert len(asked) == 2 and held_out == 12
        for train, valid in asked:
            assert not test & (train | valid) and train == {i for i in range(36) if i % 3 == 2}
            assert valid == {i for i in range(36) if i % 3 == 1}
    else:
        *folds, final = asked
        assert len(folds) == 2 and held_out == 36
        assert final == (set(range(36)), set())
        assert folds[0][0] | folds[1][0] == set(range(36)) and not folds[0][0] & folds[1][0]
    assert len(curves) == 3 and all(len(curve) == 1 for curve in curves)
    assert len(pieces.preferences) == 36


# What cannot be learnt


def test_too_few_pieces_are_an_error(tiny, tmp_path):
    data = manifest(tmp_path / "data", midi_files(tmp_path / "data", 9))
    with pytest.raises(FitRatingError, match=r"at least 10 pieces are needed.*there are 9 pieces") as error:
        main(FitRatingConfig(data=data, out=tmp_path / "a", **MINIMAL))
    assert "\n" not in str(error.value)
    assert not (tmp_path / "a").exists()


def test_when_nothing_can_be_read_it_is_an_error(tiny, tmp_path):
    data = manifest(tmp_path / "data", [(f"{index}.wav", 10, 5) for index in range(12)])
    for index in range(12):
        (data / f"{index}.wav").write_bytes(b"no sound")
    with pytest.raises(FitRatingError, match=r"at least 10 pieces.*0 pieces; left out 12: 12 unreadable file"):
        main(FitRatingConfig(data=data, out=tmp_path / "a", **MINIMAL))


def test_no_row_of_use_is_an_error(tmp_path):
    with pytest.raises(PreferenceError, match="nothing to learn from"):
        main(FitRatingConfig(data=manifest(tmp_path / "data", [("a.wav", 0, 0)]), out=tmp_path / "a", **MINIMAL))


@pytest.mark.parametrize("likes", [[1] * 12, [0, 1] * 6, [50] * 12])
def test_pieces_all_as_popular_are_an_error(tiny, likes):
    with pytest.raises(FitRatingError, match="nothing to tell apart"):
        fit(config(**MINIMAL), table_of([tune(i) for i in range(12)], likes), quiet())


def test_a_split_that_leaves_nothing_is_an_error(tiny):
    table = table_of([tune(i) for i in range(20)], range(1, 21), split=["train"] * 9 + ["test"] * 11)
    with pytest.raises(FitRatingError, match="fewer than 10 pieces are left beside its valid and test split"):
        fit(config(**MINIMAL), table, quiet())


def test_pieces_of_a_single_group_can_be_fitted_on(tiny):
    table = table_of([tune(i) for i in range(12)], range(1, 13), group=["one artist"] * 12)
    _, facts, _, _ = fit(config(**MINIMAL), table, quiet())
    assert facts["groups"] == 1


def test_what_nobody_wants_to_hear_is_plenty():
    assert NEGATIVE_PIECES >= 300 and NOISES >= 50


# A world with a known rule


@pytest.mark.slow
def test_the_rule_of_a_small_world_is_found(tiny, monkeypatch, tmp_path):
    """Recordings are liked the better the brighter they are; those held out are ranked rightly."""
    rng = np.random.default_rng(0)
    rows = []
    (tmp_path / "data").mkdir()
    for index, hz in enumerate(rng.permutation(np.geomspace(200, 6_000, 60))):
        seconds = np.arange(8_000) / 16_000
        write_wav(tmp_path / "data" / f"{index}.wav", rng.uniform(0.1, 0.4) * np.sin(2 * np.pi * hz * seconds))
        rows.append((f"{index}.wav", 10_000, int(hz)))
    monkeypatch.setattr(fit_rating, "RatingConfig", partial(RatingConfig, **{**SMALL, "sound_channels": 16}))
    options = config(**{**MINIMAL, "copies": 0, "epochs": 25, "members": 1})
    _, facts, _, _ = fit(options, read_preferences(manifest(tmp_path / "data", rows)), quiet())
    assert facts["held_out"]["agreement"]["mean"]["rank_correlation"] > 0.7


@pytest.mark.slow
def test_shipped_listeners_serve_one_s_own_pieces(tmp_path):
    data = manifest(tmp_path / "data", midi_files(tmp_path / "data", 20))
    main(FitRatingConfig(data=data, out=tmp_path / "a", copies=1, epochs=3, members=4, folds=2))
    shipped, model = RatingModel.load(), RatingModel.load(tmp_path / "a")
    gold = shipped.network[-1].transcriber.first.weight
    assert torch.equal(model.network[-1].transcriber.first.weight, gold)
    assert not any(torch.equal(member.transcriber.first.weight, gold) for member in list(model.network)[:-1])
    assert facts_of(tmp_path / "a")["hearing"] == "the transcribers that come with Toccata"
