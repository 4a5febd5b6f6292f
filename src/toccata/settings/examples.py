"""Examples of every command: printed below its `--help` and by `toccata help`, and shown in docs/options.md."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {  # by command: command line, what it does
    "train": (
        ("toccata train", "the defaults, to the next free runs/run-N"),
        ("toccata train --bars 16 --genre folk --seed 3 --run-dir runs/folk", "longer pieces, folk tunes"),
        ("toccata train --rewards + my_rewards:Steps 0.5", "a reward of your own, added to the default ones"),
        ("toccata train --seeds 0 1 2 --run-dir runs/three", "three seeds side by side"),
        ("toccata train --resume runs/folk --total-timesteps 2000000", "go on with a run"),
    ),
    "evaluate": (
        ("toccata evaluate runs/run-1", "eight pieces as files, and a table over 64"),
        ("toccata evaluate runs/folk --bars 32 --samples 256", "longer pieces than it was trained on, and more"),
        ("toccata evaluate my_midi/ --genre jazz", "a folder of music, whatever made it"),
    ),
    "compare": (
        ("toccata compare runs/three", "the runs of `toccata train --seeds`, once evaluated"),
        ("toccata compare runs/mine runs/other --out comparison", "two groups of runs, and their differences"),
    ),
    "metrics": (
        ("toccata metrics song.mid", "all metrics of one file"),
        ("toccata metrics my_midi/ --csv metrics.csv", "a row for each file of a folder"),
    ),
    "overoptimise": (
        ("toccata overoptimise runs/three --out studies/three", "reward and judges against the KL"),
        ("toccata overoptimise runs/a runs/b --out studies/two --samples 64 --base 256", "quicker, wider intervals"),
    ),
    "compose": (
        ("toccata compose --genre folk --bars 16", "four pieces by the prior, to the next free composed/NAME"),
        ("toccata compose --primer song.mid --genre jazz", "continue a piece of yours"),
        ("toccata compose --run runs/folk --pieces 10", "ten pieces by a trained agent"),
        ("toccata compose --with markov --genre classical", "another composer"),
        ("toccata compose --lyrics words.txt --genre folk --voice alto", "songs with these words"),
    ),
    "dream": (
        ("toccata dream", "two sounds that the rating likes, to the next free dreams/NAME"),
        ("toccata dream --no-regularise --pieces 4 --out dreams/naive", "without regularisers"),
        ("toccata dream --with-realism --seconds 16", "likes and realism, longer"),
    ),
    "study rivals": (
        (
            "toccata study rivals --runs runs/three --out studies/rivals",
            "every composer beside an agent of three seeds",
        ),
        ("toccata study rivals --composers random markov --samples 64 --out studies/few", "two, fewer pieces"),
    ),
    "study genres": (
        ("toccata study genres --out studies/genres", "classical and folk, from the music that music21 brings"),
        ("toccata study genres --data my_midi/ --agent-steps 0 --out studies/mine", "your own genres, no agents"),
    ),
    "study songs": (
        ("toccata study songs --out studies/songs", "thirty poems: do words and notes fit?"),
        ("toccata study songs --poems my-poems --voice tenor --genre folk --out studies/mine", "your own"),
    ),
    "fit-rival": (
        ("toccata fit-rival markov --data my_midi/ --out my-markov", "a Markov chain of your own music"),
        ("toccata fit-rival chord-lstm --minutes 10 --out my-lstm", "ten minutes of an LSTM over chords"),
    ),
    "fit-rating": (
        ("toccata fit-rating --data my-music --out my-rating", "a folder with manifest.csv: file,plays,likes"),
        ("toccata fit-rating --data my-music --out quick --copies 1 --epochs 10 --folds 0", "a first look"),
    ),
    "harden": (
        ("toccata harden --out hardened", "attack the rewards, and fit them again to what the attacks find"),
        ("toccata harden --rounds 0 --rating rating:my-rating --out attacks", "only attack a rating of yours"),
    ),
    "fit-prior": (
        (
            "toccata fit-prior --data my_midi/ --init-from transformer --learning-rate 2e-4 --out my-prior",
            "fit the shipped prior further to music of your own",
        ),
        ("toccata fit-prior --data my_midi/ --backbone lstm --minutes 30 --out my-lstm", "from nothing, half an hour"),
    ),
    "listen": (
        ("toccata listen runs/folk composed/markov-1 --people bach", "blind pairs of an agent, a composer and people"),
        ("toccata listen my_midi/ --db votes.sqlite --host 0.0.0.0", "for other machines, which need a token"),
    ),
    "listen results": (
        ("toccata listen results listening.sqlite", "tables: what listeners prefer, and who agrees with them"),
        ("toccata listen results listening.sqlite --out votes", "files too; votes/data is for `toccata fit-rating`"),
    ),
    "push": (
        ("toccata push runs/folk OWNER", "a run, to the usual name on the Hub"),
        ("toccata push my-rating OWNER/my-rating --licence mit --to look", "to a folder, to look at first"),
    ),
    "pull": (
        ("toccata pull OWNER/grpo-toccata-Piano-v0 runs/theirs", "a run that somebody shared, verified"),
        ("toccata pull OWNER/my-rating --revision v1", "a rating, by tag or commit"),
    ),
}


def examples_of(command: str) -> str:
    """The examples of a command as text: a comment, and below it the line to type."""
    return "\n".join(f"  # {comment}\n  {line}" for line, comment in EXAMPLES[command])
