"""Specs: text and data are one grammar; only literals are arguments."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toccata.settings.specs import Spec, SpecError, parse_spec, spec_from_data, weighted_texts

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
TARGETS = st.sampled_from(
    ["rating", "rating:my folder (2)", "my_lab.r:R.S", "a:b", "rating:x)", "rating:a (old) #2", "/d()#", "a(b)\n(c"]
)
NAMES = st.sampled_from(["weight", "mode", "n_1", "größe", "µ"])


@given(TARGETS, st.dictionaries(NAMES, VALUES, max_size=3))
def test_text_and_data_are_inverses(target: str, args: dict[str, Any]) -> None:
    spec = Spec(target, args)
    assert parse_spec(str(spec)) == spec
    assert spec_from_data(json.loads(json.dumps({"model": spec.target, "args": spec.args}))) == spec


def test_known_texts() -> None:
    assert parse_spec('my_rewards:Weighted(weight=2,mode="fast")') == Spec(
        "my_rewards:Weighted", {"weight": 2, "mode": "fast"}
    )
    assert parse_spec("a:b(x=-1.5, y=(1, 2), z={'k': [None, True]}, )").args == {
        "x": -1.5,
        "y": [1, 2],  # as JSON would give it back
        "z": {"k": [None, True]},
    }
    assert parse_spec("rating") == parse_spec("rating()") == Spec("rating")
    assert parse_spec("rating:old (1) weights(pessimism=2)") == Spec("rating:old (1) weights", {"pessimism": 2})
    assert parse_spec("rating:weights (1)()") == Spec("rating:weights (1)")
    assert str(Spec("rating:weights (1)")) == "rating:weights (1)()"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("my:R(2)", "argument 2 has no name; write name=value"),
        ("my:R(mode=fast)", 'mode must be a number, text in quotes, .* text needs quotes: mode="fast"'),
        ("my:R(x=__import__('os').system('true'))", "x must be a number"),
        ("my:R(x=1 + 1)", "x must be a number"),
        ("my:R(x=f'{1}')", "x must be a number"),
        ("my:R(x=1, x=2)", "has the argument x twice"),
        ("my:R(**{'x': 1})", "is not possible here"),
        (f"my:R(x={2**2000})", "whole ones of at most 1024 bits"),
        ("my:R(x=1e999)", "must be a finite number"),
        ("my:R(x={1, 2})", "must be a finite number"),
        ("my:R(x=b'1')", "must be a finite number"),
        ("my:R(x={1: 2})", "must be a finite number"),
        ("my:R(x=1j)", "must be a finite number"),
        ("my:R(x=)", "cannot read its arguments"),
        ("my:R)", "cannot read its arguments"),
        ("my:R(x=" + "[" * 1000 + "]" * 1000 + ")", "cannot read its arguments|finite number|must be a number"),
        ("my:R(x=" + "1" * 5000 + ")", "at most 4,096 characters"),
        ("", "must name a model"),
        (" ", "must name a model"),
        ("(x=1)", "must name a model"),
    ],
)
def test_a_text_that_is_no_spec_is_one_line(text: str, reason: str) -> None:
    with pytest.raises(SpecError, match=reason) as caught:
        parse_spec(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({}, "has no model"),
        ({"model": 3}, "its model must be text, got 3"),
        ({"model": "a:b", "wieght": 1}, "has 'wieght'; there are model, weight and args"),
        ({"model": "a:b", "args": [1]}, "args must be names and values"),
        ({"model": "a:b", "args": {"not a name": 1}}, "must be a Python name"),
        ({"model": "a:b", "args": {"class": 1}}, "must be a Python name"),
        ({"model": "a:b", "args": {"x": object}}, "x must be a finite number"),
        ({"model": "a:b", "args": {"x": float("nan")}}, "x must be a finite number"),
    ],
)
def test_data_that_is_no_spec_is_one_line(data: dict[Any, Any], reason: str) -> None:
    with pytest.raises(SpecError, match=reason):
        spec_from_data(data)


def test_weighted_sums_in_every_form() -> None:
    expected = (("rating", 1.0), ("my:R(a=1)", 0.5))
    pairs = [["rating", 1.0], ["my:R(a=1)", 0.5]]
    objects = [{"model": "rating"}, {"model": "my:R", "weight": 0.5, "args": {"a": 1}}]
    assert weighted_texts(pairs) == weighted_texts(objects) == weighted_texts([pairs[0], objects[1]]) == expected
    assert weighted_texts("rating") == (("rating", 1.0),)
    assert weighted_texts({"model": "rating", "weight": 2}) == (("rating", 2),)
    with pytest.raises(SpecError, match=r"an entry of rewards must be \[model, weight\] or .* got 1.0"):
        weighted_texts(["rating", 1.0])  # a pair, not a list of pairs
    with pytest.raises(SpecError, match="rewards must be a list"):
        weighted_texts(3)
    with pytest.raises(SpecError, match="on the command line only"):
        weighted_texts(["+", ["my:R", 0.5]])
