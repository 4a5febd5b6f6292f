"""The documentation is true: its Python runs, its commands parse, its links lead somewhere, its tables are complete.

A fence may say after its language: `no-run` (the block is not run: it would take minutes), or `file=NAME` (it is a file
of the reader's, written before the page's commands are looked at).
"""

import ast
import json
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import tyro

import toccata
from toccata.agents.evaluation.config import CompareConfig, EvaluateConfig, MetricsConfig
from toccata.agents.evaluation.overoptimise.config import OveroptimiseConfig
from toccata.agents.generation.sound_options import SoundOptions
from toccata.agents.hardening.config import HardenConfig
from toccata.agents.prior.fitting.fit_config import FitPriorConfig
from toccata.agents.rivals.dreaming.config import DreamConfig
from toccata.agents.rivals.fitting.config import FitRivalConfig
from toccata.agents.runs.compose_config import ComposeConfig
from toccata.agents.runs.config import DEFAULT_REWARDS, TrainConfig, with_added_rewards
from toccata.agents.runs.run_folder import Run
from toccata.agents.sharing.config import PullConfig, PushConfig
from toccata.agents.studies.genres.config import StudyGenresConfig
from toccata.agents.studies.rivals.config import StudyRivalsConfig
from toccata.agents.studies.songs.config import StudySongsConfig
from toccata.envs import GENRES, Piano, PianoEnv, RewardModel
from toccata.listening.config import ListenConfig
from toccata.listening.results.config import ListenResultsConfig
from toccata.music import Score
from toccata.music.metrics import METRICS, measure
from toccata.reward_models import load_reward
from toccata.reward_models.rating.fitting.config import FitRatingConfig

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINKED = [*PAGES, ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"]
RUN_ELSEWHERE = {
    "rewards.md": "tests/reward_models/test_docs.py",
    "frameworks.md": "tests/frameworks/conftest.py",
    "scale.md": "tests/frameworks/conftest.py",
    **{f"tutorials/{path.name}": "tests/docs/test_tutorials.py" for path in (ROOT / "docs/tutorials").glob("*.md")},
}
COMMANDS = {
    ("python", "train.py"): TrainConfig,
    ("toccata", "train"): TrainConfig,
    ("python", "evaluate.py"): EvaluateConfig,
    ("toccata", "evaluate"): EvaluateConfig,
    ("toccata", "compare"): CompareConfig,
    ("toccata", "metrics"): MetricsConfig,
    ("toccata", "overoptimise"): OveroptimiseConfig,
    ("toccata", "compose"): ComposeConfig,
    ("toccata", "dream"): DreamConfig,
    ("toccata", "fit-prior"): FitPriorConfig,
    ("toccata", "study rivals"): StudyRivalsConfig,
    ("toccata", "study genres"): StudyGenresConfig,
    ("toccata", "study songs"): StudySongsConfig,
    ("toccata", "listen results"): ListenResultsConfig,
    ("toccata", "fit-rival"): FitRivalConfig,
    ("toccata", "fit-rating"): FitRatingConfig,
    ("toccata", "harden"): HardenConfig,
    ("toccata", "listen"): ListenConfig,
    ("toccata", "push"): PushConfig,
    ("toccata", "pull"): PullConfig,
}
OTHER_FLAGS = {"--help", "--debug", "--version", "--logdir"}  # of every command, of toccata, of tensorboard
OTHER_FLAGS |= {"--with"}  # of compose; its field cannot be called so
OTHER_FLAGS |= {"--algo", "--env", "--gym-packages"}  # of RL Zoo
OTHER_FLAGS |= {"--listeners"}  # of examples/listening_study.py
OTHER_FLAGS |= {"--head", "--port", "--address"}  # of Ray
OTHER_FLAGS |= {"--works", "--seconds"}  # of benchmarks
OTHER_FLAGS |= {"--doodle", "--billboard", "--run", "--pieces"}  # of benchmarks/dilemma.py


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    marks: tuple[str, ...]
    text: str
    line: int  # of its first line in the page


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(match[1], tuple(match[2].split()), match[3], text.count("\n", 0, match.start(3)) + 1)
        for match in re.finditer(r"^```(\w*)([^\n]*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    ]


def by_name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def in_docs(page: Path) -> str:
    return page.relative_to(ROOT / "docs").as_posix() if page.is_relative_to(ROOT / "docs") else page.name


def table_names(page: str, column: int = 0) -> list[str]:
    """The names in backquotes in one column of a page's tables."""
    text = (ROOT / page).read_text(encoding="utf-8")
    cells = [line.split("|")[1 + column] for line in text.splitlines() if line.startswith("| ")]
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to work in, as a reader would, with a piece.mid in it; what is imported from it is forgotten."""
    monkeypatch.chdir(tmp_path)
    Score([(24 * i, 24, 60 + i % 5, 80) for i in range(16)]).to_midi("piece.mid")
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(ROOT), *(entry for entry in sys.path if entry)])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.parametrize("page", [page for page in PAGES if in_docs(page) not in RUN_ELSEWHERE], ids=by_name)
def test_the_python_of_a_page_runs_from_top_to_bottom(page: Path, workdir: Path) -> None:
    if page.name == "evaluation.md":
        write_metrics(workdir / "runs/folk/evaluation/metrics.json")
    names: dict = {"__name__": page.stem}
    for block in blocks(page):
        if block.language == "python" and not block.marks:
            exec(compile("\n" * (block.line - 1) + block.text, str(page), "exec"), names)


def test_pages_that_others_test_are_tested() -> None:
    for name, test in RUN_ELSEWHERE.items():
        assert (ROOT / "docs" / name).is_file()
        assert name.partition("/")[0] in (ROOT / test).read_text(encoding="utf-8")


def test_marks_are_known_and_few() -> None:
    marks = [mark for page in PAGES for block in blocks(page) for mark in block.marks]
    assert all(mark == "no-run" or mark.startswith("file=") for mark in marks)
    assert marks.count("no-run") <= 2


def commands(page: Path) -> Iterator[list[str]]:
    """The words of each shell command of a page."""
    for block in blocks(page):
        if block.language == "sh":
            for line in block.text.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words:
                    yield words


@pytest.mark.parametrize("page", LINKED, ids=by_name)
def test_commands_can_be_typed_as_they_stand(page: Path, workdir: Path) -> None:
    for block in blocks(PAGES[0]):  # the reward that README lets the reader write serves on every page
        for mark in block.marks:
            if mark.startswith("file="):
                (workdir / mark.removeprefix("file=")).write_text(block.text, encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for words in commands(page):
        if words[0] == "make":
            assert all(word in targets or "=" in word for word in words[1:]), words
        count = 3 if (words[0], " ".join(words[1:3])) in COMMANDS else 2  # words of the command's name
        config_type = COMMANDS.get((words[0], " ".join(words[1:count])))
        if config_type is None:
            continue
        arguments = with_added_rewards(words[count:], DEFAULT_REWARDS)
        config = tyro.cli(config_type, args=arguments)  # exits, and so fails, on what it does not know
        for name, _ in getattr(config, "rewards", None) or ():
            if name.startswith(("my_rewards:Steps", "examples.")):
                assert isinstance(load_reward(name), RewardModel)


def test_flags_in_running_text_exist() -> None:
    flags = set(OTHER_FLAGS)
    for config_type in {*COMMANDS.values(), SoundOptions}:
        for field in fields(config_type):
            flag = field.name.replace("_", "-")
            flags |= {f"--{flag}", f"--no-{flag}"} if isinstance(field.default, bool) else {f"--{flag}"}
    for page in PAGES:
        found = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", page.read_text(encoding="utf-8")))
        assert found <= flags, page.name


@pytest.mark.parametrize("page", LINKED, ids=by_name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings], target


def test_every_page_is_in_the_index_and_in_the_readme() -> None:
    names = {name for name in map(in_docs, PAGES[1:]) if "/" not in name} - {"index.md"} | {"tutorials/index.md"}
    for file, folder in ((ROOT / "docs/index.md", ""), (ROOT / "README.md", "docs/")):
        linked = set(re.findall(rf"\]\({folder}([\w/-]+\.md)\)", file.read_text(encoding="utf-8")))
        assert names <= linked, file.name


# Tables against what they describe


def test_the_environment_page_has_the_live_spaces() -> None:
    text = (ROOT / "docs/environment.md").read_text(encoding="utf-8")
    rows = {
        key: (kind, shape, dtype)
        for key, kind, shape, dtype in re.findall(r"^\| `(\w+)` \| (\w+) \(([\d,]*)\) (\w+) \|", text, re.MULTILINE)
    }
    spaces = {}
    for observation in ("full", "actions"):
        spaces |= PianoEnv(bars=1, observation=observation, observation_mask=True).observation_space.spaces
    assert rows == {
        key: (type(space).__name__, str(space.shape)[1:-1].replace(" ", ""), str(space.dtype))
        for key, space in spaces.items()
    }
    whats, values = Piano().nvec
    assert all(space in text for space in (f"`MultiDiscrete([{whats}, {values}])`", f"`Discrete({whats * values})`"))
    assert f"vector of length {whats + values}" in text
    ids = {env_id for page in PAGES for env_id in re.findall(r"toccata/\w+-v\d+", page.read_text(encoding="utf-8"))}
    assert ids == {f"toccata/{name}-v0" for name in ("Piano", "PianoDiscrete", "PianoVelocity", "MOPiano")}
    assert all(gym.spec(env_id) for env_id in ids)


def test_the_environment_page_has_every_argument() -> None:
    docstring = re.findall(
        r"^    \| (\w+) \| .+? \|", (PianoEnv.__doc__ or "").partition("## Arguments")[2], re.MULTILINE
    )
    arguments = [name for name in docstring if name != "Argument"]
    assert len(arguments) > 10
    assert set(arguments) <= set(table_names("docs/environment.md"))
    assert all(genre in (ROOT / "docs/environment.md").read_text(encoding="utf-8") for genre in GENRES)


def test_the_instrument_page_has_every_field_and_its_default() -> None:
    text = (ROOT / "docs/instrument.md").read_text(encoding="utf-8")
    for field in fields(Piano):
        row = re.search(rf"^\| .*`{field.name}`.*$", text, re.MULTILINE)
        assert row, field.name
        default = field.default if isinstance(field.default, tuple) else (field.default,)
        assert " ".join(map(str, default)) in row[0], field.name
    assert f"{len(Piano().chord_pitches)} chords" in text


def test_the_metrics_table_is_complete_and_right() -> None:
    """Family, unit and range as in the registry, and the values of silence and of one quarter in a bar of four."""
    text = (ROOT / "docs/metrics.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) to ([^|]+) \| .* \| (\S+) \| (\S+) \|$", text, re.MULTILINE)
    assert [name for name, *_ in rows] == list(METRICS)
    silence, one = measure(Score(length_ticks=384)), measure(Score([(0, 24, 60, 80)]))
    for name, unit, low, high, of_silence, of_one in rows:
        assert unit == METRICS[name].unit
        assert (float(low), float(high.replace("∞", "inf"))) == pytest.approx(
            (METRICS[name].low, METRICS[name].high), abs=1e-3
        ), name
        assert float(of_silence) == silence[name], name
        assert float(of_one) == pytest.approx(one[name], abs=5e-3), name


def write_metrics(path: Path) -> dict:
    """A metrics.json in the form that evaluation writes, of random numbers."""
    from toccata.agents.evaluation.comparison import summarise

    rng = np.random.default_rng(0)
    names = (*METRICS, "score/silence", "reward/total", "sibling_rating")
    composers = ("agent", "reference", "random", "real")
    summary = summarise({each: {name: rng.random(4) for name in names} for each in composers}, seed=0)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(summary))
    return summary


def test_the_evaluation_page_tells_the_structure_of_metrics_json(tmp_path: Path) -> None:
    summary = write_metrics(tmp_path / "run" / "metrics.json")
    text = (ROOT / "docs/evaluation.md").read_text(encoding="utf-8")
    assert all(re.search(rf"^{key}\.", text, re.MULTILINE) for key in summary)
    assert all(f"| `{name}` |" in text for name in summary["composers"])
    assert {key.partition(" - ")[2] for key in summary["differences"]} == {"reference", "random", "real"}
    for keys in (summary["composers"]["agent"]["polyphony"], summary["real_range"]["polyphony"]):
        assert all(key in text for key in keys)


def logged_by_a_small_run() -> set[str]:
    """What two rollouts and the update between them log."""
    from stable_baselines3.common.callbacks import CallbackList
    from stable_baselines3.common.logger import KVWriter, Logger

    from toccata.agents.policies.sequence_network import NetworkConfig, SequenceNetwork
    from toccata.agents.policies.sequence_policy import SequencePolicy
    from toccata.agents.ppo.sequence_ppo import SequenceComposerPPO
    from toccata.agents.runs.callbacks.rollouts import MetricsCallback, UpdateRewardsCallback
    from toccata.agents.vec_env import PianoVecEnv
    from toccata.envs.excerpts import ExcerptDataset
    from toccata.reward_models import Realism, Silence, WeightedSum

    class Names(KVWriter):
        names: set[str] = set()  # noqa: RUF012  # one logger only

        def write(self, key_values: dict, key_excluded: dict, step: int = 0) -> None:
            self.names |= set(key_values)

        def close(self) -> None: ...

    names = Names()
    realism = Realism()
    rewards = WeightedSum([(load_reward("rating"), 1.0), (realism, 1.0), (Silence(), 1.0)])
    music = ExcerptDataset([Score([(24 * i, 24, 60 + i % 7, 80) for i in range(16)])], 2)
    agent = SequenceComposerPPO(
        SequencePolicy,
        PianoVecEnv(4, bars=2, observation="actions"),
        reward_model=rewards,
        reference=SequenceNetwork(Piano(), NetworkConfig(width=24, layers=1, heads=2)),
        prior_kl_coef=0.1,
        policy_kwargs={"network_config": {"width": 24, "layers": 1, "heads": 2}},
        n_steps=64,
        batch_size=256,
        n_epochs=1,
    )
    agent.set_logger(Logger(None, [names]))
    callbacks = [
        UpdateRewardsCallback({"realism": realism}, music, np.random.default_rng(0)),
        MetricsCallback(lambda step, logged: None),
    ]
    agent.learn(512, CallbackList(callbacks), log_interval=1)
    of_train = {"watchdog/outside", "gate/NAME", "gate/all", "lagrangian/NAME", "violation/NAME"}
    return names.names | of_train  # see tests/agents/runs/test_watchdog.py and test_combine.py


def test_every_logged_quantity_is_explained() -> None:
    terms = {"reward/rating", "reward/realism", "reward/silence"}
    logged = logged_by_a_small_run()
    assert terms <= logged
    documented = {name for name in table_names("docs/training.md") if re.fullmatch(r"[a-z]+/[a-zA-Z_]+", name)}
    assert documented == logged - terms | {"reward/NAME"}


def test_the_run_folder_is_described(tmp_path: Path) -> None:
    page = (ROOT / "docs/training.md").read_text(encoding="utf-8")
    run = Run.create(TrainConfig(run_dir=tmp_path / "run"), ["train.py"])
    names = {path.name + "/" * path.is_dir() for path in run.folder.iterdir()} | {"model.zip", run.reference_path.name}
    names |= {"reward_models/", "signature.json", "checkpoints/last", "checkpoints/start"}
    assert len(names) >= 10
    assert all(f"`{name}" in page for name in names)


# The architecture page


def has_definition(tree: ast.AST, name: str) -> bool:
    """Whether a dotted name is defined in a module: a class, function, method or assigned constant."""
    for part in name.split("."):
        for node in getattr(tree, "body", ()):
            targets = getattr(node, "targets", [getattr(node, "target", None)])
            if part in (getattr(node, "name", None), *(getattr(target, "id", None) for target in targets)):
                tree = node
                break
        else:
            return False
    return True


def test_the_names_on_the_architecture_page_exist() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    references = re.findall(r"`((?:[\w.]+/)+[\w.]+\.py)(?:::([\w.]+))?`", text)
    assert len(references) > 50
    for path, name in references:
        assert (ROOT / path).is_file(), path
        if name:
            assert has_definition(ast.parse((ROOT / path).read_text(encoding="utf-8")), name), f"{path}::{name}"
    folders = re.findall(r"`((?:\w+/)+)`", text)
    assert all((ROOT / folder).is_dir() for folder in folders)


# Versions


def test_citation_and_changelog_name_this_version() -> None:
    version = toccata.__version__
    assert f"version: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"{{{version}}}" in PAGES[0].read_text(encoding="utf-8")
    newest = re.search(r"^## \[(.*?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest and newest[1] == version
