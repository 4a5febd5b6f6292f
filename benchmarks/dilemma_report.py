"""Tables and picture of the results of benchmarks/dilemma.py."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

COLOURS = ("#347dbc", "#d9822b", "#3f9c5a", "#a4508b", "#6b7685", "#c0392b")
FAMILIES = ("weighted sum", "product", "gate", "hinge")
SHOWN = {"weighted sum": ("0", "1", "4", "inf"), "product": ("1",), "gate": ("5 %", "10 %"), "hinge": ("10 %",)}


def percent(interval: Sequence[float]) -> str:
    """`12.0 [10.1, 14.2]`, of shares in percent."""
    return "{:.1f} [{:.1f}, {:.1f}]".format(*(100 * each for each in interval))


def number(interval: Sequence[float]) -> str:
    """`0.31 [0.25, 0.38]`."""
    return "{:.2f} [{:.2f}, {:.2f}]".format(*interval)


def table(head: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    names = list(head)
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def rejections(critics: dict) -> str:
    """Rejected of the popular and the unpopular tenth, by critic."""
    rows = [
        [
            name,
            percent(each["popular"]),
            percent(each["unpopular"]),
            percent(each["difference"]),
            number(each["rank_correlation"]),
            number(each["partial_rank_correlation"]),
        ]
        for name, each in critics.items()
    ]
    return table(("critic", "popular, %", "unpopular, %", "difference, points", "rank correlation", "partial"), rows)


def report(results: dict) -> str:
    """All tables, Markdown, of results as they are read from JSON."""
    doodle, pool = results["doodle"], results["pool"]
    critics = doodle["critics"]
    parts = [
        f"## Melodies: {doodle['pieces']}, {doodle['clusters']} contours\n",
        rejections(critics),
        "### With other thresholds\n",
        rejections(doodle["other_thresholds"]),
        "### By decile, the least popular first, % rejected\n",
        table(
            ("critic", *map(str, range(1, 11))),
            ([name, *(f"{100 * each[0]:.1f}" for each in of["deciles"])] for name, of in critics.items()),
        ),
        "### Counts drawn anew, and parts of the table\n",
        table(
            (
                "critic",
                "difference, counts redrawn",
                *(
                    f"{where}: {what}"
                    for where in critics["typicality"]["scopes"]
                    for what in ("difference", "rank correlation", "partial")
                ),
            ),
            (
                [
                    name,
                    percent(of["counts_redrawn"]),
                    *(
                        cell
                        for each in of["scopes"].values()
                        for cell in (
                            percent(each["difference"]),
                            number(each["rank_correlation"]),
                            number(each["partial_rank_correlation"]),
                        )
                    ),
                ]
                for name, of in critics.items()
            ),
        ),
        "### What popular melodies are like\n",
        table(
            ("property", "rank correlation with popularity", *map(str, range(1, 11))),
            (
                [name, f"{each['rank_correlation']:.2f}", *(f"{value:.2f}" for value in each["deciles"])]
                for name, each in doodle["shape"].items()
            ),
        ),
        "### Critic fitted to melodies: AUC over held-out negatives\n",
        table(doodle["negatives"], [[number(each) for each in doodle["negatives"].values()]]),
        f"Predicted popularity: rank correlation {doodle['prediction']['rank_correlation']:.2f}\n",
        table(
            ("critic", "with predicted popularity"),
            ([k, f"{v:.2f}"] for k, v in doodle["prediction"]["with_critics"].items()),
        ),
        "### Remedies\n",
        table(
            (
                "critic, remedy",
                "popular, %",
                "unpopular, %",
                "difference, points",
                "popular beside plain, points",
                "rank correlation",
                "AUC over generated",
                "generated accepted, %",
            ),
            (
                [
                    name,
                    percent(each["popular"]),
                    percent(each["unpopular"]),
                    percent(each["difference"]),
                    percent(each["change_of_popular"]),
                    number(each["rank_correlation"]),
                    number(each["auc"]),
                    percent(each["generated_accepted"]),
                ]
                for name, each in doodle["remedies"].items()
            ),
        ),
    ]
    parts += [
        "### Rewards of melodies\n",
        table(
            ("reward", "AUC, popular over unpopular tenth", "AUC, real over generated"),
            ([rule, number(each["popular"]), number(each["real"])] for rule, each in doodle["rewards"].items()),
        ),
    ]
    parts.append(f"## Pool of {pool['pieces']} pieces\n")
    moments = [
        [name, *(f"{each[0]:.2f} ({each[1]:.2f})" for each in pool[name].values())] for name in ("start", "real")
    ]
    parts.append(table(("mean (standard deviation)", *pool["axes"]), moments))
    parts.append(table(("rank correlation", ""), ([k, f"{v:.2f}"] for k, v in pool["rank_correlations"].items())))
    for n, families in pool["best_of"].items():
        parts += [
            f"### Best of {n}\n",
            table(
                ("rule", "hypervolume", "beside the weighted sum", "judges' hypervolume", "beside the weighted sum"),
                (
                    [
                        family,
                        *(number(each[key]) for key in ("hypervolume", "gain", "judged_hypervolume", "judged_gain")),
                    ]
                    for family, each in families.items()
                ),
            ),
            table(
                ("rule", *pool["axes"]),
                (
                    [f"{family}, {setting}", *(f"{value:.2f}" for value in point)]
                    for family, each in families.items()
                    for setting, point in zip(each["settings"], each["points"], strict=True)
                    if setting in SHOWN.get(family, ())
                ),
            ),
            table(
                ("critic", "sums", "beside shipped sums", "gates", "beside shipped sums"),
                (
                    [name, *(number(each[key]) for key in ("sum", "sum_gain", "gate", "gate_gain"))]
                    for name, each in pool["remedies"][n].items()
                ),
            ),
        ]
    if "billboard" in results:
        songs = results["billboard"]
        parts += [
            f"## Songs: {songs['pieces']}, {songs['clusters']} artists\n",
            f"Rank correlation of success and year: {songs['rank_correlation_with_year']:.2f}\n",
            rejections(songs["critics"]),
            table(
                ("critic", *songs["negatives"]),
                [["fitted to songs, features", *(f"{auc[0]:.2f}" for auc in songs["negatives"].values())]],
            ),
        ]
    return "\n".join(parts)


def plot(results: dict, path: Path) -> None:
    """Four panels: rejection by decile, both fronts, and what remedies change."""
    from matplotlib.figure import Figure

    doodle, pool = results["doodle"], results["pool"]
    figure = Figure(figsize=(12, 9), layout="constrained")
    axes = figure.subplots(2, 2)
    deciles, (trained, judged), bars = axes[0, 0], (axes[0, 1], axes[1, 0]), axes[1, 1]

    for colour, (name, each) in zip(COLOURS, doodle["critics"].items(), strict=False):
        means, lows, highs = (([100 * value[i] for value in each["deciles"]]) for i in range(3))
        deciles.plot(range(1, 11), means, "o-", ms=3, lw=1.2, color=colour, label=name)
        deciles.fill_between(range(1, 11), lows, highs, color=colour, alpha=0.1, lw=0)
    deciles.axhline(10, color="#888888", lw=0.8, ls="--")
    deciles.set(title="melodies rejected, %", xlabel="decile of popularity, 10 the most popular", xticks=range(1, 11))

    names = pool["axes"]
    for panel, (x, y), title in (
        (trained, (0, 1), "best of n: the rewards that select, colours as below"),
        (judged, (2, 3), "best of n: what the judges say of the same pieces"),
    ):
        for style, (n, families) in zip(("o--", "o-"), pool["best_of"].items(), strict=True):
            for colour, family in zip(COLOURS, FAMILIES, strict=False):
                points = families[family]["points"]
                label = f"{family}, n = {n}" if panel is judged else None  # once for both
                panel.plot([p[x] for p in points], [p[y] for p in points], style, ms=3, lw=1, color=colour, label=label)
        panel.plot(
            *(pool["start"][names[axis]][0] for axis in (x, y)), "s", ms=8, color="black", label="mean of the pool"
        )
        real = ", ".join(f"{pool['real'][names[axis]][0]:.2f}" for axis in (x, y))
        panel.plot([], [], " ", label=f"chorales and folk tunes: {real}")
        panel.set(title=title, xlabel=names[x], ylabel=names[y])

    rows = list(doodle["remedies"].items())
    for offset, colour, key in ((-0.18, COLOURS[0], "unpopular"), (0.18, COLOURS[1], "popular")):
        values = [[100 * value for value in each[key]] for _, each in rows]
        errors = [[value[0] - value[1] for value in values], [value[2] - value[0] for value in values]]
        places = [row + offset for row in range(len(rows))]
        bars.barh(places, [value[0] for value in values], 0.34, xerr=errors, color=colour, label=f"{key} tenth")
    bars.set_yticks(range(len(rows)), [name for name, _ in rows])
    bars.invert_yaxis()
    bars.axvline(10, color="#888888", lw=0.8, ls="--")
    bars.set(title="remedies: melodies rejected, %")
    for panel in axes.flat:
        panel.grid(color="#e2e7ee")
        panel.tick_params(labelsize=8)
        panel.legend(fontsize=7)
    figure.savefig(path, dpi=110)
