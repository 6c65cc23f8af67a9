"""Emotional speech from Praat's synthesiser (eSpeak NG): the emotion is in the prosody, the text is neutral.

What is changed per emotion follows the usual description of vocal affect (Scherer, Speech Communication 40,
2003, table 2): f0 level and range, speech rate, level, spectral tilt, breathiness and roughness.

eSpeak carries state from one call to the next. Each utterance is therefore rendered in a forked child of a
process that never synthesised: its bytes depend on neither the order nor the number of utterances.
"""

import hashlib
import multiprocessing
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from serflow.errors import MissingDependencyError, SerflowError

SYNTHESIS_RATE = 22050
"""Sampling rate (Hz) of the synthesiser before the formant shift."""
WORDS_PER_MINUTE = 205.0
VOICE_LEVEL_DB = -26.0
BACKGROUND_DB = -62.0
ROUGHNESS_HZ = 70.0

_LANGUAGES = {"en": "English (America)", "de": "German", "fr": "French (France)", "zh": "Chinese (Mandarin)"}
_VOICES = {
    "male": ("Male1", "Male3", "Male7", "Male2", "Male5", "Male4", "Male6"),
    "female": ("Female1", "Female2", "Female4", "Female5", "Female3"),
}
_F0_SEARCH_HZ = {"male": (60.0, 350.0), "female": (90.0, 550.0)}


@dataclass(frozen=True, slots=True)
class Prosody:
    """How an utterance is spoken, relative to the speaker's neutral voice.

    ``pitch``, ``range`` and ``rate`` in octaves, ``level`` in dB, ``tilt`` in dB per octave (positive is
    brighter), ``breath`` is the level of aspiration noise in dB re the voice, ``roughness`` the depth of an
    amplitude modulation (0 to 1), and ``formants`` their shift in octaves (a smile shortens the vocal tract).
    """

    pitch: float
    range: float
    rate: float
    level: float
    tilt: float
    breath: float
    roughness: float
    formants: float


NEUTRAL = Prosody(pitch=0.0, range=0.0, rate=0.0, level=0.0, tilt=0.0, breath=-45.0, roughness=0.0, formants=0.0)

