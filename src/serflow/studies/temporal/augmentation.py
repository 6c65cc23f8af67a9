"""What training changes of an utterance, drawn anew in each epoch (sections 2.1 and 3.2).

A draw depends on names alone: of the job, the fit, the epoch and the utterance. The order of utterances, their batches
and where a training was killed do not change it.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from serflow.audio.mel import SAMPLE_RATE
from serflow.studies.temporal.options import AugmentOptions, Options
from serflow.training.seeds import numpy_generator

Masks = tuple[tuple[int, int], ...]


class Draw(NamedTuple):
    """What is drawn for an utterance.

    Parameters
    ----------
    start
        First sample of the crop.
    gain
        Factor of its samples.
    warp
        alpha of the bands' warping.
    time_masks
        First frame (of the crop) and number of frames that SpecAugment hides, each time.
    band_masks
        First band and number of bands.
    """

    start: int
    gain: float
    warp: float
    time_masks: Masks
    band_masks: Masks


def crop_length(augment: AugmentOptions) -> int:
    """Return the samples of a crop."""
    return round(augment.crop_s * SAMPLE_RATE)


def draw(options: Options, n_samples: int, n_frames_of: Callable[[int], int], *names: str | int) -> Draw:
    """Draw crop, gain, warping and what SpecAugment hides.

    Each comes from random numbers of its own, so that another range of one leaves the others as they are; another
    number of masks moves other masks alone.

    Parameters
    ----------
    options
        Ranges.
    n_samples
        Samples of the utterance; one that is shorter than a crop is taken whole.
    n_frames_of
        Frames of so many samples.
    names
        What the draw depends on.
    """
    augment, masks = options.augment, options.augment.spec_augment
    uniform = numpy_generator("augment", *names).random(3 + 2 * (masks.time_masks + masks.band_masks))
    n_frames = n_frames_of(min(n_samples, crop_length(augment)))
    lowest, highest = augment.gain_db
    positions = uniform[3:].reshape(-1, 2).tolist()
    return Draw(
        start=int(uniform[0] * (max(0, n_samples - crop_length(augment)) + 1)),
        gain=float(10 ** ((lowest + uniform[1] * (highest - lowest)) / 20)),
        warp=float(augment.warp * (2 * uniform[2] - 1)) if options.warped else 0.0,
        time_masks=tuple(_mask(n_frames, masks.time_width, *two) for two in positions[: masks.time_masks]),
        band_masks=tuple(
            _mask(options.framing.n_mels, masks.band_width, *two) for two in positions[masks.time_masks :]
        ),
    )


def _mask(size: int, largest: int, width: float, first: float) -> tuple[int, int]:
    """Return first and width of a mask: from 0 to ``largest`` wide, anywhere in ``size`` (SpecAugment, section 2)."""
    drawn = min(int(width * (largest + 1)), size)
    return int(first * (size - drawn + 1)), drawn


def hidden(draws: Sequence[Draw], lengths: Sequence[int], n_frames: int, n_bands: int) -> npt.NDArray[np.bool_]:
    """Return where SpecAugment hides, ``(batch, n_frames, n_bands)``.

    ``lengths`` are the frames of each utterance; nothing is hidden beyond them.
    """
    found = np.zeros((len(draws), n_frames, n_bands), dtype=bool)
    for item, length, one in zip(found, lengths, draws, strict=True):
        for first, width in one.time_masks:
            item[first : first + width] = True
        for first, width in one.band_masks:
            item[:, first : first + width] = True
        item[length:] = False
    return found
