"""The settings of every command: types, limits and names, from Python code and from JSON files."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from toccata.agents.evaluation.config import (
    EVALUATE_RANGES,
    METRICS_RANGES,
    CompareConfig,
    EvaluateConfig,
    MetricsConfig,
)
from toccata.agents.evaluation.overoptimise import config as overoptimise_config
from toccata.agents.evaluation.overoptimise.config import OveroptimiseConfig
from toccata.agents.hardening import config as harden_config
from toccata.agents.hardening.config import HardenConfig
from toccata.agents.prior.fitting import fit_config
from toccata.agents.prior.fitting.fit_config import FitPriorConfig
from toccata.agents.rivals.dreaming import config as dream_config
from toccata.agents.rivals.dreaming.config import DreamConfig
from toccata.agents.rivals.fitting import config as fit_rival_config
from toccata.agents.rivals.fitting.config import FitRivalConfig
from toccata.agents.runs import compose_config
from toccata.agents.runs.compose_config import ComposeConfig
from toccata.agents.runs.config import TRAIN_RANGES, TrainConfig
from toccata.agents.sharing import config as sharing_config
from toccata.agents.sharing.config import PullConfig, PushConfig
from toccata.agents.studies.genres import config as study_genres_config
from toccata.agents.studies.genres.config import StudyGenresConfig
from toccata.agents.studies.rivals import config as study_rivals_config
from toccata.agents.studies.rivals.config import StudyRivalsConfig
from toccata.agents.studies.songs import config as study_songs_config
from toccata.agents.studies.songs.config import StudySongsConfig
from toccata.envs import core
from toccata.listening import config as listen_config
from toccata.listening.config import ListenConfig
from toccata.listening.results import config as listen_results_config
from toccata.listening.results.config import ListenResultsConfig
from toccata.reward_models.rating.fitting import config as rating_config
from toccata.reward_models.rating.fitting.config import FitRatingConfig
from toccata.settings.options import MAX_BARS, ConfigError, Range, refuse_empty, shown

CONFIGS: list[tuple[type, dict[str, Any], dict[str, Range]]] = [
    (TrainConfig, {}, TRAIN_RANGES),
    (EvaluateConfig, {"folder": Path("run")}, EVALUATE_RANGES),
    (CompareConfig, {"runs": (Path("run"), Path("other"))}, {}),
    (MetricsConfig, {"files": (Path("music"),)}, METRICS_RANGES),
    (OveroptimiseConfig, {"runs": (Path("run"),), "out": Path("out")}, overoptimise_config.RANGES),
    (ComposeConfig, {}, compose_config.RANGES),
    (DreamConfig, {}, dream_config.RANGES),
    (FitPriorConfig, {"out": Path("out")}, fit_config.RANGES),
    (HardenConfig, {"out": Path("out")}, harden_config.RANGES),
    (FitRivalConfig, {"rival": "markov", "out": Path("out")}, fit_rival_config.RANGES),
    (StudyRivalsConfig, {"out": Path("out")}, study_rivals_config.RANGES),
    (StudyGenresConfig, {"out": Path("out")}, study_genres_config.RANGES),
    (StudySongsConfig, {"out": Path("out")}, study_songs_config.RANGES),
    (ListenResultsConfig, {"database": Path("listening.sqlite")}, listen_results_config.RANGES),
    (ListenConfig, {"folders": ("pieces",)}, listen_config.RANGES),
    (PushConfig, {"folder": Path("run"), "repo": "me/run"}, sharing_config.PUSH_RANGES),
    (PullConfig, {"source": "me/run"}, {}),
    (FitRatingConfig, {"data": Path("data"), "out": Path("out")}, rating_config.RANGES),
]
WRONG = [True, "8", 10**30, -(10**30), 10**400, float("nan"), float("inf"), [8], {}, None, b"8", 1j, "\ud800"]
NUMBERS = [
    pytest.param(kind, given, name, id=f"{kind.__name__}-{name}") for kind, given, ranges in CONFIGS for name in ranges
]
NAMES = [
    pytest.param(kind, given, field.name, id=f"{kind.__name__}-{field.name}")
    for kind, given, _ in CONFIGS
    for field in fields(kind)
    if str(get_type_hints(kind)[field.name]).find("Path") >= 0 or "str" in str(field.type)
]


@pytest.mark.parametrize("kind", CONFIGS, ids=lambda each: each[0].__name__)
def test_every_number_has_a_range_with_both_ends(kind: tuple[type, dict[str, Any], dict[str, Range]]) -> None:
    config_type, _, ranges = kind
    hints = get_type_hints(config_type)
    numbers = {
        name for name, hint in hints.items() if re.search(r"\b(int|float)\b", str(hint)) and "tuple" not in str(hint)
    }
    assert numbers == set(ranges)
    assert all(abs(end) < float("inf") for each in ranges.values() for end in (each.low, each.high))


def test_the_longest_pieces_are_those_of_an_environment() -> None:
    assert all(ranges["bars"].high == MAX_BARS for ranges in (TRAIN_RANGES, compose_config.RANGES, EVALUATE_RANGES))
    assert TRAIN_RANGES["beats_per_bar"].high == core.MAX_TICKS_PER_BAR // 24


@pytest.mark.parametrize(("kind", "given", "name"), NUMBERS)
def test_what_is_no_number_in_its_range_is_named(kind: type, given: dict[str, Any], name: str) -> None:
    optional = "None" in str(get_type_hints(kind)[name])
    for value in WRONG:
        if value is None and optional:
            continue
        with pytest.raises(ConfigError, match=rf"^{name} must be a .*number, .*, got ") as caught:
            kind(**{**given, name: value})
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 400


@pytest.mark.parametrize(("kind", "given", "name"), NAMES)
def test_what_is_no_name_is_refused(kind: type, given: dict[str, Any], name: str) -> None:
    hint = str(get_type_hints(kind)[name])
    wrong: list[Any] = [3, True, {}, b"x", ["x"]]
    texts = ["a\0b", "x" * 256, "é" * 128, "x/" * 3000]
    wrong += [Path(text) if "Path" in hint else text for text in texts]
    wrong += [] if "Path" in hint else ["", " "]
    for value in wrong:
        if "Literal" in hint and not isinstance(value, str):
            continue
        for entry in [value, (value,), ((value, 1.0),)] if "tuple" in hint else [value]:
            if name == "rewards" and entry == ["x"]:
                continue  # a name, with weight 1
            with pytest.raises(ConfigError, match=name) as caught:
                kind(**{**given, name: entry})
            assert "\n" not in str(caught.value)


def test_products_of_sizes_have_limits_too() -> None:
    for settings, message in (
        ({"num_envs": 65_536, "n_steps": 2**20}, r"num_envs \* n_steps must be at most 67,108,864"),
        ({"num_envs": 65_536, "bars": 10_000}, r"num_envs \* bars must be at most 16,777,216"),
        ({"bars": 10_000, "tempo_bpm": 4.0}, "bars must make a piece of at most 6 hours"),
    ):
        with pytest.raises(ConfigError, match=message):
            TrainConfig(**settings)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"pieces \* bars must be at most"):
        ComposeConfig(pieces=10_000, bars=10_000)
    with pytest.raises(ConfigError, match=r"layers \* width \* width must be at most"):
        FitPriorConfig(Path("out"), width=16_000, layers=200)
    TrainConfig(num_envs=65_536, n_steps=1024, bars=256, batch_size=65_536)  # a large machine


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"bars": "8"}', "bars must be a whole number, at least 1 and at most 10,000, got '8'"),
        (b'{"bars": 8.5}', "bars must be a whole number"),
        (b'{"bars": true}', "bars must be a whole number"),
        (b'{"bars": null}', "bars must be a whole number"),
        (b'{"bars": 1e400}', "bars must be a whole number"),
        (b'{"bars": ' + b"9" * 5000 + b"}", "not a readable JSON file"),
        (b'{"bars": ' + b"9" * 4000 + b"}", "bars must be a whole number"),
        (b'{"bars": 8, "bars": 9}', "two members are called 'bars'"),
        (b'{"learning_rate": "fast"}', "learning_rate must be a number"),
        (b'{"train_realism": "no"}', "train_realism must be true or false, got 'no'"),
        (b'{"train_realism": 1}', "train_realism must be true or false, got 1"),
        (b'{"device": 3}', "device must be text, got 3"),
        (b'{"device": ""}', "device must not be empty"),
        (b'{"device": "a\\u0000b"}', "device must have no null character"),
        (b'{"prior": ["x"]}', "prior must be text"),
        (b'{"corpus": [["x"]]}', "an entry of corpus must be text"),
        (b'{"corpus": "bach"}', "corpus must be a list, got 'bach'"),
        (b'{"corpus": [' + b",".join([b'"bach"'] * 2000) + b"]}", "corpus must have at most 1,000 entries"),
        (b'{"genre": {}}', "genre must be text, got {}"),
        (b'{"policy": []}', "policy must be text, got []"),
        (b'{"reward_at": true}', "reward_at must be piece or bar"),
        (b'{"rewards": {"silence": 1}}', "there are model, weight and args"),
        (b'{"rewards": [["silence"]]}', "an entry of rewards must be [model, weight] or"),
        (b'{"rewards": [["silence", 1, 2]]}', "an entry of rewards must be [model, weight] or"),
        (b'{"rewards": [[1, "silence"]]}', "an entry of rewards must be [model, weight] or"),
        (b'{"rewards": [["silence", true]]}', "rewards must be a number, got True"),
        (b'{"rewards": [["silence", 1e999]]}', "reward 'silence': its weight must be a number"),
        (b'{"rewards": [["silence", NaN]]}', "reward 'silence': its weight must be a number"),
        (b'{"rewards": []}', "at least one reward model"),
        (b'{"run_dir": "x"}', "run_dir is no setting of a run"),
        (b'{"' + b"x" * 10_000 + b'": 1}', "unknown field 'xxx"),
        (b"[" * 100_000, "not a readable JSON file"),
        (b'{"bars": ' + b"[" * 900 + b"]" * 900 + b"}", "bars must be a whole number"),
        (b'{"corpus": ' + b"[" * 900 + b"]" * 900 + b"}", "an entry of corpus must be text"),
        (b"", "not a readable JSON file"),
        (b"\xff\xfe", "not a readable JSON file"),
        (b"\xef\xbb\xbf{}", "not a readable JSON file: Unexpected UTF-8 BOM"),
        (b"3", "a configuration is an object of settings, got 3"),
        (b" " * (2**20 + 1), "is larger than"),
    ],
    ids=lambda each: repr(each)[:30],
)
def test_a_damaged_configuration_is_one_line_with_file_field_and_value(
    tmp_path: Path, text: bytes, message: str
) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(text)
    with pytest.raises(ConfigError) as caught:
        TrainConfig.from_file(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert message in line
    assert "\n" not in line
    assert len(line) < 1000


def test_settings_that_are_read_again_are_equal(tmp_path: Path) -> None:
    settings = TrainConfig(rewards=(("silence", 1), ("my.lab:R", -0.5)), corpus=("bach", "müsik"), target_kl=None)
    (tmp_path / "config.json").write_text(settings.to_json())
    assert TrainConfig.from_file(tmp_path / "config.json") == settings
    assert json.loads(settings.to_json())["corpus"] == ["bach", "müsik"]


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["--out", ""], "--out"),
        (["--out="], "--out"),
        (["--out= "], "--out"),
        (["--corpus", "bach", ""], "--corpus"),
        (["", "--pieces", "3"], "an argument"),
        (["\t"], "an argument"),
    ],
)
def test_empty_arguments_are_refused(arguments: list[str], option: str) -> None:
    with pytest.raises(ConfigError, match=f"^{option} must not be empty"):
        refuse_empty(arguments)
    refuse_empty(["run", "--out", "a=b", "--rewards", "my:R(x=1)", "1"])


def test_any_value_can_be_shown_in_one_short_line() -> None:
    class Rude:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (deep, "x" * 10**6, "two\nlines", 10**10_000, Rude(), list(range(10**6))):
        assert len(shown(value)) < 500
        assert "\n" not in shown(value)