# Departure of each emotion from NEUTRAL, in the units of Prosody.
_DEPARTURE = {
    "anger": Prosody(0.12, 0.30, 0.14, 6.0, 2.6, 0.0, 0.20, -0.01),
    "anxiety": Prosody(0.26, -0.10, 0.16, -1.0, -0.4, 12.0, 0.02, 0.01),
    "boredom": Prosody(-0.12, -0.70, -0.20, -1.5, -0.8, 2.0, 0.0, 0.0),
    "calm": Prosody(-0.06, -0.20, -0.12, -2.0, -1.2, 6.0, 0.0, 0.0),
    "disgust": Prosody(-0.12, 0.10, -0.18, 1.0, 0.6, 4.0, 0.16, -0.03),
    "excitement": Prosody(0.32, 0.60, 0.10, 3.0, 0.9, 0.0, 0.0, 0.06),
    "fear": Prosody(0.30, -0.10, 0.18, 0.0, -0.2, 12.0, 0.02, 0.01),
    "frustration": Prosody(0.04, 0.10, 0.02, 3.0, 1.2, 2.0, 0.12, -0.01),
    "happiness": Prosody(0.28, 0.55, 0.06, 2.0, 0.6, 0.0, 0.0, 0.06),
    "neutral": Prosody(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    "other": Prosody(0.05, 0.10, 0.0, 0.0, 0.2, 2.0, 0.02, 0.0),
    "sadness": Prosody(-0.10, -0.60, -0.18, -4.5, -2.2, 14.0, 0.0, -0.02),
    "surprise": Prosody(0.36, 0.70, -0.05, 2.0, 0.4, 4.0, 0.0, 0.03),
    "undecided": Prosody(0.06, 0.15, 0.03, 1.0, 0.4, 2.0, 0.04, 0.0),
}
# Standard deviation of what differs between utterances of one speaker and emotion.
_UTTERANCE_SD = Prosody(0.08, 0.26, 0.06, 1.6, 0.8, 4.0, 0.04, 0.01)
# Standard deviation of what differs between speakers whatever the emotion, as a share of the former.
_SPEAKER_SHARE = 0.4
_RECORDING_SD_DB = 1.5
_WEAKEST, _STRONGEST = -0.30, 0.20


@dataclass(frozen=True, slots=True)
class Speaker:
    """A voice. ``pitch`` and ``formants`` are factors; ``expressivity`` and ``bias`` have a value per Prosody field."""

    name: str
    gender: str
    voice: str
    pitch: float
    formants: float
    expressivity: Prosody
    bias: Prosody


@dataclass(frozen=True, slots=True)
class Rendering:
    """All that one utterance depends on. ``language`` is ISO 639-1, ``key`` seeds its noises."""

    text: str
    language: str
    speaker: Speaker
    prosody: Prosody
    sample_rate: int
    key: str


def generator(*key: str | int) -> np.random.Generator:
    """Return a random generator seeded by the SHA-256 of the named ``key``: no draw depends on another's order."""
    digest = hashlib.sha256("\x1f".join(str(part) for part in key).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


def make_speaker(name: str, gender: str, index: int, rng: np.random.Generator, bias: float = 1.0) -> Speaker:
    """Draw a speaker.

    Parameters
    ----------
    name, gender
        As in the corpus; ``gender`` is ``"female"`` or ``"male"``.
    index
        Position in the corpus, which picks the synthesiser's voice.
    rng
        Source of the speaker's traits.
    bias
        Size of the differences between speakers in prosody, level and expressivity; 0 makes them differ in
        voice, pitch and formants only.
    """
    voices = _VOICES[gender]
    pitch, formants = rng.uniform(0.90, 1.10), rng.uniform(0.94, 1.06)
    spread = np.array(astuple(_UTTERANCE_SD)) * _SPEAKER_SHARE
    offsets = bias * rng.normal(0.0, 1.0, spread.size) * spread
    offsets[3] += bias * rng.normal(0.0, _RECORDING_SD_DB)
    expressivity = 1.0 + bias * rng.uniform(_WEAKEST, _STRONGEST, spread.size)
    return Speaker(
        name=name,
        gender=gender,
        voice=voices[index % len(voices)],
        pitch=float(pitch),
        formants=float(formants),
        expressivity=Prosody(*expressivity.tolist()),
        bias=Prosody(*offsets.tolist()),
    )


def draw_prosody(
    speaker: Speaker, emotion: str, rng: np.random.Generator, strength: float = 1.0, scatter: float = 1.0
) -> Prosody:
    """Draw how ``speaker`` says one utterance in ``emotion``.

    Parameters
    ----------
    emotion
        A word of ``serflow.corpora.base.EMOTIONS``.
    strength
        Size of the emotion's departure from neutral; 0 takes the emotion out of the voice.
    scatter
        Size of the differences between utterances of the same speaker and emotion.
    """
    departure = strength * np.array(astuple(_DEPARTURE[emotion])) * np.array(astuple(speaker.expressivity))
    noise = scatter * rng.normal(0.0, 1.0, departure.size) * np.array(astuple(_UTTERANCE_SD))
    values = np.array(astuple(NEUTRAL)) + departure + np.array(astuple(speaker.bias)) + noise
    values[5] = np.clip(values[5], -60.0, -18.0)
    values[6] = np.clip(values[6], 0.0, 0.9)
    return Prosody(*values.tolist())


def _praat() -> Any:
    try:
        import parselmouth.praat
    except ImportError as error:
        raise MissingDependencyError(
            "the synthetic corpora are spoken by Praat, which is not installed: "
            "pip install 'serflow[synthetic]' (praat-parselmouth is GPL-3)"
        ) from error
    return parselmouth.praat


def _formant_factor(rendering: Rendering) -> float:
    return float(rendering.speaker.formants * 2.0**rendering.prosody.formants)


def _synthesise(rendering: Rendering) -> NDArray[np.float64]:
    """Text to a waveform at ``SYNTHESIS_RATE``, with f0, its range and the rate set.

    Pitch and rate are divided by the formant factor, because the waveform is later played that much faster.
    """
    call = _praat().call
    speaker, prosody = rendering.speaker, rendering.prosody
    formants = _formant_factor(rendering)
    synthesiser = call("Create SpeechSynthesizer", _LANGUAGES[rendering.language], speaker.voice)
    f0_range = float(np.clip(2.0**prosody.range, 0.1, 1.8))
    rate = int(np.clip(round(WORDS_PER_MINUTE * 2.0**prosody.rate / formants), 90, 350))
    call(synthesiser, "Speech output settings", float(SYNTHESIS_RATE), 0.01, 1.0, f0_range, rate, "IPA")
    sound = call(synthesiser, "To Sound", rendering.text, "no")[0]
    manipulation = call(sound, "To Manipulation", 0.01, *_F0_SEARCH_HZ[speaker.gender])
    tier = call(manipulation, "Extract pitch tier")
    call(tier, "Multiply frequencies", 0.0, 1000.0, speaker.pitch * 2.0**prosody.pitch / formants)
    call([tier, manipulation], "Replace pitch tier")
    resynthesis = call(manipulation, "Get resynthesis (overlap-add)")
    return np.array(resynthesis.values[0], dtype=np.float64)


def _tilt(x: NDArray[np.float64], db_per_octave: float) -> NDArray[np.float64]:
    """Brighten or darken above 250 Hz, around 500 Hz."""
    size = 1 << (x.size - 1).bit_length()
    octaves = np.log2(np.maximum(np.fft.rfftfreq(size, 1.0 / SYNTHESIS_RATE), 250.0) / 500.0)
    shaped = np.fft.irfft(np.fft.rfft(x, size) * 10.0 ** (db_per_octave * octaves / 20.0), size)
    return np.asarray(shaped[: x.size])


def _envelope(x: NDArray[np.float64], window_s: float = 0.02) -> NDArray[np.float64]:
    """RMS over a moving window."""
    half = int(window_s * SYNTHESIS_RATE / 2)
    total = np.concatenate([[0.0], np.cumsum(x**2)])
    middle = np.arange(x.size)
    ends, starts = np.minimum(middle + half + 1, x.size), np.maximum(middle - half, 0)
    return np.asarray(np.sqrt(np.maximum(total[ends] - total[starts], 0.0) / (2 * half + 1)))


def _amplitude(db: float) -> float:
    return float(10.0 ** (db / 20.0))


def _render(rendering: Rendering) -> NDArray[np.int16]:
    prosody, rng = rendering.prosody, generator(rendering.key, "noise")
    x = _tilt(_synthesise(rendering), prosody.tilt)
    x *= _amplitude(VOICE_LEVEL_DB) / np.sqrt(np.mean(x**2))
    x += _amplitude(prosody.breath) * _envelope(x) * rng.standard_normal(x.size)
    phase = 2.0 * np.pi * ROUGHNESS_HZ * np.arange(x.size) / SYNTHESIS_RATE + rng.uniform(0.0, 2.0 * np.pi)
    x *= _amplitude(prosody.level) * (1.0 + prosody.roughness * np.sin(phase))
    y = soxr.resample(x, SYNTHESIS_RATE * _formant_factor(rendering), rendering.sample_rate, quality="HQ")
    y += _amplitude(BACKGROUND_DB) * rng.standard_normal(y.size)
    y *= min(1.0, 0.98 / np.abs(y).max())
    return np.asarray(np.round(y * 32767.0), dtype=np.int16)


def _render_and_send(connection: Connection, rendering: Rendering) -> None:
    connection.send(_render(rendering))
    connection.close()


def render(renderings: Iterable[Rendering]) -> Iterator[NDArray[np.int16]]:
    """Speak utterances, each in a forked child of its own.

    Yields
    ------
    numpy.ndarray of int16, shape (n_samples,)
        Mono samples at the rendering's ``sample_rate``. The same rendering gives the same samples, in any order.

    Raises
    ------
    MissingDependencyError
        If Praat is not installed.
    SerflowError
        If the synthesiser failed on an utterance.
    """
    _praat()
    context = multiprocessing.get_context("fork")
    for rendering in renderings:
        receiver, sender = context.Pipe(duplex=False)
        child = context.Process(target=_render_and_send, args=(sender, rendering))
        child.start()
        sender.close()
        try:
            samples: NDArray[np.int16] = receiver.recv()
        except EOFError as error:
            raise SerflowError(
                f"Praat's synthesiser failed on {rendering.text!r} (language {rendering.language}, voice "
                f"{rendering.speaker.voice}); its own message is above. Check the installed praat-parselmouth."
            ) from error
        finally:
            receiver.close()
            child.join()
        yield samples
