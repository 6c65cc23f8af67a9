"""Noise of one kind at a level of its own: what a robustness curve is drawn over.

Where a plan draws one of three kinds and takes its level from a profile, a sweep mixes each utterance with every kind
at every level. Clip and offset are those of a draw that depends on seed, kind and utterance alone, so that from level
to level nothing changes but the level.
"""

from collections.abc import Sequence

from serflow.audio.prepared import FloatArray, PreparedUtterance
from serflow.errors import NoiseError
from serflow.noise.mixing import ClipBank, PlanRow
from serflow.noise.plan import (
    CONDITIONS,
    FOLDS_OF_ROLE,
    Draw,
    among_clips_of,
    draw_clips,
    no_clip,
    plan_utterance,
)


def draw_kind(utterances: Sequence[str], kind: str, bank: ClipBank, clips: str, seed: int) -> dict[str, Draw]:
    """Draw a clip of one kind for each test utterance, and what seeds its offset.

    Parameters
    ----------
    utterances
        Utterance ids.
    kind
        ``natural``, ``human`` or ``interior``.
    bank
        The clips.
    clips
        ``shared``: of all of them; ``by_fold``: of those that neither training nor validation hears.
    seed
        What else the draw depends on.

    Raises
    ------
    NoiseError
        If there is no clip of that kind.
    """
    of_kind = (bank.by_condition if clips == "shared" else bank.of_folds(FOLDS_OF_ROLE["test"])).get(kind, [])
    if not of_kind:
        raise NoiseError(("" if clips == "shared" else among_clips_of("test")) + no_clip([kind]))
    # whichever condition is drawn, its clips are those of the kind
    drawn = draw_clips(utterances, dict.fromkeys(CONDITIONS, of_kind), f"sweep {kind}", seed)
    return {utterance: draw._replace(condition=kind) for utterance, draw in drawn.items()}


def mix_at(utterance: PreparedUtterance, draw: Draw, bank: ClipBank, snr_db: float) -> tuple[FloatArray, PlanRow]:
    """Return an utterance in noise at an SNR (dB), float32 of its length, and how it was mixed.

    The level is set as `serflow.noise.plan.plan_utterance` sets it with mixing ``snr``.

    Raises
    ------
    NoiseError
        If speech or clip are silent.
    """
    row = plan_utterance(utterance, draw, bank[draw.clip], snr_db, "snr")
    return bank.mix(utterance.waveform, row), row
