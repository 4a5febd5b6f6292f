from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers.fit_jobs import StoppedError, stop_at, toy_job
from toccata.agents.rivals.composer import Composer, RivalError
from toccata.agents.rivals.image_gan import fit as module
from toccata.agents.rivals.image_gan.fit import fit
from toccata.agents.rivals.image_gan.model import PictureComposer, load_dcgan, load_wgan_gp
from toccata.agents.rivals.image_gan.pictures import SIZE
from toccata.agents.rivals.registry import Request
from toccata.weights import WeightsError, read_config

NAMES = ("dcgan", "wgan-gp")


@pytest.fixture(scope="module", autouse=True)
def _toy() -> object:
    """Two updates of four pictures an epoch."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("EPOCH_UPDATES", 2), ("BATCH", 4), ("SAMPLES", 4)):
            patch.setattr(module, name, value)
        yield


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folders of fits of two epochs."""
    folders = {}
    for name in NAMES:
        job = toy_job(name, tmp_path_factory.mktemp(name), epochs=2)
        assert "| folk | generated |" in fit(job)
        folders[name] = job.folder
    return folders


@pytest.fixture(scope="module")
def composer(fitted: dict[str, Path]) -> PictureComposer:
    return load_dcgan(Request(bars=7, tempo_bpm=90, folder=fitted["dcgan"]))


@pytest.mark.parametrize(("name", "share"), [("dcgan", 0.2), ("wgan-gp", 0.7)])  # in the first and the second genre
def test_a_resumed_fit_equals_one_that_was_not_interrupted(
    fitted: dict[str, Path], tmp_path: Path, name: str, share: float
) -> None:
    with pytest.raises(StoppedError):
        fit(toy_job(name, tmp_path, stop_at(share), epochs=2))
    fit(toy_job(name, tmp_path, epochs=2, resume=True))
    assert read_config(tmp_path / "folder")["sha256"] == read_config(fitted[name])["sha256"]


def test_figures_of_each_epoch_are_kept(fitted: dict[str, Path]) -> None:
    about = read_config(fitted["wgan-gp"])["genres"]["folk"]
    assert len(about["generator"]) == len(about["discriminator"]) == len(about["figures"]) == 2
    assert about["figures"][0].keys() == {"notes", "sounding", "distance", "effective"}


def test_pieces_are_what_is_asked_for(composer: PictureComposer) -> None:
    assert isinstance(composer, Composer)
    pieces = composer.compose(3, seed=1, genre="folk")
    assert [(piece.length_ticks, piece.beats_per_bar, piece.tempo_bpm) for piece in pieces] == [(672, 4, 90)] * 3
    assert pieces == composer.compose(3, seed=1, genre="folk")
    assert max(piece.notes["pitch"].max() for piece in pieces) == 108  # what is drawn above is on no piano
    assert len(composer.compose(3)) == 3  # one of folk, two of classical
    assert composer.pictures(5, 0, "folk").shape == (5, SIZE, SIZE)
    assert (composer.pictures(5, 0, "folk") != composer.pictures(5, 1, "folk")).any()
    np.testing.assert_allclose(composer.pictures(2, 0, "folk"), composer.pictures(5, 0, "folk")[:2], atol=1e-5)


def test_bad_input_is_one_line(composer: PictureComposer, fitted: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(RivalError, match="dcgan: unknown genre 'fork': it must be one of classical, folk"):
        composer.compose(1, genre="fork")
    with pytest.raises(RivalError, match="dcgan: unknown genre 'jazz'"):
        composer.pictures(1, 0, "jazz")
    with pytest.raises(WeightsError, match=r"no weights here, config\.json is missing"):
        load_dcgan(Request(folder=tmp_path))
    with pytest.raises(WeightsError, match="is of the composer 'dcgan', not of wgan-gp"):
        load_wgan_gp(Request(folder=fitted["dcgan"]))
    with pytest.raises(RivalError, match="beats_per_bar must make a bar of 1 to 106 sixteenths"):
        load_dcgan(Request(beats_per_bar=1 / 3, folder=fitted["dcgan"]))


@pytest.mark.parametrize("load", [load_dcgan, load_wgan_gp])
def test_what_comes_with_toccata_composes(load) -> None:  # type: ignore[no-untyped-def]  # a loader, of parametrize
    composer = load(Request(bars=2))
    assert len(composer.genres) == 4
    assert len(composer.compose(4, seed=0)) == 4
