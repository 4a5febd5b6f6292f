import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toccata.reward_models.preferences import PreferenceError, read_preferences


def test_a_path_without_data_is_an_error_with_the_supported_kinds(tmp_path):
    with pytest.raises(PreferenceError, match=r"nowhere: no such file or folder; it can be a manifest CSV"):
        read_preferences(tmp_path / "nowhere")
    with pytest.raises(PreferenceError, match=r"holds no preference data; it can be .*manifest\.csv"):
        read_preferences(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"file,plays\na.wav,3\n",
        b"hello",
        b"{}",
        b'{"a": 1}\n' * 3,
        b"{" * 5_000,
        b"[" * 5_000,
        b"[broken",
        b"\x1f\x8bno gzip",
        b"\x1f\x8b",
        b"\x00" * 99,
        bytes(range(256)) * 9,
        b'"file,plays,likes',
        "file,plays,likes\n".encode("utf-16"),
    ],
)
def test_unsupported_content_is_an_error_of_one_line(tmp_path, content):
    path = tmp_path / "something.csv"
    path.write_bytes(content)
    with pytest.raises(PreferenceError) as error:
        read_preferences(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


@given(st.binary(max_size=300))
def test_random_content_is_an_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("any") / "manifest.csv"
    path.write_bytes(content)
    with pytest.raises(PreferenceError):
        read_preferences(path.parent)


def test_a_manifest_is_preferred_to_other_tables_of_its_folder(tmp_path, write_csv, touch):
    row = {"notes": [[60, 0, 4], [62, 4, 8]], "sessions": 7}
    (tmp_path / "melodies.jsonl").write_text(json.dumps(row), encoding="utf-8")
    touch(tmp_path / "a.wav")
    write_csv(tmp_path / "manifest.csv", [["file", "plays", "likes"], ["a.wav", 3, 2]])
    assert read_preferences(tmp_path).preferences[0].file == tmp_path / "a.wav"
