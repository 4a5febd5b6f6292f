from __future__ import annotations

from math import log

import numpy as np
import pytest
import torch

from toccata.agents.rivals.chord_lstm.classes import Events, Vocabulary
from toccata.agents.rivals.chord_lstm.likelihood import cross_entropy
from toccata.agents.rivals.chord_lstm.network import ChordLSTM

VOCABULARY = Vocabulary(((60,), (62,), (64,)), ((24, 24), (12, 12)))


def events(*pitches: int) -> Events:
    return Events(tuple((pitch,) for pitch in pitches), np.full((len(pitches), 2), 24))


def uniform_network() -> ChordLSTM:
    network = ChordLSTM(VOCABULARY).eval()
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)
    return network


def test_cross_entropy_of_a_uniform_network_is_that_of_uniform_classes() -> None:
    measured = cross_entropy(uniform_network(), VOCABULARY, [events(60, 62, 60, 64), events()], [events(60, 60, 62)])
    assert measured is not None
    assert (measured.works, measured.events, measured.notes, measured.unknown) == (1, 4, 4, 0)
    assert measured.uniform_nats == log(4)  # three chords, and the class of all others
    assert measured.chord_nats == pytest.approx(log(4), abs=1e-6)
    assert measured.timing_nats == pytest.approx(log(2), abs=1e-6)
    assert measured.bits_per_note == pytest.approx(3, abs=1e-5)
    # counts with one more each: 60 has 3 of 7, 62 has 2, 64 and all others 1
    assert measured.unigram_nats == pytest.approx(log(7) - (2 * log(3) + log(2) + log(1)) / 4)


def test_chords_without_a_class_are_spelt_by_the_frequencies_of_training() -> None:
    training = [Events(((60, 62), (60,)), np.full((2, 2), 24))]
    measured = cross_entropy(uniform_network(), VOCABULARY, [Events(((60, 62),), np.full((1, 2), 24))], training)
    assert measured is not None
    assert measured.unknown == 1
    # one of the two training chords has two notes; 60 has two of the three notes, 62 one; two orders
    expected = -log(2 / 130) - log(3 / 131) - log(2 / 131) - log(2)
    assert measured.spelling_nats == pytest.approx(expected)


def test_works_without_events_have_none() -> None:
    assert cross_entropy(uniform_network(), VOCABULARY, [events()], [events(60)]) is None
