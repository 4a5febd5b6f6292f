"""Which genre does best, and in words."""

from toccata.agents.studies.genres.verdict import in_words, winner
from toccata.stats import Interval

CLASSICAL, JAZZ, ROCK = Interval(2.0, 1.9, 2.1), Interval(3.0, 2.9, 3.1), Interval(2.1, 2.0, 2.2)


def test_lowest_and_highest():
    values = {"jazz": JAZZ, "classical": CLASSICAL, "rock": ROCK}
    low = winner("bits", values, higher=False)
    assert (low.genre, low.second, low.apart) == ("classical", "rock", False)
    high = winner("share", values, higher=True)
    assert (high.genre, high.second, high.apart) == ("jazz", "rock", True)


def test_measures_that_disagree_are_said_to():
    low = winner("bits", {"classical": CLASSICAL, "jazz": JAZZ}, higher=False)
    high = winner("share", {"classical": CLASSICAL, "jazz": JAZZ}, higher=True)
    close = winner("distance", {"classical": CLASSICAL, "rock": ROCK}, higher=False)
    assert in_words([low, high])[-1] == (
        "No genre is the most generative: measures whose intervals are apart favour classical and jazz."
    )
    assert in_words([low, low])[-1] == "All measures agree."
    assert in_words([close])[-1] == "All measures agree, but none has intervals that are apart."
    assert in_words([low, close, winner("x", {"classical": ROCK, "rock": CLASSICAL}, higher=False)])[-1].startswith(
        "Where intervals are apart, the best is classical"
    )
    assert in_words([low])[0] == "classical is best by 1 of 1 measures, beyond the intervals by 1"
