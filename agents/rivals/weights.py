"""The weights of composers: where those that come with Toccata are, and whose a folder's are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from toccata.agents.prior.prior import SHIPPED, SHIPPED_FOLDER
from toccata.settings.genres import check_genres
from toccata.settings.options import shown
from toccata.weights import BROKEN, CONFIG_FILE, WeightsError, read_config


def shipped_folder(name: str) -> Path:
    """The folder of the weights of the composer `name` that come with Toccata; it is missing if there are none."""
    prior = "transformer" if name == "best-of-n" else name
    return SHIPPED_FOLDER / (f"prior-{prior}" if prior in SHIPPED else f"rival-{name}")


def weights_of(name: str, folder: Path | None) -> tuple[Path, dict[str, Any], tuple[str, ...]]:
    """The folder of the weights of the composer `name`, its configuration and its genres.

    Args:
        name: the "rival" of the configuration.
        folder: None for that of the weights that come with Toccata.

    Raises:
        WeightsError: when there are none, and for those of another composer, naming the file.
    """
    folder = folder or shipped_folder(name)
    config = read_config(folder)
    of = config.get("rival")
    if of is None:
        raise WeightsError(f"{folder}: holds no weights of {name}; fit them with: toccata fit-rival {name}")
    if of != name:
        raise WeightsError(f"{folder / CONFIG_FILE}: is of the composer {shown(of)}, not of {name}")
    try:
        return folder, config, check_genres(config["genres"])
    except BROKEN as error:
        raise WeightsError(f"{folder / CONFIG_FILE}: does not say which genres the weights are of") from error
