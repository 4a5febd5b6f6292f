"""The model card, README.md of a repository: metadata of the Hub, and what readers must know of a model."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toccata.agents.evaluation.report.provenance import BIBTEX
from toccata.agents.rivals.registry import RIVALS
from toccata.agents.runs.config import SEQUENCE_POLICIES
from toccata.agents.sharing.formats import CARD_FILE
from toccata.agents.sharing.kinds import Shared
from toccata.agents.sharing.run_card import bars_of, run_metadata, run_sections
from toccata.files import sha256_of_file, write_atomically

TAGS = ("toccata", "music", "music-generation", "piano", "symbolic-music")
TEXTS = ("MODEL_CARD.md", "report.md")  # what a fit says of its weights
USES: dict[str, tuple[str, str]] = {  # by kind: a command, and Python
    "run": (
        "toccata evaluate {name}",
        "from toccata.agents import load_model\n\nagent = load_model('{name}/model.zip')  # of Stable-Baselines3",
    ),
    "prior": (
        "toccata compose --prior {name} --bars 8",
        "from toccata.agents.prior.prior import Prior\n\nprior = Prior.load('{name}')",
    ),
    "rating": (
        "toccata train --rewards rating:{name} 1.0 silence 1.0 repetition 3.0",
        "from toccata.reward_models import load_reward\n\nrating = load_reward('rating:{name}')",
    ),
    "realism": (
        "toccata train --rewards rating 1.0 realism:{name} 1.0 silence 1.0 repetition 3.0",
        "from toccata.reward_models import load_reward\n\nrealism = load_reward('realism:{name}')",
    ),
    "typicality": (
        "toccata train --rewards rating 1.0 typicality:{name} 1.0",
        "from toccata.reward_models import load_reward\n\ntypicality = load_reward('typicality:{name}')",
    ),
    "rival": (
        "toccata compose --with {rival}:{name} --bars 8",
        "from toccata.agents.rivals.registry import load_rival\n\ncomposer = load_rival('{rival}:{name}')",
    ),
}


def write_card(shared: Shared, folder: Path, repo: str, licence: str | None) -> None:
    """Write README.md of the repository `repo` into `folder`, which has its other files already."""
    name = repo.rpartition("/")[2]
    metadata: dict[str, Any] = {"library_name": "toccata"}
    metadata |= {"license": licence} if licence else {}
    if shared.run is not None:
        metadata |= run_metadata(shared.run, folder, name, TAGS)
        sections = run_sections(shared.run, folder)
    else:
        metadata["tags"] = [*TAGS, shared.kind]
        sections = _weights_sections(shared, folder)
    parts = [
        f"# {name}",
        _summary(shared),
        *_samples(folder, repo),
        _use(shared, repo, name),
        *sections,
        _files(folder),
        f"## Licence\n\n{_licence(licence)}",
        f"## How to cite\n\n```bibtex\n{BIBTEX}\n```",
    ]
    write_atomically(folder / CARD_FILE, (front_matter(metadata) + "\n\n".join(parts) + "\n").encode())


def front_matter(metadata: Mapping[str, Any]) -> str:
    """Metadata as YAML between lines of dashes: a JSON value is YAML too."""
    lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in metadata.items()]
    return "\n".join(["---", *lines, "---", "", ""])


def _summary(shared: Shared) -> str:
    """A sentence that says what it is."""
    if shared.run is not None:
        config = shared.run.config
        return (
            f"An agent that composes piano music of {bars_of(config)} ({config.genre}), note by note: policy "
            f"`{config.policy}`, trained with {config.algorithm} for {shared.run.config.total_timesteps:,} steps on "
            "Toccata's Gymnasium piano `toccata/Piano-v0`, with "
            "[Stable-Baselines3](https://stable-baselines3.readthedocs.io/)."
        )
    what = {
        "prior": "A prior: a sequence network fitted to real music by maximum likelihood, which agents start from",
        "rating": "A rating: an ensemble of networks that predicts from its sound how popular a piece is, a reward",
        "realism": "A realism: a discriminator of real from composed music, a reward",
        "typicality": "A typicality: a reward for pieces as predictable as real music",
        "rival": f"A composer that agents are compared with: {RIVALS[shared.rival].about if shared.rival else ''}",
    }[shared.kind]
    return f"{what}. For Toccata, a Gymnasium piano on which agents compose."


def _samples(folder: Path, repo: str) -> list[str]:
    """Piano rolls and sound of the pieces in the repository."""
    pieces = sorted([*folder.glob("evaluation/piece-*.wav"), *folder.glob("samples/piece-*.wav")])
    if not pieces:
        return []
    lines = ["## Pieces\n\nThe first ones that it composed, not selected; the sound is rendered by FluidSynth."]
    for path in pieces:
        place = path.relative_to(folder).as_posix()
        roll = place.removesuffix(".wav") + ".png"
        address = f"https://huggingface.co/{repo}/resolve/main/{place}"
        picture = f"![piano roll of {path.stem}]({roll})\n\n" if (folder / roll).is_file() else ""
        lines.append(f'{picture}<audio controls preload="none" src="{address}"></audio>')
    return ["\n\n".join(lines)]


def _use(shared: Shared, repo: str, name: str) -> str:
    """How it is downloaded and used."""
    command, code = USES[shared.kind]
    if shared.run is not None and shared.run.config.policy in SEQUENCE_POLICIES:  # the others continue no music
        command += "\ntoccata compose --run {name}"
    command, code = (text.format(name=name, rival=shared.rival) for text in (command, code))
    return (
        f'## Use\n\n```bash\npip install "toccata[hub]"\ntoccata pull {repo}\n{command}\n```\n\n'
        f"```python\n{code}\n```\n\n"
        "`toccata pull` verifies every file; nothing in the repository is executed."
    )


def _weights_sections(shared: Shared, folder: Path) -> list[str]:
    """What the fit wrote of the weights, and what is in config.json of the data."""
    fit = shared.config.get("fit")
    fit = fit if isinstance(fit, dict) else {}
    sections = []
    facts = {name: fit[name] for name in ("data", "works", "pieces", "groups", "sources", "options") if fit.get(name)}
    if facts:
        lines = "\n".join(
            f"- {name}: `{json.dumps(value, ensure_ascii=False)[:1000]}`" for name, value in facts.items()
        )
        sections.append(f"## What it was fitted to\n\nAs config.json says:\n\n{lines}")
    reports = [(folder / text).read_text(encoding="utf-8") for text in TEXTS if (folder / text).is_file()]
    sections += ["## How it was fitted\n\n" + lowered(text) for text in reports[:1]]
    if not reports:
        sections.append("## Limits\n\nNo report came with these weights, so nothing is known of how good they are.")
    return sections


def lowered(text: str) -> str:
    """A Markdown text without its title, with its headings a level lower."""
    text = re.sub(r"\A\s*# .*\n", "", text)
    return re.sub(r"^(#+) ", r"#\1 ", text, flags=re.MULTILINE).strip()


def _files(folder: Path) -> str:
    """The SHA-256 of models and weights; those of all files are in toccata.json."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix in (".zip", ".safetensors"))
    rows = [f"| {path.relative_to(folder).as_posix()} | `{sha256_of_file(path)}` |" for path in paths]
    head = "| file | SHA-256 |\n|---|---|\n"
    return "## Files\n\nSizes and SHA-256 of all files are in `toccata.json`.\n\n" + head + "\n".join(rows)


def _licence(licence: str | None) -> str:
    chosen = f"The weights: {licence}." if licence else "Whoever shared the weights named no licence for them."
    return f"{chosen} Toccata itself is under the MIT licence. The music has the licences named above, where any are."
