"""The steps of a rollout on a GPU: one packed copy there, one back, and captured CUDA graphs between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch

from toccata.agents.policies.cache import Cache
from toccata.agents.policies.sequence_network import episode_starts_of
from toccata.agents.policies.sequence_policy import SequencePolicy
from toccata.errors import ToccataError, one_line

ROOM_STEP = 64  # steps by which the room for an episode grows; a graph is captured for each room
# Of the observations as one array
COLUMNS: dict[str, Any] = {"place": slice(0, 4), "last": slice(4, 6), "top": 6, "genre": 7}


class CaptureError(ToccataError, RuntimeError):
    """A step that this GPU or its driver cannot capture as a CUDA graph."""


class DeviceStep:
    """Plays the steps of rollouts with a `SequencePolicy`, and waits for nothing but the actions.

    Observations and masks cross to the device in one copy from pinned memory, and only the actions come back: values,
    log-probabilities and logits stay there until the rollout is complete. A step is two CUDA graphs: the first ends
    with the actions, so that the environments play them while the second one computes the rest. On a CPU the same
    functions are called plainly.

    Args:
        policy: whose parameters stay where they are in memory.
        rows: environments.
        steps: of a rollout.
        keep_logits: keep those of every step.
        captures: CUDA graphs; else a GPU is given the operations one by one, which is slower.

    Attributes:
        values, log_probs: (steps, rows) float32 on the device.
        logits: (steps, rows, whats + kinds * values) on the device; (0, ...) unless they are kept.
    """

    def __init__(self, policy: SequencePolicy, rows: int, steps: int, keep_logits: bool, captures: bool = True) -> None:
        self.policy = policy
        self.device = torch.device(policy.device)
        self.keep_logits = keep_logits
        self.captures = captures
        pinned = self.device.type == "cuda"
        numbers, masks = rows * 8 * 4, rows * sum(policy.piano.nvec)  # bytes: int32, bool
        host = torch.zeros(numbers + masks, dtype=torch.uint8, pin_memory=pinned)
        self._host, self._sent = host, torch.zeros_like(host, device=self.device)
        self._host_numbers, self._numbers = (
            each[:numbers].view(torch.int32).view(rows, 8) for each in (self._host, self._sent)
        )
        self._host_masks, self._masks = (
            each[numbers:].view(torch.bool).view(rows, -1) for each in (self._host, self._sent)
        )
        self._actions = torch.zeros(rows, 2, dtype=torch.int64, device=self.device)
        self._host_actions = torch.zeros(rows, 2, dtype=torch.int64, pin_memory=pinned)
        self._actions_are_here = torch.cuda.Event() if pinned else None
        self._position = torch.zeros(1, dtype=torch.int64, device=self.device)  # of the step in the rollout
        empty = policy.network.empty_cache(rows)
        self._lengths, self._state = empty.lengths, empty.state
        self._host_lengths = np.zeros(rows, np.int64)
        outputs = policy.network.vocabulary[0] + policy.action_dist.kinds * policy.action_dist.values
        self._values = torch.zeros(rows, device=self.device)  # of one step
        self._logits = torch.zeros(rows, outputs, device=self.device)
        self.values, self.log_probs = torch.zeros(2, steps, rows, device=self.device)
        self.logits = torch.zeros(steps if keep_logits else 0, rows, outputs, device=self.device)
        self._plays: dict[int, Callable[[], object]] = {}  # by room
        self._records: Callable[[], object] | None = None
        self._played = 0  # steps of this rollout
        self._addresses = self._addresses_now()

    def _addresses_now(self) -> list[int]:
        """Where the parameters are, from which graphs read."""
        return [parameter.data_ptr() for parameter in self.policy.parameters()]

    def fits(self, policy: SequencePolicy, rows: int, steps: int, keep_logits: bool, captures: bool) -> bool:
        """Whether it plays such rollouts with this policy."""
        same = self.policy is policy and self.values.shape == (steps, rows)
        same = same and (self.keep_logits, self.captures) == (keep_logits, captures)
        return same and self._addresses == self._addresses_now()

    def begin(self, cache: Cache, lengths: np.ndarray) -> None:
        """Begin a rollout after the steps of `cache` (rows); `lengths` (rows,) int64 are its lengths."""
        self._position.zero_()
        self._played = 0
        self.put(torch.arange(len(lengths), device=self.device), cache, lengths)

    def put(self, rows: torch.Tensor, cache: Cache, lengths: np.ndarray) -> None:
        """Replace what is cached of the rows `rows` (k,) by `cache`, which has k, and their lengths (k,)."""
        self._make_room(cache.state.shape[3])
        self._state[:, :, rows, : cache.state.shape[3]] = cache.state
        self._lengths[rows] = cache.lengths
        self._host_lengths[rows.cpu().numpy()] = lengths

    @property
    def cache(self) -> Cache:
        """What is cached now; later steps write into it."""
        room = self._room()
        self._make_room(room)
        return Cache(self._lengths, self._state, room)

    def play(self, observations: Mapping[str, Any], masks: np.ndarray) -> np.ndarray:
        """(rows, 2) int64 actions of the next step; its values, log-probabilities and logits are kept on the device."""
        numbers = self._host_numbers.numpy()
        for key, columns in COLUMNS.items():
            numbers[:, columns] = np.asarray(observations[key]).reshape(numbers[:, columns].shape)
        self._host_masks.numpy()[:] = masks
        starts = episode_starts_of({key: self._host_numbers[:, columns] for key, columns in COLUMNS.items()})
        self._host_lengths[starts.numpy()] = 0
        room = self._room()
        self._make_room(room)
        on_device = nullcontext() if self.device.type == "cpu" else torch.cuda.device(self.device)
        with torch.no_grad(), on_device:  # graphs and events are of the current device
            self._sent.copy_(self._host, non_blocking=True)
            if room not in self._plays:
                self._plays[room] = self._captured(lambda: self._play(room))
            self._plays[room]()
            self._host_actions.copy_(self._actions, non_blocking=True)
            if self._actions_are_here is not None:
                self._actions_are_here.record()
            if self._records is None:
                self._records = self._captured(self._record)
            self._records()
        self._host_lengths += 1
        self._played += 1
        if self._actions_are_here is not None:
            self._actions_are_here.synchronize()
        return self._host_actions.numpy().copy()

    def last(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Values and log-probabilities (rows,) of the last step, on the device."""
        return self.values[self._played - 1], self.log_probs[self._played - 1]

    def _play(self, room: int) -> None:
        """From the observations to the actions."""
        observations = {key: self._numbers[:, columns].long() for key, columns in COLUMNS.items()}
        cache = Cache(self._lengths, self._state, room)
        logits, values, cache = self.policy.network.step(observations, episode_starts_of(observations), cache)
        self._actions.copy_(self.policy.distribution(logits, self._masks).get_actions())
        self._logits.copy_(logits)
        self._values.copy_(values)
        self._lengths.copy_(cache.lengths)
        if cache.state is not self._state:  # of an LSTM; the others write in place
            self._state.copy_(cache.state)

    def _record(self) -> None:
        """What nothing waits for."""
        log_probs = self.policy.distribution(self._logits, self._masks).log_prob(self._actions)
        self.log_probs.index_copy_(0, self._position, log_probs[None])
        self.values.index_copy_(0, self._position, self._values[None])
        if self.keep_logits:
            self.logits.index_copy_(0, self._position, self._logits[None])
        self._position += 1

    def _captured(self, function: Callable[[], object]) -> Callable[[], object]:
        """The function as a CUDA graph, where that is wanted."""
        if not (self.captures and self.device.type == "cuda"):
            return function
        # What a step changes and the next one depends on, apart from what it writes beyond the lengths
        changed = [self._lengths, self._position, *([] if self._grows else [self._state])]
        return captured(function, changed, self.device)

    @property
    def _grows(self) -> bool:
        """Whether the cache has an entry for every step."""
        return self._state.ndim == 5

    def _room(self) -> int:
        """How many steps of an episode the next step can have: a bound on lengths that few graphs are needed for."""
        return (int(self._host_lengths.max(initial=0)) // ROOM_STEP + 1) * ROOM_STEP

    def _make_room(self, room: int) -> None:
        """Let the cache hold episodes of `room` steps; graphs of another cache are dropped."""
        if not self._grows or room <= self._state.shape[3]:
            return
        self._plays.clear()
        shape = (*self._state.shape[:3], -(-room // (2 * ROOM_STEP)) * 2 * ROOM_STEP, self._state.shape[4])
        state = self._state.new_zeros(shape)
        state[:, :, :, : self._state.shape[3]] = self._state
        self._state = state


def captured(
    function: Callable[[], object], changed: Sequence[torch.Tensor], device: torch.device
) -> Callable[[], object]:
    """The function as a CUDA graph.

    Args:
        function: reads and writes tensors that stay where they are. To capture it, it is run a few times.
        changed: tensors that it changes and that must be as they were afterwards, as the random numbers are.
        device: that it runs on, the current one.

    Raises:
        CaptureError: when it cannot be captured, saying what to do.
    """
    before = [tensor.clone() for tensor in changed]

    def put_back() -> None:
        for tensor, old in zip(changed, before, strict=True):
            tensor.copy_(old)

    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.random.fork_rng([device]), torch.cuda.stream(stream):
        for _ in range(3):  # libraries allocate in their first calls, which a graph cannot
            function()
            put_back()
    torch.cuda.current_stream(device).wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            function()
    except RuntimeError as error:  # what it leaves of the random number generators cannot be relied on
        raise CaptureError(
            f"a step cannot be captured as a CUDA graph: {one_line(error)}; --compile False plays without"
        ) from error
    return graph.replay
