import pytest

from toccata.music.songs.german import german_stress


@pytest.mark.parametrize(
    ("syllables", "stress"),
    [
        (["Mei", "ne"], [1, 0]),
        (["Seel’"], [1]),
        (["er", "hebt"], [0, 1]),
        (["den"], [0]),
        (["Her", "ren;"], [1, 0]),
        (["ge", "bo", "ren"], [0, 1, 0]),
        (["Mor", "gen", "stun", "de,"], [1, 0, 0, 0]),
        (["re", "gie", "ren"], [0, 1, 0]),
        (["..."], [0]),
        ([], []),
    ],
)
def test_the_stress_of_words(syllables: list[str], stress: list[int]) -> None:
    assert german_stress(syllables) == stress
