"""All backbones: step by step and as whole sequences they give the same numbers."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.rounding import float32_rounding
from toccata.agents.policies.cache import Cache, Steps
from toccata.agents.policies.lstm import Lstm
from toccata.agents.policies.transformer import INITIAL_CAPACITY, Transformer
from toccata.agents.policies.wavenet import DILATIONS, Wavenet

Backbone = Transformer | Lstm | Wavenet

WIDTH = 16
# Sums over the width in at most ten matrices, of a WaveNet; outputs and what is summed are below 4
NEAR = {"rtol": 0.0, "atol": float32_rounding(10 * WIDTH, 4.0)}
NEW = {
    "transformer": lambda: Transformer(WIDTH, layers=2, heads=2),
    "lstm": lambda: Lstm(WIDTH, layers=2),
    "wavenet": lambda: Wavenet(WIDTH, layers=4),  # looks back 15 steps
}


def random_backbone(kind: str) -> Backbone:
    torch.manual_seed(0)
    backbone = NEW[kind]()
    for parameter in backbone.parameters():
        if parameter.ndim > 1:  # larger weights than the initial ones, so that mistakes show
            torch.nn.init.normal_(parameter, std=WIDTH**-0.5)
    return backbone.eval().requires_grad_(False)


BACKBONES = {kind: random_backbone(kind) for kind in NEW}


@pytest.fixture(params=list(BACKBONES))
def backbone(request: pytest.FixtureRequest) -> Backbone:
    return BACKBONES[request.param]


def random_input(seed: int, rows: int, time: int, start_share: float = 0.2) -> tuple[torch.Tensor, Steps]:
    """Random inputs, episode starts and rising ticks."""
    rng = torch.Generator().manual_seed(seed)
    starts = torch.rand(rows, time, generator=rng) < start_share
    rests = torch.randint(0, 4, (rows, time), generator=rng) * 12
    ticks = torch.zeros(rows, time, dtype=torch.int64)
    for step in range(1, time):
        ticks[:, step] = (ticks[:, step - 1] + rests[:, step]).masked_fill(starts[:, step], 0)
    bar_ticks = torch.randint(1, 5, (rows, 1), generator=rng).expand(rows, time) * 24
    top = torch.randint(0, 89, (rows, time), generator=rng)
    return torch.randn(rows, time, WIDTH, generator=rng), Steps(starts, ticks, bar_ticks, top)


def part(steps: Steps, start: int, end: int, rows: Any = slice(None)) -> Steps:
    return Steps(*(each[rows, start:end] for each in steps))


def run_stepwise(
    backbone: Backbone, x: torch.Tensor, steps: Steps, cache: Cache | None = None
) -> tuple[torch.Tensor, Cache]:
    """Outputs step by step, and the last cache; the cache that is given is left as it is."""
    cache = backbone.empty_cache(len(x)) if cache is None else Cache(cache.lengths, cache.state.clone())
    outs = []
    for time in range(x.shape[1]):
        out, cache = backbone.step(x[:, time : time + 1], part(steps, time, time + 1), cache)
        outs.append(out)
    return torch.cat(outs, dim=1), cache


@pytest.mark.parametrize("kind", BACKBONES)
@settings(max_examples=20)
@given(
    seed=st.integers(0, 10**6),
    rows=st.integers(1, 4),
    time=st.integers(1, 24),
    before=st.integers(0, 24),
    share=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
)
def test_forward_equals_steps(kind: str, seed: int, rows: int, time: int, before: int, share: float) -> None:
    """For any episode starts, several episodes in a row or none, with any cache."""
    backbone = BACKBONES[kind]
    x, steps = random_input(seed, rows, before + time, share)
    stepwise, _ = run_stepwise(backbone, x, steps)
    cache = run_stepwise(backbone, x[:, :before], part(steps, 0, before))[1] if before else None
    at_once = backbone(x[:, before:], part(steps, before, before + time), cache)
    torch.testing.assert_close(at_once, stepwise[:, before:], **NEAR)


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), lengths=st.lists(st.integers(0, 12), min_size=1, max_size=4))
@pytest.mark.parametrize("kind", BACKBONES)
def test_prefill_equals_steps(kind: str, seed: int, lengths: list[int]) -> None:
    backbone = BACKBONES[kind]
    prefilled = torch.tensor(lengths)
    x, steps = random_input(seed, len(lengths), 18, 0.0)
    cache = backbone.prefill(x[:, :12], part(steps, 0, 12), prefilled)
    assert cache.lengths.tolist() == lengths
    rows = torch.arange(len(lengths))
    later = prefilled[:, None] + torch.arange(6)
    # an episode starts with rows whose cache is empty
    rest = Steps(*(each[rows[:, None], later] for each in steps))._replace(episode_starts=later == 0)
    stepwise, _ = run_stepwise(backbone, x[rows[:, None], later], rest, cache)
    at_once = backbone(x[rows[:, None], later], rest, cache)
    for row, length in enumerate(lengths):
        end = length + 6
        alone, _ = run_stepwise(backbone, x[row : row + 1, :end], part(steps, 0, end, [row]))
        torch.testing.assert_close(stepwise[row], alone[0, length:], **NEAR)
        torch.testing.assert_close(at_once[row], alone[0, length:], **NEAR)


def test_the_cache_grows_beyond_its_initial_capacity(backbone: Backbone) -> None:
    x, steps = random_input(0, 2, INITIAL_CAPACITY + 9, 0.0)
    steps.episode_starts[0, 5] = True  # one row shorter than the other
    steps.ticks[0, 5:] -= steps.ticks[0, 5].item()
    stepwise, cache = run_stepwise(backbone, x, steps)
    assert cache.lengths.tolist() == [INITIAL_CAPACITY + 4, INITIAL_CAPACITY + 9]
    torch.testing.assert_close(backbone(x, steps), stepwise, **NEAR)


def test_a_step_can_be_repeated_from_one_cache(backbone: Backbone) -> None:
    x, steps = random_input(1, 3, 8, 0.2)
    _, cache = run_stepwise(backbone, x[:, :7], part(steps, 0, 7))
    backbone.step(x[:, :1], part(steps, 7, 8), cache)
    again, _ = backbone.step(x[:, 7:], part(steps, 7, 8), cache)
    torch.testing.assert_close(again, backbone(x, steps)[:, 7:], **NEAR)


def test_an_episode_start_drops_the_cache(backbone: Backbone) -> None:
    x, steps = random_input(2, 2, 6, 0.0)
    _, cache = run_stepwise(backbone, x, steps)
    begin = part(steps, 0, 1)._replace(episode_starts=torch.tensor([[True], [False]]), ticks=torch.tensor([[0], [99]]))
    out, after = backbone.step(x[:, :1], begin, cache)
    restarted, _ = backbone.step(x[:, :1], begin, backbone.empty_cache(2))
    torch.testing.assert_close(out[0], restarted[0], **NEAR)
    assert (out[1] - restarted[1]).abs().max() > 1e-3
    assert after.lengths.tolist() == [1, 7]


def test_rows_of_a_cache(backbone: Backbone) -> None:
    x, steps = random_input(3, 4, 9, 0.1)
    _, cache = run_stepwise(backbone, x[:, :8], part(steps, 0, 8))
    rows = torch.tensor([2, 0, 2])
    out, _ = backbone.step(x[rows, 8:], part(steps, 8, 9, rows), cache[rows])
    torch.testing.assert_close(out, backbone(x, steps)[rows, 8:], **NEAR)


def test_it_is_causal_and_episodes_are_independent(backbone: Backbone) -> None:
    """A changed step changes no earlier output and none of a later episode, not by a bit."""
    x, steps = random_input(4, 3, 12, 0.0)
    steps.episode_starts[:, 8] = True
    steps.ticks[:, 8:] -= steps.ticks[:, 8:9].clone()
    plain = backbone(x, steps)
    for place in range(12):
        changed = x.clone()
        changed[:, place] = torch.linspace(-1, 1, WIDTH)
        reach = (backbone(changed, steps) - plain).abs().amax(dim=(0, 2))
        assert not reach[:place].any()
        assert reach[place] > 0.1
        if place < 8:
            assert not reach[8:].any()
            assert (reach[place:8] > 0.01).all()


def test_gradients_reach_back_and_not_forward(backbone: Backbone) -> None:
    x, steps = random_input(5, 2, 10, 0.0)
    steps.episode_starts[:, 3] = True
    x.requires_grad_()
    # Not the plain sum: that of a layer-normalised output is constant, its gradient nothing but rounding
    (backbone(x, steps)[:, 6] * torch.linspace(-1, 1, WIDTH)).sum().backward()
    assert x.grad is not None
    reached = x.grad.abs().sum(dim=(0, 2)) > 0
    assert reached.tolist() == [3 <= place <= 6 for place in range(10)]


@pytest.mark.parametrize(
    ("field", "change"), [("ticks", 7), ("bar_ticks", 13), ("top", 5)], ids=["ticks", "bars", "pitch"]
)
def test_a_transformer_attends_by_position(field: str, change: int) -> None:
    backbone = BACKBONES["transformer"]
    x, steps = random_input(6, 1, 6, 0.0)
    changed = getattr(steps, field).clone()
    changed[:, -1] += change
    out, plain = (backbone(x, each)[:, -1] for each in (steps._replace(**{field: changed}), steps))
    assert (out - plain).abs().max() > 1e-3


def test_a_transformer_attends_by_numbers_of_steps() -> None:
    backbone = BACKBONES["transformer"]
    x, steps = random_input(6, 1, 6, 0.0)
    same = Steps(*(torch.zeros_like(each) for each in steps))  # everything else is equal
    there, back = (backbone(x[:, order], same)[:, -1] for order in ([0, 1, 2, 3, 4, 5], [1, 0, 2, 3, 4, 5]))
    assert (there - back).abs().max() > 1e-3


@pytest.mark.parametrize(("field", "change"), [("ticks", 20_000), ("top", 7)])
def test_rotary_positions_are_relative(field: str, change: int) -> None:
    """Only distances matter, also far into a piece and in another key."""
    backbone = BACKBONES["transformer"]
    x, steps = random_input(7, 2, 10, 0.0)
    moved = steps._replace(**{field: getattr(steps, field) + change})
    torch.testing.assert_close(backbone(x, moved), backbone(x, steps), **NEAR)


def test_periods_of_rotary_positions() -> None:
    """Those of pitch begin with the octave, those of bars with a quarter bar."""
    backbone = Transformer(64, layers=1, heads=1)
    periods = {name: 2 * torch.pi / getattr(backbone, f"{name}_frequencies") for name in ("tick", "bar", "pitch")}
    assert periods["bar"].tolist() == pytest.approx([2.0**power for power in range(-2, 6)])
    assert periods["pitch"].tolist() == pytest.approx([36, 128, 12, 6, 4, 3, 2.4, 2])
    assert periods["tick"][[0, -1]].tolist() == pytest.approx([12, 8192])
    for width in (4, 8, 12, 36):
        assert Transformer(width, layers=1, heads=1).rotary(
            torch.zeros(1, 1), Steps(*[torch.ones(1, 1)] * 4)
        ).shape == (
            *(1, 1, 2),
            width // 2,
        )


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match="width must be a multiple of 4 \\* heads = 12, got 16"):
        Transformer(16, layers=1, heads=3)


@pytest.mark.parametrize("spare", [0, 5])
def test_a_bound_on_the_lengths_replaces_their_maximum(backbone: Backbone, spare: int) -> None:
    """With `room`, no number is read from the device; what is attended to is the same."""
    x, steps = random_input(8, 3, 16, 0.2)
    _, cache = run_stepwise(backbone, x[:, :8], part(steps, 0, 8))
    bounded = replace(cache.clone(), room=int(cache.lengths.max()) + 1 + spare)
    out, after = backbone.step(x[:, 8:9], part(steps, 8, 9), bounded)
    torch.testing.assert_close(out, run_stepwise(backbone, x[:, 8:9], part(steps, 8, 9), cache)[0], **NEAR)
    assert after.room == bounded.room
    later = part(steps, 8, 16)
    torch.testing.assert_close(backbone(x[:, 8:], later, bounded), backbone(x[:, 8:], later, cache), **NEAR)


@pytest.mark.parametrize("layers", [1, 3, 4])
def test_a_wavenet_looks_back_as_far_as_its_receptive_field(layers: int) -> None:
    """Layers look back 1, 2, 4 ... steps, and together one step less than twice the last."""
    torch.manual_seed(0)
    backbone = Wavenet(WIDTH, layers).eval().requires_grad_(False)
    assert backbone.receptive_field == 2**layers
    x, steps = random_input(9, 1, 40, 0.0)
    out = backbone(x, steps)
    for back in (backbone.receptive_field - 1, backbone.receptive_field):
        changed = x.clone()
        changed[:, 39 - back] += 1.0
        reached = bool((backbone(changed, steps) - out)[:, 39].any())
        assert reached == (back < backbone.receptive_field)


def test_dilations_of_a_wavenet_begin_again() -> None:
    backbone = Wavenet(4, DILATIONS + 2)
    assert [layer.dilation for layer in backbone.layers] == [*(2**i for i in range(DILATIONS)), 1, 2]
    assert backbone.receptive_field == 2**DILATIONS + 3
    assert backbone.empty_cache(3).state.shape == (1, backbone.receptive_field - 1 + DILATIONS + 2, 3, 4)


def test_a_wavenet_has_the_gated_activation_and_the_skip_connections_of_the_paper() -> None:
    """One channel and two layers, computed by hand: tanh times sigmoid, residual and skip outputs."""
    backbone = Wavenet(1, 2).requires_grad_(False)
    for layer in backbone.layers:
        layer.conv.weight[:] = torch.tensor([[0.5, 1.0], [0.25, -1.0]])  # signal and gate, of the past and the step
        layer.out.weight[:] = torch.tensor([[2.0], [3.0]])  # to the residual stream, and to the skip output
        layer.conv.bias[:] = layer.out.bias[:] = 0.0
    first, second = 0.3, -0.7

    def layer_of(x: float, past: float) -> tuple[float, float]:
        gated = math.tanh(0.5 * past + x) / (1 + math.exp(-(0.25 * past - x)))
        return x + 2 * gated, 3 * gated

    residual, skip = layer_of(second, first)
    skips = skip + layer_of(residual, 0.0)[1]  # the second layer looks back beyond the beginning
    outputs: list[torch.Tensor] = []
    backbone.head.register_forward_pre_hook(lambda _, inputs: outputs.append(inputs[0]))
    x = torch.tensor([[[first], [second]]])
    zeros = torch.zeros(1, 2, dtype=torch.int64)
    backbone(x, Steps(torch.tensor([[True, False]]), zeros, zeros, zeros))
    assert outputs[0][0, 1].item() == pytest.approx(skips, abs=1e-6)
