"""The example that makes a corpus of jazz solos, run as a user would."""

import json
import subprocess
import sys
from pathlib import Path

from toccata.music.corpus import load_corpus

SCRIPT = Path(__file__).parent.parent / "examples/jazz_corpus.py"


def test_solos_become_a_corpus_with_a_left_hand(tmp_path):
    notes = [[70 + index % 5, 0.3 * index, 0.2] for index in range(64)]
    solos = [
        {"performer": performer, "title": f"Tune {number}", "bpm": 100.0, "notes": notes[number:]}
        for number, performer in enumerate(("Art Pepper", "ArtPepper", "Lee Konitz"))
    ]
    source = tmp_path / "solos.jsonl"
    source.write_text("\n".join(json.dumps(solo) for solo in solos))
    command = [sys.executable, str(SCRIPT), str(source), str(tmp_path / "jazz")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("3 solos in ")
    corpus = load_corpus(tmp_path / "jazz")
    assert corpus.genres == ("jazz",)
    assert {work.licence for work in corpus} == {"ODbL 1.0"}
    assert all(len(work.score) > 64 for work in corpus)
    assert corpus.works[0].given_split == corpus.works[1].given_split
