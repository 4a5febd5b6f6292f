"""What the model card of a run says: metadata for the Hub, figures, music, rewards and judges, limits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from toccata.agents.prior.fitting.report import markdown_table
from toccata.agents.prior.prior import SHIPPED, SHIPPED_FOLDER
from toccata.agents.runs.builders import run_corpus
from toccata.agents.runs.config import NO_PRIOR, TrainConfig
from toccata.agents.runs.run_folder import MAX_TEXT_BYTES, Run
from toccata.agents.sharing.collecting import short
from toccata.errors import ToccataError
from toccata.files import read_bytes, read_json
from toccata.music.corpus import ALIASES, NAMED, Corpus
from toccata.music.corpus.works import SPLITS
from toccata.reward_models import is_builtin

ENVIRONMENT = "toccata/Piano-v0"
RUN_TAGS = (ENVIRONMENT, "deep-reinforcement-learning", "reinforcement-learning", "stable-baselines3")
SHOWN = ("reward/total", "score/", "sibling_rating", "judge/", "diversity", "originality_score")  # of metrics.json
NOT_SETTINGS = ("rewards", "corpus", "prior", "run_dir")  # have sections of their own


def run_metadata(run: Run, folder: Path, name: str, tags: tuple[str, ...]) -> dict[str, Any]:
    """The metadata of the Hub; the figures as Stable-Baselines3's models have them, in `model-index`."""
    metadata: dict[str, Any] = {
        "tags": [*RUN_TAGS, *tags, f"{run.config.algorithm}", run.config.genre],
        "pipeline_tag": "reinforcement-learning",
    }
    path = folder / "evaluation/metrics.json"
    if not path.is_file():
        return metadata
    agent = read_json(path)["composers"]["agent"]
    rewards = agent["reward/total"]["values"]
    figures = [
        {"type": "mean_reward", "name": "mean_reward", "value": f"{np.mean(rewards):.2f} +/- {np.std(rewards):.2f}"}
    ]
    figures += [
        {"type": metric, "name": metric, "value": round(agent[metric]["mean"], 4)}
        for metric in agent
        if _is_shown(metric) and metric != "reward/total"
    ]
    metadata["model-index"] = [
        {
            "name": name,
            "results": [
                {
                    "task": {"type": "reinforcement-learning", "name": "reinforcement-learning"},
                    "dataset": {"name": ENVIRONMENT, "type": ENVIRONMENT},
                    "metrics": [{**each, "verified": False} for each in figures],
                }
            ],
        }
    ]
    return metadata


def run_sections(run: Run, folder: Path) -> list[str]:
    """The sections of the card between its use and its files."""
    return [_results(folder), _music(run.config), _rewards(folder), _training(run.config, folder), _limits(run.config)]


def _is_shown(metric: str) -> bool:
    return metric.startswith(SHOWN)


def _results(folder: Path) -> str:
    """The table of means with intervals."""
    path = folder / "evaluation/metrics.json"
    if not path.is_file():
        return "## Results\n\nThe agent was not evaluated before it was shared: run `toccata evaluate`."
    metrics = read_json(path)
    composers = metrics["composers"]
    rows = [["", *composers]]
    for metric in filter(_is_shown, composers["agent"]):
        cells = [_estimate(each[metric], 2) for each in composers.values()]
        rows.append([metric.replace("_", " "), *cells])
    count = len(composers["agent"]["reward/total"]["values"])
    kl = metrics.get("kl", {}).get("nats_per_piece")
    line = f" KL from the reference policy: {_estimate(kl, 1)} nats a piece." if kl else ""
    return (
        f"## Results\n\nMeans over {count} pieces of each, in brackets 95 % bootstrap intervals over pieces, by "
        "`toccata evaluate`. *reference* is the agent before reinforcement learning, *random* uniformly random legal "
        f"play, *real* real music held out of training ({metrics['counts']['real_works']} works).{line} All are "
        f"in `evaluation/metrics.json`.\n\n{markdown_table(rows)}"
    )


def _music(config: TrainConfig) -> str:
    """What the agent learnt from, with licences: the run's corpus, and the prior it started from."""
    sources = ", ".join(map(short, config.corpus)) or f"music21's corpus, {config.genre}"
    try:
        row = _corpus_row(config, sources, run_corpus(config))
    except (ToccataError, OSError):  # the card of a run must not need its music
        row = [sources, "?", "?", "?", "the music was not at hand when the run was shared"]
    table = markdown_table([["music", "training works", "for stopping", "held out", "licences"], row])
    text = f"## Music it learnt from\n\n{table}"
    if config.prior in (None, NO_PRIOR):
        return text + "\n\nThe policy was randomly initialised: no prior."
    text += f"\n\nThe policy was initialised from the prior `{short(str(config.prior))}`"
    if config.prior not in SHIPPED:
        return text + ", which was fitted to music that its own card tells of."
    card = _card_of_prior(config.prior)
    if "\n## Data\n" not in card:  # the lstm's, which says that its music is the transformer's
        card = _card_of_prior("transformer")
    data = card.partition("\n## Data\n")[2].partition("\n## ")[0].strip()
    return f"{text}, which comes with Toccata and was fitted to:\n\n{data}"


