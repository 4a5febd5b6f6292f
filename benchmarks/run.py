"""Every benchmark in one table: `python benchmarks/run.py`.

Writes benchmarks/results.json (rows, machine, versions) and exits with 1 when a target is missed. Every row compares
with a peer measured in the same run.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from datetime import datetime, timezone
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one core each, before anything that reads it is imported

import bench_env
import bench_ppo
import bench_rating
import bench_sequences
import bench_sound
import numpy as np
from rich.console import Console
from rich.table import Table

from toccata.agents.runs.run_folder import versions

RESULTS = Path(__file__).parent / "results.json"
BENCHMARKS = (bench_env, bench_sound, bench_rating, bench_ppo, bench_sequences)


def machine() -> dict[str, str | int | None]:
    """What the figures were measured on."""
    info = Path("/proc/cpuinfo")
    models = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.is_file() else []
    return {
        "processor": models[0].partition(":")[2].strip() if models else platform.processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
    }


def table_of(rows: list[dict]) -> Table:
    """The rows as a table for the terminal."""
    table = Table(title="benchmarks")
    table.add_column("what")
    for name in ("ours/s", "peer/s"):
        table.add_column(name, justify="right")
    table.add_column("peer")
    for name in ("ratio", "target", ""):
        table.add_column(name, justify="right")
    for row in rows:
        ours, peer = (f"{row[key]:,.0f}" if row[key] else "" for key in ("ours_per_second", "peer_per_second"))
        target = "" if row["target"] is None else f"{row['target']:g}"
        verdict = "" if row["target"] is None else "[green]ok[/green]" if row["ok"] else "[red]missed[/red]"
        table.add_row(row["name"], ours, peer, row["peer"], f"{row['ratio']:.4g}", target, verdict)
    return table


def main() -> int:
    """Measure, print, write; 1 when a target is missed."""
    console = Console()
    rows = []
    for benchmark in BENCHMARKS:
        with console.status((benchmark.__doc__ or "").splitlines()[0]):
            rows += benchmark.rows()
    console.print(table_of(rows))
    results = {
        "measured": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": versions(),
        "rows": rows,
    }
    RESULTS.write_text(json.dumps(results, indent=2, default=np.generic.item) + "\n")  # rows hold NumPy numbers
    return 0 if all(row["ok"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
