"""Signatures of what this user made on this machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from toccata.signatures import KEY_BYTES, is_signed, sign


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TOCCATA_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def test_a_signature_is_of_these_bytes_in_this_order() -> None:
    signature = sign(b"a", b"bc")
    assert is_signed(signature, b"a", b"bc")
    for parts in ([b"ab", b"c"], [b"bc", b"a"], [b"a"], [b"a", b"bc", b""]):
        assert not is_signed(signature, *parts)
    for other in (None, 3, "", "ä", signature.upper(), signature[:-1]):
        assert not is_signed(other, b"a", b"bc")


def test_the_key_is_of_this_user_and_lasts(state: Path) -> None:
    signature = sign(b"a")
    key = state / "signing-key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert len(key.read_bytes()) == KEY_BYTES
    code = "from toccata.signatures import sign; print(sign(b'a'))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == signature
    key.write_bytes(bytes(KEY_BYTES))
    assert not is_signed(signature, b"a")


def test_every_state_folder_has_a_key_of_its_own(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signature = sign(b"a")
    monkeypatch.setenv("TOCCATA_STATE", str(state.parent / "of-another-user"))
    assert not is_signed(signature, b"a")
    monkeypatch.setenv("TOCCATA_STATE", str(state))
    assert is_signed(signature, b"a")


def test_without_a_state_folder_signatures_last_as_long_as_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TOCCATA_STATE", str(tmp_path / "file" / "state"))
    assert is_signed(sign(b"a"), b"a")