def _card_of_prior(name: str) -> str:
    return (SHIPPED_FOLDER / f"prior-{name}" / "MODEL_CARD.md").read_text(encoding="utf-8")


def _estimate(found: Mapping[str, Any], digits: int) -> str:
    """A mean with its interval."""
    mean, low, high = (f"{found[name]:.{digits}f}" for name in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]"


def _corpus_row(config: TrainConfig, sources: str, corpus: Corpus) -> list[str]:
    """The works of each split and their licences, of metadata.csv or of music21."""
    licences = sorted({work.licence for work in corpus.works if work.licence})
    if not licences:
        named = all(name in (*NAMED, *ALIASES) for name in config.corpus)
        licences = ["music21's corpus/license.txt" if named else "not stated"]
    return [sources, *(str(len(corpus.split(name))) for name in SPLITS), ", ".join(licences)]


def _rewards(folder: Path) -> str:
    """The rewards with the hashes of their weights, and the judges."""
    path = folder / "reward_models/rewards.json"
    if not path.is_file():
        return "## Rewards\n\nThe run has no reward models in it."
    content = read_json(path)
    entries = content["rewards"] if isinstance(content, dict) else content
    rows = [["reward", "weight", "of", "SHA-256 of its weights"]]
    for entry in entries:
        whose = "Toccata" if is_builtin(entry["model"]) else "whoever trained the agent"
        digest = f"`{entry['hash']}`" if entry["hash"] else "none"
        rows.append([f"`{entry['model']}`", f"{entry['weight']:g}", whose, digest])
    how = content["combine"] if isinstance(content, dict) else "sum"
    metrics = folder / "evaluation/metrics.json"
    judges = read_json(metrics)["composers"]["agent"] if metrics.is_file() else {}
    names = ", ".join(name.removeprefix("judge/") for name in judges if name.startswith("judge/"))
    said = f"Judges, which reward no agent and have other evidence: {names}. Compare each with the column *real*."
    line = f"\n\n{said}" if names else ""
    return f"## Rewards and judges\n\nCombined by `--combine {how}`.\n\n{markdown_table(rows)}{line}"


def _training(config: TrainConfig, folder: Path) -> str:
    """Settings that are not the defaults, and the command."""
    default = TrainConfig(policy=config.policy, algorithm=config.algorithm)
    changed = {name for name in vars(default) if getattr(config, name) != getattr(default, name)}
    names = [name for name in vars(default) if name in changed - set(NOT_SETTINGS)]
    rows = [["setting", "value", "default"]]
    for name in names:
        value = str(getattr(config, name))
        rows.append([name, short(value) if name == "lyrics" else value, str(getattr(default, name))])
    table = f"\n\n{markdown_table(rows)}" if len(rows) > 1 else "\n\nAll other settings are the defaults."
    path = folder / "command.txt"
    command = read_bytes(path, MAX_TEXT_BYTES).decode("utf-8", "replace").strip() if path.is_file() else ""
    lines = "".join(f"\n    {line}" for line in command.splitlines()[-5:])
    return f"## Training\n\nPolicy `{config.policy}`, algorithm {config.algorithm}, seed {config.seed}.\n{lines}{table}"


def bars_of(config: TrainConfig) -> str:
    """The length of its pieces in words."""
    if config.lyrics is not None:
        return "as many bars as its words need"
    return "1 bar" if config.bars == 1 else f"{config.bars} bars"


def _limits(config: TrainConfig) -> str:
    """What the figures do not say."""
    return (
        "## Limits\n\n"
        f"- It was trained for pieces of {bars_of(config)} of {config.beats_per_bar:g} beats, at "
        f"{config.tempo_bpm:g} bpm, of genre {config.genre}; others were not asked of it.\n"
        "- Rating and judges are models. A high rating is no listener's liking, and agents find what a reward model "
        "likes by mistake: compare the reward with the judges and the KL above.\n"
        "- One run is one seed; intervals over pieces do not say how another seed would end.\n"
        "- Nothing here proves that a piece copies nothing: `originality score` compares with the training works only."
    )
