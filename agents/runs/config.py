"""The settings of a training run. No torch here, so that `--help` is instant."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, get_type_hints

from toccata.files import FileError, read_json, read_toml
from toccata.settings.combinations import why_not
from toccata.settings.genres import checked_additions, with_added
from toccata.settings.options import (
    BEATS_PER_BAR,
    MAX_BARS,
    MAX_EPOCHS,
    MAX_STEPS,
    SEED,
    TEMPO_BPM,
    WEIGHT,
    ConfigError,
    Range,
    check_fields,
    check_length,
    check_product,
    shown,
    tuples,
)
from toccata.settings.specs import Spec, SpecError, parse_spec, weighted_texts

POLICIES = ("mlp", "cnn", "lstm", "transformer", "wavenet")
SEQUENCE_POLICIES = ("lstm", "transformer", "wavenet")  # on all actions of the episode so far
SEQUENCE_NAMES = "lstm, transformer or wavenet"
NO_PRIOR = "none"
CLONE_EPOCHS = 10  # of behaviour cloning without a prior
PRIOR_CLONE_EPOCHS = 6  # with one: fewer, as it was fitted to more music than the run's corpus
PRIOR_KL_COEF = 0.01  # where there is a reference policy fitted to music
UPDATES = {"ppo": (6, 1e-4), "grpo": (1, 5e-5), "best-of-n": (1, 5e-5)}  # passes and learning rate by algorithm
MAX_CONFIG_BYTES = 2**20
DEFAULT_REWARDS = (("rating", 1.0), ("realism", 1.0), ("silence", 1.0), ("repetition", 3.0))


# Settings that may change when a run is resumed
RENEWABLE = (
    "total_timesteps",
    "checkpoint_every",
    "device",
    "reward_device",
    "amp",
    "compile",
    "logger",
    "on_collapse",
)
MAX_ROLLOUT_STEPS = 2**26  # of all environments: masks alone take 100 GB
MAX_BARS_OF_ENVS = 2**24  # of all environments: the actions of their pieces take 8 GB
UNSAVED = ("run_dir", "resume", "config", "seeds", "trust")  # settings of a command, not of its run
TRAIN_RANGES = {
    "total_timesteps": Range(1, MAX_STEPS),
    "bars_per_reward": Range(1, MAX_BARS),
    "bars": Range(1, MAX_BARS),
    "beats_per_bar": BEATS_PER_BAR,
    "tempo_bpm": TEMPO_BPM,
    "clone_epochs": Range(0, MAX_EPOCHS),
    "prior_kl_coef": Range(0, 1e6, whole=False),
    "prior_kl_target": Range(0, 1e6, whole=False, open_low=True),
    "best_of": Range(2, 65_536),
    "num_envs": Range(1, 65_536),
    "n_steps": Range(2, 2**20),
    "batch_size": Range(2, MAX_ROLLOUT_STEPS),
    "n_epochs": Range(1, MAX_EPOCHS),
    "learning_rate": Range(0, 1, whole=False, open_low=True),
    "gamma": Range(0, 1, whole=False),
    "gae_lambda": Range(0, 1, whole=False),
    "clip_range": Range(0, 10, whole=False, open_low=True),
    "ent_coef": Range(0, 1000, whole=False),
    "target_kl": Range(0, 1e6, whole=False, open_low=True),
    "seed": SEED,
    "checkpoint_every": Range(1, MAX_STEPS),
}


@dataclass(frozen=True)
class TrainConfig:
    """Train an agent that composes on the piano.

    The policy is initialised from a prior, or randomly, and fitted to real music by behaviour cloning; that is the
    reference policy. Then PPO maximises the rewards.
    """

    run_dir: Path | None = None
    """Folder to write; it must not exist. By default the next free runs/run-N."""

    resume: Path | None = None
    """Run folder to resume from its last checkpoint, with its own settings; only --total-timesteps,
    --checkpoint-every, --device, --reward-device, --amp, --compile, --logger and --on-collapse may be given too."""

    config: Path | None = None
    """File of settings, JSON or TOML, such as the config.json of a run: any of the settings below, by their names here
    with underscores. What is given on the command line wins. In Python: TrainConfig.from_file(path)."""

    total_timesteps: int = 200_000
    """Environment steps of RL; a bar takes 20 (chorales) to 40 of them."""

    rewards: tuple[tuple[str, float], ...] = DEFAULT_REWARDS
    """Reward models and their weights: a shipped name, name:path, or package.module:Attribute of your own, each with
    arguments if need be: 'my_rewards:Steps(limit=2)'. `--rewards + my_rewards:Steps 0.5` adds to the default ones."""

    combine: Literal["sum", "product", "gate", "lagrangian"] = "sum"
    """How the rewards are combined: their weighted sum; the product of how good each is beside real music; a gate, in
    which the first reward counts where all others are as good as the 5th percentile of real music; or a Lagrangian,
    which maximises the first reward subject to that of the others, with multipliers that are learnt."""

    bars_per_reward: int = 2
    """With --reward-at bar: bars from one reward to the next. Fewer bars give more frequent rewards and take longer to
    score."""

    reward_at: Literal["piece", "bar"] = "bar"
    """When rewards are given: at the end of the piece, or at bar lines."""

    corpus: tuple[str, ...] = ()
    """Real music: bach, ryan, oneill, aird (they come with music21), or folders of MIDI files by genre. By default
    music21's of the genre: Bach's chorales for classical, three collections of tunes for folk."""

    genre: str = "classical"
    """Genre of the real music and of the pieces: classical, folk, jazz, popular, rock, electronic, those of the prior
    and of --genres. A folder of music without genres is all of it."""

    genres: tuple[str, ...] = ()
    """Names of genres of your own, in addition to these six and to those of the prior: --genres ragtime tango. Their
    embeddings begin at the mean of the known ones."""

    train_realism: bool = True
    """Train the discriminator along with the agent; --no-train-realism keeps it frozen."""

    bars: int = 8
    """Bars of a piece."""

    beats_per_bar: float = 4
    """Quarter notes in a bar."""

    tempo_bpm: float = 120.0
    """Quarter notes a minute."""

    lyrics: str | None = None
    """Text file of words to sing, or a folder of such files *.txt, of which each piece draws one (docs/lyrics.md); bars
    follow from the words then, and --bars is the length of real music only. `--rewards + lyrics 1.0` rewards what fits
    the words. For transformer, lstm and wavenet, and policies of your own."""

    voice: Literal["soprano", "alto", "tenor", "bass"] = "soprano"
    """Of --lyrics: who sings."""

    language: str = "en"
    """Of --lyrics: code of the language, such as de or it."""

    policy: str = "transformer"
    """Network: transformer, lstm or wavenet (convolutions), on the actions of the episode so far; mlp or cnn, on the
    recent piano roll; or a policy class of your own, package.module:Class, with arguments as in
    "my_policies:Small(hidden=64)"."""

    prior: str | None = None
    """Prior that a transformer, lstm or wavenet policy is initialised from: transformer, lstm, wavenet (they come with
    Toccata), a folder of `toccata fit-prior`, or none. By default the one that comes with Toccata."""

    clone_epochs: int | None = None
    """Epochs of behaviour cloning on the run's real music before PPO. By default 6 with a prior and 10 without; a
    policy without either is randomly initialised."""

    prior_kl_coef: float | None = None
    """Penalty in reward per nat of the KL of a piece from the reference policy, which is the prior after cloning
    (transformer, lstm, wavenet). By default 0.01, which ends a default run at about 13 nats; without it agents get no
    more reward, and how far they go differs by seed (docs/overoptimisation.md). 0 for a randomly initialised reference.
    """

    prior_kl_target: float | None = None
    """Nats a piece that prior-kl-coef is adapted to after each rollout; None keeps it fixed."""

    algorithm: Literal["ppo", "grpo", "best-of-n"] | None = None
    """ppo: proximal policy optimisation with a value function and rewards at bar lines; the default of mlp and cnn. The
    others have no value function and one reward a piece (transformer, lstm, wavenet): grpo, PPO's objective with the
    reward of a piece relative to the rollout's others as advantage, their default; best-of-n, which maximises the
    likelihood of the best of every --best-of pieces. Their rollout is a piece of each environment; they do not use
    --reward-at, --n-steps, --gamma and --gae-lambda."""

    best_of: int = 4
    """With --algorithm best-of-n: pieces of which the best is kept. It divides --num-envs."""

    num_envs: int = 64
    """Environments in parallel: of whole pieces also the pieces that each is compared with."""

    n_steps: int = 128
    """Steps of each environment in a rollout, of --algorithm ppo: about half of a default piece."""

    batch_size: int = 2048
    """Steps in a minibatch of the update."""

    n_epochs: int | None = None
    """Passes over a rollout in an update. By default 6 of ppo, and 1 of grpo and best-of-n: a piece that is heard again
    teaches less than a new one."""

    learning_rate: float | None = None
    """Of Adam. By default 1e-4 of ppo, and 5e-5 of grpo and best-of-n: twice that gains reward at more KL and less
    realism (docs/overoptimisation.md)."""

    gamma: float = 1.0
    """Discount factor of --algorithm ppo; episodes have a fixed length, so none is needed, and with less the bars
    before a reward would count less than those after."""

    gae_lambda: float = 0.97
    """Lambda of generalised advantage estimation (Schulman et al. 2016), of --algorithm ppo: 1 sums what is to come,
    with much variance; 0 trusts the value function alone. At 0.97 a reward reaches back over the bar that it is given
    for: after 30 steps it counts 0.4."""

    clip_range: float = 0.2
    """Clipping range of the probability ratio in PPO's surrogate objective; 0.2 is that of Schulman et al. 2017."""

    ent_coef: float = 0.001
    """Weight of the entropy bonus; small, as a policy that was fitted to music is random by itself."""

    target_kl: float | None = 0.01
    """An update stops early when its approximate KL from the rollout's policy exceeds 1.5 times this; None: never."""

    seed: int = 0
    """One seed gives one result."""

    device: str = "auto"
    """cpu, cuda, or auto."""

    reward_device: str = "auto"
    """Device that rating, realism and typicality compute on: cpu, cuda, or auto, which is that of --device. Reward
    models of your own choose theirs."""

    amp: bool | None = None
    """Compute the updates of a transformer in bfloat16 where that is safe; by default on a GPU."""

    compile: bool | None = None
    """Compile the updates of a transformer with torch.compile, which takes a minute, and on a GPU capture steps as CUDA
    graphs; by default on a GPU."""

    seeds: tuple[int, ...] = ()
    """Several seeds, in place of --seed: a run for each, side by side on the cores of the processor, in the folders
    seed-N of --run-dir, and a table of all at the end."""

    checkpoint_every: int = 65_536
    """Steps between checkpoints."""

    on_collapse: Literal["ignore", "warn", "stop", "restore"] = "warn"
    """What to do when the pieces of two rollouts in a row are unlike the real music by several metrics, the bits an
    action or the diversity: nothing; say so; stop; or go back to the last checkpoint before it, with half the learning
    rate and twice the KL coefficient, three times at most."""

    logger: tuple[Literal["csv", "tensorboard", "wandb", "trackio"], ...] = ("csv", "tensorboard")
    """Where the logged values go. progress.csv is always written, since resuming and evaluation read it; wandb and
    trackio are extras: pip install 'toccata[wandb]'."""

    trust: bool = False
    """With --resume: run the code of reward models that somebody else's run names. Runs made by you on this machine
    need no trust."""

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "rewards", weighted_texts(self.rewards))  # frozen for everyone else
        except SpecError as error:
            raise ConfigError(f"rewards: {error}") from None
        check_fields(self, TRAIN_RANGES)
        for reward, weight in self.rewards:
            WEIGHT.check(f"reward {shown(reward)}: its weight", weight)
        check_length(self.bars, self.beats_per_bar, self.tempo_bpm)
        check_product(self, ("num_envs", "n_steps"), MAX_ROLLOUT_STEPS, "steps of a rollout")
        check_product(self, ("num_envs", "bars"), MAX_BARS_OF_ENVS, "bars of all environments")
        object.__setattr__(self, "genres", checked_additions(self.genres))
        self._check_command()
        self._check_policy()
        if self.lyrics is not None and self.policy in POLICIES and self.policy not in SEQUENCE_POLICIES:
            raise ConfigError(f"lyrics need policy {SEQUENCE_NAMES}, or one of your own, got {self.policy!r}")
        self._check_algorithm()
        self._fill_in_reference()
        if not self.rewards:
            raise ConfigError("rewards must name at least one reward model, such as: rating 1.0")
        if (why := why_not(self.combine, self.rewards)) is not None:
            raise ConfigError(f"combine {why}")
        if self.num_envs * self.n_steps % self.batch_size == 1:
            raise ConfigError(
                f"num_envs * n_steps = {self.num_envs * self.n_steps} leaves a last minibatch of a single step with "
                f"batch_size {self.batch_size}, whose advantage cannot be normalised; choose another of the three"
            )

    @property
    def reward_specs(self) -> list[tuple[Spec, float]]:
        """The rewards with their arguments read.

        Raises:
            ConfigError: for arguments that cannot be read.
        """
        try:
            return [(parse_spec(reward), weight) for reward, weight in self.rewards]
        except SpecError as error:
            raise ConfigError(f"rewards: {error}") from None

    def _check_command(self) -> None:
        """Refuse options of the command that contradict each other."""
        for name in ("config", "seeds"):
            if self.resume is not None and getattr(self, name):
                raise ConfigError(
                    f"--{name} cannot be given with --resume: a run is resumed with the settings and seed that it was "
                    f"begun with, which are in {self.resume / 'config.json'}"
                )
        for seed in self.seeds:
            SEED.check("an entry of seeds", seed)
        if twice := [seed for i, seed in enumerate(self.seeds) if seed in self.seeds[:i]]:
            raise ConfigError(f"seeds must differ, got {twice[0]} twice")

    def _check_policy(self) -> None:
        """Refuse the name of a policy that there is not; classes of a user's own are imported later."""
        if self.policy not in POLICIES and ":" not in self.policy:
            near = get_close_matches(self.policy, POLICIES, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(
                f"policy must be {', '.join(POLICIES)} or package.module:Class, got {shown(self.policy)}{hint}"
            )

    def _check_algorithm(self) -> None:
        """Fill in the defaults of algorithm, n_epochs and learning_rate; refuse whole pieces where they cannot be."""
        whole_pieces = self.policy in SEQUENCE_POLICIES and self.num_envs > 1
        algorithm = self.algorithm or ("grpo" if whole_pieces else "ppo")
        n_epochs, learning_rate = UPDATES[algorithm]
        filled: dict[str, Any] = {"algorithm": algorithm}
        filled |= {"n_epochs": n_epochs} if self.n_epochs is None else {}
        filled |= {"learning_rate": learning_rate} if self.learning_rate is None else {}
        for name, value in filled.items():
            object.__setattr__(self, name, value)  # frozen for everyone else
        if self.algorithm == "ppo":
            return
        if self.policy in POLICIES and self.policy not in SEQUENCE_POLICIES:
            raise ConfigError(f"algorithm {self.algorithm} needs policy {SEQUENCE_NAMES}, got {self.policy!r}")
        if self.num_envs < 2:
            raise ConfigError(f"algorithm {self.algorithm} compares pieces: num_envs must be at least 2, got 1")
        if self.algorithm == "best-of-n" and self.num_envs % self.best_of:
            raise ConfigError(f"best_of must divide num_envs, {self.num_envs}, got {self.best_of}")

    @property
    def is_user_policy(self) -> bool:
        """Whether the policy is a class of the user's own."""
        return self.policy not in POLICIES

    def _fill_in_reference(self) -> None:
        """Fill in the defaults of prior, clone_epochs and prior_kl_coef, which depend on each other."""
        sequence = self.policy in SEQUENCE_POLICIES
        if not sequence and self.prior not in (None, NO_PRIOR):
            raise ConfigError(f"prior {self.prior!r} needs policy {SEQUENCE_NAMES}, got {self.policy!r}")
        prior = self.prior or (self.policy if sequence else NO_PRIOR)
        default_epochs = CLONE_EPOCHS if prior == NO_PRIOR else PRIOR_CLONE_EPOCHS
        if self.is_user_policy:
            default_epochs = 0  # it may have no distribution that can be fitted
        cloning = default_epochs if self.clone_epochs is None else self.clone_epochs
        has_reference = sequence and (prior != NO_PRIOR or cloning > 0)
        prior_kl_coef = (PRIOR_KL_COEF if has_reference else 0.0) if self.prior_kl_coef is None else self.prior_kl_coef
        if prior_kl_coef and not has_reference:
            why = "the policy is randomly initialised" if sequence else f"policy {self.policy!r} has no prior"
            raise ConfigError(f"prior_kl_coef must be 0, got {prior_kl_coef:g}: {why}, so there is no reference policy")
        if self.prior_kl_target is not None and not prior_kl_coef:
            raise ConfigError("prior_kl_target adapts prior_kl_coef, which must then be greater than 0, got 0")
        for name, value in (("prior", prior), ("clone_epochs", cloning), ("prior_kl_coef", prior_kl_coef)):
            object.__setattr__(self, name, value)  # frozen for everyone else

    @property
    def all_genres(self) -> tuple[str, ...]:
        """The six genres and those of `genres`, in the order of their index."""
        return with_added(self.genres)

    def to_json(self) -> str:
        """The settings as JSON, without those of `UNSAVED`."""
        settings = {key: value for key, value in asdict(self).items() if key not in UNSAVED}
        return json.dumps(settings, indent=2)

    @classmethod
    def from_file(cls, path: str | Path, **others: Any) -> TrainConfig:
        """The settings in a JSON or TOML file, such as `to_json` wrote; others are those of `others`, or the defaults.

        Raises:
            ConfigError: naming the file, for anything that is not such a configuration.
        """
        settings = read_settings(Path(path))
        try:
            return cls(**{**others, **settings})
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error

    @classmethod
    def draft(cls, path: Path) -> TrainConfig:
        """`from_file` before the settings that depend on others are filled in and checked, for more to be replaced.

        Raises:
            ConfigError: naming the file, for a setting that is unknown, or out of its range.
        """
        settings = read_settings(path)
        config = object.__new__(cls)
        for field in fields(cls):
            object.__setattr__(config, field.name, settings.get(field.name, field.default))
        try:
            check_fields(config, TRAIN_RANGES)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error
        return config

    def resumed(self, folder: Path) -> TrainConfig:
        """These settings, of the run in `folder`, for resuming it: `replace` may change those of `RENEWABLE`."""
        return replace(self, resume=folder)

    def settings_changed(self, other: TrainConfig) -> list[str]:
        """Names of the settings in which this and `other` differ, apart from `RENEWABLE`, run_dir and resume."""
        names = [field.name for field in fields(self) if field.name not in (*RENEWABLE, *UNSAVED)]
        return [name for name in names if getattr(self, name) != getattr(other, name)]


def with_added_rewards(arguments: Sequence[str], base: Sequence[tuple[str, float]]) -> list[str]:
    """The arguments of a command, with `--rewards + SPEC WEIGHT ...` replaced by `base` and those.

    One that names the same model as one of `base` takes its place.
    """
    arguments = list(arguments)
    if "--rewards=+" in arguments:
        raise ConfigError("--rewards=+ is not possible; write: --rewards + my_rewards:Steps 0.5")
    if "--rewards" not in arguments:
        return arguments
    start = arguments.index("--rewards") + 1
    if arguments[start : start + 1] != ["+"]:
        return arguments
    end = start + 1
    while end < len(arguments) and not arguments[end].startswith("--") and arguments[end] != "-h":
        end += 1
    added = arguments[start + 1 : end]
    if not added or len(added) % 2:
        raise ConfigError(
            f"--rewards + takes models and their weights, as in: + my_rewards:Steps 0.5; got {shown(added)}"
        )
    try:
        new = [parse_spec(spec).target for spec in added[::2]]
        kept = [
            [spec, repr(weight)]
            for spec, weight in base
            if not any(_same_model(parse_spec(spec).target, target) for target in new)
        ]
    except SpecError as error:
        raise ConfigError(f"--rewards: {error}") from None
    return [*arguments[:start], *(each for pair in kept for each in pair), *added, *arguments[end:]]


def _same_model(one: str, other: str) -> bool:
    """Whether two targets of specs name one model: `realism` and `realism:FOLDER` do."""
    return one == other or one.startswith(f"{other}:") or other.startswith(f"{one}:")


def read_settings(path: Path) -> dict[str, Any]:
    """The settings in a JSON or TOML file by name, of the types of `TrainConfig`; their ranges are not checked.

    Raises:
        ConfigError: naming the file, when it cannot be read or has an unknown setting.
    """
    read = read_toml if path.suffix.lower() == ".toml" else read_json
    try:
        settings = read(path, MAX_CONFIG_BYTES)
    except FileError as error:
        raise ConfigError(str(error)) from error
    if not isinstance(settings, dict):
        raise ConfigError(f"{path}: a configuration is an object of settings, got {shown(settings)}")
    known = {field.name for field in fields(TrainConfig)} - set(UNSAVED)
    for name in settings:
        if name in UNSAVED:
            option = "--" + name.replace("_", "-")
            raise ConfigError(f"{path}: {name} is no setting of a run but an option of the command: give {option}")
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(sorted(known))}"
            raise ConfigError(f"{path}: unknown field {shown(name)}{hint}")
    hints = get_type_hints(TrainConfig)
    try:
        if "rewards" in settings:
            settings["rewards"] = weighted_texts(settings["rewards"])
    except SpecError as error:
        raise ConfigError(f"{path}: rewards: {error}") from error
    return {name: tuples(value, hints[name]) for name, value in settings.items()}
