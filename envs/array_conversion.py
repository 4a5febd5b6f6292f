"""Gymnasium's conversion of arrays, for the types of infos and reset options that it cannot convert."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from typing import Any

import gymnasium as gym
import numpy as np

from toccata.envs.pieces import Piece
from toccata.music.score import Score


def register_array_conversions() -> None:
    """Let Gymnasium's `ArrayConversion`, `NumpyToTorch` and the like convert what the piano gives and takes.

    They convert everything in infos and reset options, with one function of the module, `array_conversion`, that
    dispatches on the type. Five types are added to it, for every environment of the process. Where Gymnasium's wrappers
    cannot be imported, since the packages that they need are not installed, nothing is done.
    """
    try:
        from gymnasium.wrappers.array_conversion import array_conversion
    except (ImportError, gym.error.DependencyNotInstalled):
        return
    convert_iterable = array_conversion.dispatch(Iterable)

    def keep(value: Any, *arguments: Any, **named: Any) -> Any:
        return value

    def convert(array: np.ndarray, *arguments: Any, **named: Any) -> Any:
        if array.dtype != object:
            return convert_iterable(array, *arguments, **named)
        converted = np.full(array.shape, None, object)
        for index, value in np.ndenumerate(array):
            converted[index] = array_conversion(value, *arguments, **named)
        return converted

    # Gymnasium 1.2 to 1.4: "No known conversion", for info["piece"] and options["primer"].
    array_conversion.register(Piece, keep)
    array_conversion.register(Score, keep)
    # Gymnasium 1.2 to 1.4: "No known conversion", for the path of a MIDI file as options["primer"].
    array_conversion.register(PathLike, keep)
    # Gymnasium 1.2 to 1.4: a text is taken for an Iterable, and becomes "<generator object ...>", as options["genre"].
    array_conversion.register(str, keep)
    # Gymnasium 1.2 to 1.4: arrays of objects are given to the other framework as they are, which raises TypeError (1.2)
    # or BufferError (1.4), such as infos["final_obs"] and infos["piece"] of vector environments.
    array_conversion.register(np.ndarray, convert)
