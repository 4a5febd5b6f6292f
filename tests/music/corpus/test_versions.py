"""Groups of versions of one work."""

from toccata.music.corpus.versions import melody_fingerprint, version_groups
from toccata.music.score import Score


def test_versions_share_a_group_by_name_or_melody(tune):
    melody = tune(60, 20)
    slower = Score([(2 * onset, 2 * duration, pitch, 1) for onset, duration, pitch, _ in melody.notes.tolist()])
    with_bass = Score([*melody.notes.tolist(), *[(12 * i, 12, 40, 80) for i in range(40)]])
    others = [melody.transpose(5), slower, with_bass, tune(60, 20, step=2), tune(60, 11)]
    names = ["a", "b", "c", "d", "e", "f"]
    assert version_groups(names, [melody, *others]) == ["a", "a", "a", "a", "e", "f"]
    assert version_groups(["a", "b", "b"], [melody, tune(60, 20, step=2), slower]) == ["a", "a", "a"]
    assert melody_fingerprint(Score()) == ""
