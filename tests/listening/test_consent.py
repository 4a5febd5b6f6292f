from pathlib import Path

import pytest

from toccata.files import FileError
from toccata.listening.consent import CONSENT_TEXT, MAX_BYTES, ConsentError, read_consent


def test_the_text_that_listeners_agree_to(tmp_path: Path) -> None:
    assert read_consent(None) == CONSENT_TEXT
    path = tmp_path / "consent.txt"
    path.write_text("  Einverstanden?\n", encoding="utf-8")
    assert read_consent(path) == "Einverstanden?"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConsentError, match="is not UTF-8 text"):
        read_consent(path)
    path.write_text(" \n")
    with pytest.raises(ConsentError, match="is empty"):
        read_consent(path)
    path.write_text("x" * (MAX_BYTES + 1))
    with pytest.raises(FileError, match="larger than 20,000 bytes"):
        read_consent(path)
