"""The network of the feed-forward policies `mlp` and `cnn`."""

from __future__ import annotations

import numpy as np
import torch
from gymnasium import spaces
from torch import nn
from torch.nn import functional as F

from toccata.agents.policies.distribution import JointDistribution, chord_shapes
from toccata.envs.dynamics import RECENT_FRAMES
from toccata.envs.instrument import Piano


class FeedforwardNetwork(nn.Module):
    """Actor and critic that are invariant to transposition: all keys are relative to the latest note.

    The reference is the highest key of the latest sixteenth with an onset.

    Args:
        observation_space: the full observation of `PianoEnv`.
        piano: its instrument.
        body: encoder of the roll: "mlp", one linear layer, or "cnn", a convolution over pitch and time.
        width: of the layers.
    """

    octaves: torch.Tensor
    chord_lowest: torch.Tensor
    chord_shape: torch.Tensor

    def __init__(self, observation_space: spaces.Dict, piano: Piano, body: str, width: int = 256) -> None:
        super().__init__()
        self.keys = piano.keys
        self.first_reference = piano.keys // 2  # before the first note
        # Names in a fixed order: batches come in any. A mask among them is not read: it is applied to logits
        self.context_entries = [key for key in observation_space if key not in ("recent", "held", "action_mask")]
        context_size = sum(spaces.flatdim(observation_space[key]) for key in self.context_entries)
        octaves = torch.arange(0, piano.keys, 12)
        self.register_buffer("octaves", octaves)
        self.context = nn.Linear(context_size + self.keys + 2 * len(octaves), width)  # and held, register
        self.roll: nn.Module
        if body == "mlp":
            self.roll = nn.Linear(RECENT_FRAMES * self.keys, width)
        else:
            self.roll = nn.Sequential(
                nn.Unflatten(1, (1, RECENT_FRAMES, self.keys)),
                nn.Conv2d(1, 24, (4, 12), stride=(4, 4)),  # a beat by an octave
                nn.GELU(),
                nn.Flatten(),
                nn.Linear(24 * (RECENT_FRAMES // 4) * ((self.keys - 12) // 4 + 1), width),
            )
        self.hidden = nn.Linear(width, width)
        self.critic_hidden = nn.Linear(width, width)
        self.critic = nn.Linear(width, 1)

        chord_lowest = torch.as_tensor(piano.chord_pitches[:, 0].astype(np.int64)) - piano.lowest
        shapes = chord_shapes(piano)
        self.register_buffer("chord_lowest", chord_lowest)  # (chords,) key index of each chord's lowest note
        self.register_buffer("chord_shape", torch.as_tensor(shapes))  # (chords,)
        self.intervals = 2 * self.keys - 1
        chord_logits = 12 * (int(shapes.max()) + 1 if len(shapes) else 0)  # by shape and interval modulo an octave
        distribution = JointDistribution(piano)
        self.actor = nn.Linear(width, 1 + self.intervals + chord_logits + distribution.kinds * distribution.values)
        nn.init.orthogonal_(self.actor.weight, 0.01)
        nn.init.zeros_(self.actor.bias)

    def forward(self, observations: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of `JointDistribution`, (batch, whats + kinds * values), and values, (batch, 1)."""
        roll = observations["recent"].unflatten(1, (RECENT_FRAMES, self.keys))
        reference = self._reference(roll)
        window = torch.arange(self.keys, device=roll.device) - self.keys // 2 + reference[:, None]  # (batch, keys)
        inside = (window >= 0) & (window < self.keys)
        window = window.clamp(0, self.keys - 1)
        near_roll = roll.gather(2, window[:, None].expand(-1, RECENT_FRAMES, -1)) * (inside[:, None] / 2)
        near_held = observations["held"].gather(1, window) * inside
        others = [observations[key].flatten(1) for key in self.context_entries]
        context = torch.cat([*others, near_held, self._register(reference)], dim=1)
        x = F.gelu(self.roll(near_roll.flatten(1)) + self.context(context))
        values = self.critic(F.gelu(self.critic_hidden(x)))
        logits = self.actor(x + F.gelu(self.hidden(x)))
        return self._absolute(logits, reference), values

    def _reference(self, roll: torch.Tensor) -> torch.Tensor:
        """(batch,) index of the reference key."""
        onsets = roll > 1
        frame_has_onset = onsets.any(2)
        newest = RECENT_FRAMES - 1 - frame_has_onset.flip(1).int().argmax(1)
        last = onsets[torch.arange(len(roll), device=roll.device), newest]
        highest = self.keys - 1 - last.flip(1).int().argmax(1)
        return torch.where(frame_has_onset.any(1), highest, self.first_reference)

    def _register(self, reference: torch.Tensor) -> torch.Tensor:
        """(batch, 2 * octaves): distance of the reference above and below each octave, in octaves.

        Ramps extrapolate to registers that are not in the training data.
        """
        above = (reference[:, None] - self.octaves) / 12
        return torch.cat([above.clamp(min=0), (-above).clamp(min=0)], dim=1)

    def _absolute(self, logits: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Logits by interval from the reference to logits by `what`, then those of the values."""
        rest, by_interval, remaining = logits.tensor_split([1, 1 + self.intervals], dim=1)
        chord_logits = 12 * (len(self.chord_shape) and int(self.chord_shape.max()) + 1)
        by_chord, values = remaining.tensor_split([chord_logits], dim=1)
        intervals = torch.arange(self.keys, device=logits.device) - reference[:, None] + self.keys - 1
        chords = self.chord_shape * 12 + (self.chord_lowest - reference[:, None]) % 12
        return torch.cat([rest, by_interval.gather(1, intervals), by_chord.gather(1, chords), values], dim=1)
