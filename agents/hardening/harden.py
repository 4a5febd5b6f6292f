"""`toccata harden`: rounds of attacks on rating and realism, and of fits to what the attacks find."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from toccata.agents.devices import resolve_device
from toccata.agents.hardening.attacks import Reward, agent_pieces, best_of_n, search
from toccata.agents.hardening.config import HardenConfig
from toccata.agents.hardening.report import report
from toccata.agents.runs.builders import excerpt_dataset
from toccata.agents.runs.config import TrainConfig
from toccata.envs.pieces import Pieces
from toccata.envs.reward_model import RewardModel
from toccata.errors import ToccataError
from toccata.files import read_json, whole_folder, write_atomically
from toccata.music.metrics import CORE_METRICS, measure_each
from toccata.music.metrics.sets import diversity
from toccata.music.picture import save_piano_roll
from toccata.music.score import Score
from toccata.reward_models import load_reward
from toccata.reward_models.judges.panel import BAND_SHARE, BITS, GOLD, REALISM, Panel, beside_real, unlike_music
from toccata.reward_models.negatives.play import random_pieces
from toccata.reward_models.negatives.pools import ATTACKS, Pools, random_negatives, read_pools
from toccata.reward_models.rating.fitting.sound_conditions import open_banks
from toccata.reward_models.rating.fitting.support import fit_supports, pool_statistics
from toccata.reward_models.rating.model import RatingModel
from toccata.reward_models.rating.network import RatingMember
from toccata.reward_models.realism.fit import fit_discriminator, held_out_metrics
from toccata.reward_models.realism.model import Realism

REALISM_RATES = 3e-4, 2e-5  # first and last learning rate of the realism in a round
HELD_OUT_SHARE = 4  # a fourth as many held-out pieces as fitted ones
SEARCHED = 32  # pieces of each search
SHOWN = 4  # pieces of each attack whose piano roll is drawn
ROUND_FILE = "round.json"


class HardenError(ToccataError, ValueError):
    """A folder that cannot be hardened in; names it and says why."""


@dataclass(frozen=True)
class Attack:
    """What attacks, and on what.

    Attributes:
        name: of its folder.
        make: pieces, of the folder of its round, the reward that it maximises, and the two models.
        on: names of the models whose sum it maximises.
    """

    name: str
    on: tuple[str, ...]
    make: Callable[[Path, Reward, Realism], list[Score]]


@dataclass(frozen=True)
class Jury:
    """The judges, and what they say of real pieces.

    Attributes:
        panel: the judges.
        real: real pieces.
        values: metrics and judgements of `real`, (n,) by name.
    """

    panel: Panel
    real: Pieces
    values: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, real: Pieces) -> Jury:
        """The judges of Toccata beside some real pieces."""
        panel = Panel.load()
        return cls(panel, real, _judged(real, None, panel))

    def judge(self, pieces: Pieces) -> dict[str, np.ndarray]:
        """Metrics and judgements of pieces beside the real ones, (n,) by name."""
        return _judged(pieces, self.values, self.panel)


@dataclass(frozen=True)
class Models:
    """The models of a round, and the specs that they are loaded by."""

    rating: RatingModel
    realism: Realism
    specs: Mapping[str, str]

    @classmethod
    def load(cls, specs: Mapping[str, str], device: str) -> Models:
        """The models of `specs` on a device.

        Raises:
            RewardSpecError: when there is no such model.
        """
        rating, realism = (load_reward(specs[name], device) for name in ("rating", "realism"))
        assert isinstance(rating, RatingModel) and isinstance(realism, Realism)
        return cls(rating, realism, specs)

    def reward(self, pieces: Pieces, on: Sequence[str]) -> np.ndarray:
        """(n,) sum of the scores of the models `on`."""
        models: dict[str, RewardModel] = {"rating": self.rating, "realism": self.realism}
        return np.sum([models[name].score(pieces) for name in on], axis=0)


def harden(config: HardenConfig, console: Console | None = None) -> dict[str, Any]:
    """Attack and fit again, round after round; what is written is described in `HardenConfig`.

    Returns:
        what rounds.json holds.

    Raises:
        HardenError, ConfigError: for a folder that is something else, or was begun with other settings.
        CorpusError, RewardSpecError, FitRatingError: for music, weights or sound fonts that cannot be read.
    """
    console = console or Console(stderr=True)
    _begin(config)
    device = str(resolve_device(config.device))
    fitted, held_out = _pools(config)
    real = excerpt_dataset(_attacker(config, 0), "test").sample(
        config.samples, np.random.default_rng(config.seed), transpose=False
    )
    jury = Jury.of(Pieces(real))
    found: dict[str, list[Score]] = {}
    rounds: list[dict[str, Any]] = []
    specs = {"rating": config.rating, "realism": config.realism}
    for number in range(1, config.rounds + 2):
        folder, is_last = config.out / f"round-{number}", number > config.rounds
        models = Models.load(specs, device)
        row = read_json(folder / ROUND_FILE) if (folder / ROUND_FILE).is_file() else {"round": number, "fitted": False}
        if "attacks" not in row:
            row["held_out"] = _held_out(models, held_out, config.seed)
            attacks = _attacks(config, number, is_last, models, fitted, console)
            row["attacks"] = {attack.name: _attack(attack, folder, models, jury, console) for attack in attacks}
        for name, scores in _found(row, folder).items():
            found.setdefault(name, []).extend(scores)
        if not is_last:
            if not row["fitted"]:
                _fit(models, fitted, found, config, number, folder)
                row["fitted"] = True
            specs = {name: f"{name}:{(folder / name).resolve()}" for name in specs}
        write_atomically(folder / ROUND_FILE, json.dumps(row, indent=2).encode())
        rounds.append(row)
    for name, model in (("rating", models.rating), ("realism", models.realism)):
        _save(model, config.out / name, {"hardened": config.rounds, "seed": config.seed})
    write_atomically(config.out / "rounds.json", json.dumps(rounds, indent=2).encode())
    write_atomically(config.out / "report.md", report(rounds, config.samples).encode())
    return {"rounds": rounds}


def _pools(config: HardenConfig) -> tuple[Pools, Pools]:
    """Pieces to fit to, and held-out ones, a fourth as many."""

    def read(splits: Sequence[str], share: int) -> Pools:
        return read_pools(
            config.corpus,
            config.fakes,
            splits,
            bars=config.bars,
            per_source=config.per_source // share,
            per_kind=max(config.per_source // 2 // share, 4),
            rng=np.random.default_rng([config.seed, share]),
        )

    return read(("train",), 1), read(("valid", "test"), HELD_OUT_SHARE)


def _begin(config: HardenConfig) -> None:
    """Make the folder, or see that an earlier call began it with these settings."""
    path = config.out / "config.json"
    if path.is_file():
        config.refuse_changes(read_json(path))
    elif config.out.exists() and any(config.out.iterdir()):
        raise HardenError(f"{config.out}: is not empty and was not begun by `toccata harden`; choose another --out")
    config.out.mkdir(parents=True, exist_ok=True)
    write_atomically(path, config.to_json().encode())


def _attacker(config: HardenConfig, number: int, is_last: bool = False, **settings: Any) -> TrainConfig:
    """The settings of an attacking agent in a round; in the last one another policy, twice as long."""
    return TrainConfig(
        policy="lstm" if is_last else "transformer",
        total_timesteps=config.attack_timesteps * (2 if is_last else 1),
        prior_kl_coef=0.0,
        clone_epochs=0,  # they should leave real music anyway
        train_realism=False,
        algorithm="ppo",
        target_kl=0.03,
        on_collapse="ignore",  # what it would warn of is looked for here
        learning_rate=config.learning_rate,
        num_envs=config.num_envs,
        corpus=config.corpus,
        genre=config.genre,
        bars=config.bars,
        seed=config.seed + 100 * number,
        device=config.device,
        logger=("csv",),
        **settings,
    )


def _attacks(
    config: HardenConfig, number: int, is_last: bool, models: Models, pools: Pools, console: Console
) -> list[Attack]:
    """The attacks of a round; some searches start from corruptions of the real pieces of `pools`."""

    def agent(on: Sequence[str], name: str) -> Attack:
        def make(folder: Path, reward: Reward, realism: Realism) -> list[Score]:
            rewards = tuple((models.specs[each], 1.0) for each in on)
            settings = _attacker(config, number, is_last, rewards=rewards, run_dir=folder / f"{name} run")
            return agent_pieces(settings, config.samples, console)

        return Attack(name, tuple(on), make)

    seed = config.seed + 100 * number
    both = ("rating", "realism")

    def sampled(count: int, n: int) -> Callable[[Path, Reward, Realism], list[Score]]:
        return lambda folder, reward, realism: best_of_n(reward, count, n, config.bars, config.genre, seed)

    def searched(starts: Callable[[Reward], Sequence[Score]]) -> Callable[[Path, Reward, Realism], list[Score]]:
        return lambda folder, reward, realism: search(
            reward, realism, starts(reward), config.search_steps, np.random.default_rng(seed)
        )

    def of_prior(reward: Reward) -> list[Score]:
        return best_of_n(reward, SEARCHED, max(config.best_of // SEARCHED, 1), config.bars, config.genre, seed + 50)

    def of_chance(reward: Reward) -> list[Score]:
        rng = np.random.default_rng(seed + 60)
        played = random_pieces(SEARCHED // 2, config.bars, rng)
        real = [piece for pieces in pools.real.values() for piece in pieces]
        return played + random_negatives(real, SEARCHED - len(played), rng)

    return [
        agent(("rating",), "agent on rating"),
        agent(("realism",), "agent on realism"),
        agent(both, "agent on both"),
        Attack(f"best of {config.best_of}", both, sampled(max(config.samples // 16, 1), config.best_of)),
        Attack("search from the prior", both, searched(of_prior)),
        Attack("search from noise", both, searched(of_chance)),
        Attack("search on realism", ("realism",), searched(of_chance)),
    ]


def _attack(attack: Attack, folder: Path, models: Models, jury: Jury, console: Console) -> dict[str, Any]:
    """Attack, write the pieces into `folder` / name, and say how they are rewarded and judged."""
    console.print(f"[bold]{folder.name}[/bold]: {attack.name}")
    place = folder / attack.name
    reward = partial(models.reward, on=attack.on)
    if not place.is_dir():
        made = attack.make(folder, reward, models.realism)
        with whole_folder(place) as part:
            for index, score in enumerate(made):
                score.to_midi(part / f"{index:03d}.mid")
                if index < SHOWN:
                    save_piano_roll(score, part / f"{index:03d}.png", title=f"{folder.name}, {attack.name}")
    scores = [Score.from_midi(path) for path in sorted(place.glob("*.mid"))]
    pieces = Pieces(scores)
    rewards, of_music = reward(pieces), reward(jury.real)
    values = jury.judge(pieces)
    no_music = unlike_music(values, jury.values)
    return {
        "reward": float(rewards.mean()),
        "real": float(np.median(of_music)),
        "rating": float(models.rating.score(pieces).mean()),
        "realism": float(models.realism.score(pieces).mean()),
        "judges": {name: float(values[name].mean()) for name in (BITS, BAND_SHARE, GOLD, REALISM)},
        "diversity": float(np.mean(diversity(pieces.own))),
        "pieces": len(scores),
        "unlike_music": int(no_music.sum()),
        "found": np.flatnonzero(no_music & (rewards >= np.median(of_music))).tolist(),
    }


def _found(row: Mapping[str, Any], folder: Path) -> dict[str, list[Score]]:
    """What each attack of a round found, where it found anything."""
    return {
        name: [Score.from_midi(folder / name / f"{index:03d}.mid") for index in attack["found"]]
        for name, attack in row["attacks"].items()
        if attack["found"]
    }


def _judged(pieces: Pieces, real: Mapping[str, np.ndarray] | None, panel: Panel) -> dict[str, np.ndarray]:
    """Metrics and judgements of pieces beside real ones; `real` is None for those."""
    values = measure_each(pieces.own, CORE_METRICS) | panel.judge(pieces)
    return values | beside_real(values, values if real is None else real)


def _held_out(models: Models, pools: Pools, seed: int) -> dict[str, Any]:
    """How the models of a round tell held-out real music from negatives."""
    of_realism = held_out_metrics(models.realism, pools, np.random.default_rng(seed))
    rating = {name: float(models.rating.score(Pieces(pieces)).mean()) for name, pieces in pools.real.items()}
    rating |= {
        kind: float(models.rating.score(Pieces(pieces)).mean()) for _, kind, pieces in pools.kinds() if len(pieces)
    }
    return {"auc": of_realism["auc"], "realism": of_realism["mean_reward"], "rating": rating}


def _fit(
    models: Models, pools: Pools, found: Mapping[str, list[Score]], config: HardenConfig, number: int, folder: Path
) -> None:
    """Fit both models to the pools and to what attacks found, and write their weights into `folder`."""
    rng = np.random.default_rng([config.seed, number])
    with_found = Pools(pools.real, {**pools.fakes, **({ATTACKS: found} if found else {})})
    realism = models.realism
    if config.realism_steps:
        realism = Realism.load(_folder_of(models.specs["realism"]))
        fit_discriminator(
            with_found, config.realism_steps, config.seed + number, start=realism, learning_rates=REALISM_RATES
        )
    _save(realism, folder / "realism", {"round": number})
    rating = RatingModel.load(_folder_of(models.specs["rating"]))
    members = [member for member in rating.network if isinstance(member, RatingMember)]
    statistics = pool_statistics(members, with_found, open_banks(config.sound_fonts), rng)
    fit_supports(members, *statistics, config.seed + number)
    rating.config = replace(rating.config, support=True)
    _save(rating, folder / "rating", {"round": number})


def _folder_of(spec: str) -> Path | None:
    """The folder of `rating:FOLDER`; None for the shipped weights."""
    folder = spec.partition(":")[2]
    return Path(folder) if folder else None


def _save(model: Any, folder: Path, notes: Mapping[str, Any]) -> None:
    """Write weights so that they appear whole."""
    with whole_folder(folder, "replace") as part:
        model.save(part, training=False, notes=notes) if isinstance(model, Realism) else model.save(part, notes)
