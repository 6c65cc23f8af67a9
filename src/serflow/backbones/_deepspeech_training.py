"""The stand-in for DeepSpeech: its topology at a twentieth of its width, trained on synthetic speech in about a minute.

The speakers are its own, the sentences those of the English stand-in corpora: it recognises these from speakers that it
has not heard, clean or in noise, with errors, and nothing else.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import soxr
import torch
from torch import Tensor, nn

from serflow.backbones._deepspeech_frontend import CONTEXT, N_INPUTS, SAMPLE_RATE, in_context, mfcc
from serflow.backbones._deepspeech_graph import ALPHABET, BLANK, RELU_CLIP, AcousticModel, Affine
from serflow.progress import progress

FloatArray = npt.NDArray[np.float32]
PcmArray = npt.NDArray[np.int16]

EMOTIONS = ("neutral", "anger", "happiness", "sadness", "fear", "disgust", "surprise", "frustration", "excitement")
EMOTION_STRENGTH = (0.5, 1.75)
SNR_DB = (-5.0, 30.0)
N_HIDDEN = 96

_BATCH_SIZE = 8
_BATCHES_OF_LIKE_LENGTH = 8
_LEARNING_RATE = 3e-3
_LARGEST_GRADIENT = 5.0
_JITTER = 0.1
_NOISY_SHARE = 0.6
_SPEED = 0.08
_LEVEL_DB = (-6.0, 2.0)


class Recipe(NamedTuple):
    """Amounts of training: ``aligned_epochs`` of ``epochs`` learn letters spread evenly over the speech (`_spread`)."""

    speakers: int = 14
    sentences_each: int = 30
    versions: int = 3
    aligned_epochs: int = 5
    epochs: int = 26


class Spoken(NamedTuple):
    """An utterance: its text in symbols of the alphabet, and samples ``(n_samples,)`` at 16 kHz."""

    text: str
    pcm16: PcmArray


class _Example(NamedTuple):
    """Frames ``(n_frames, 494)``, the symbols of the text, and the symbol of each frame if they were spread evenly."""

    frames: Tensor
    symbols: Tensor
    spread: Tensor


def speak(group: str, seed: int, n_speakers: int, sentences_each: int) -> list[Spoken]:
    """Let speakers who are in no stand-in corpus say sentences of the English ones in mixed emotions.

    Parameters
    ----------
    group
        Name of the set of speakers; other names are other speakers.
    seed
        With ``group``, what all draws are seeded by.
    n_speakers, sentences_each
        Amounts.

    Raises
    ------
    MissingDependencyError
        If Praat is not installed.
    """
    from serflow.synthetic.scripts import ALL_ENGLISH
    from serflow.synthetic.speech import Rendering, draw_prosody, generator, make_speaker, render

    renderings = []
    for index in range(n_speakers):
        key = ("recogniser", seed, group, index)
        rng = generator(*key)
        speaker = make_speaker(f"{group}{index}", ("female", "male")[index % 2], index // 2, rng)
        for number in rng.permutation(len(ALL_ENGLISH))[:sentences_each]:
            strength = rng.uniform(*EMOTION_STRENGTH)
            prosody = draw_prosody(speaker, EMOTIONS[rng.integers(len(EMOTIONS))], rng, strength)
            name = "/".join(map(str, (*key, number)))
            renderings.append(Rendering(ALL_ENGLISH[number], "en", speaker, prosody, SAMPLE_RATE, name))
    spoken = progress(render(renderings), len(renderings), "speaking for the stand-in recogniser")
    return [Spoken(each.text.lower(), pcm16) for each, pcm16 in zip(renderings, spoken, strict=True)]


def add_noise(pcm16: PcmArray, snr_db: float, rng: np.random.Generator) -> PcmArray:
    """Add noise of a random spectral slope (0 to -12 dB per octave), half of it throbbing at 0.5 to 8 Hz."""
    n_samples = len(pcm16)
    spectrum = np.fft.rfft(rng.standard_normal(n_samples))
    spectrum *= np.maximum(np.fft.rfftfreq(n_samples), 20 / SAMPLE_RATE) ** -rng.uniform(0.0, 2.0)
    noise = np.fft.irfft(spectrum, n_samples)
    if rng.random() < 0.5:
        phase = 2 * np.pi * (rng.uniform(0.5, 8.0) * np.arange(n_samples) / SAMPLE_RATE + rng.random())
        noise *= 0.55 + 0.45 * np.sin(phase)
    speech = pcm16.astype(np.float64)
    gain = np.sqrt(np.mean(speech**2) / np.mean(noise**2)) * 10 ** (-snr_db / 20)
    return _to_pcm16(speech + gain * noise)


def train_stand_in(seed: int, recipe: Recipe | None = None) -> AcousticModel:
    """Train the stand-in; the same seed gives the same numbers on the same machine.

    Raises
    ------
    MissingDependencyError
        If Praat is not installed, which speaks what it is trained on.
    """
    recipe = Recipe() if recipe is None else recipe
    spoken = speak("training", seed, recipe.speakers, recipe.sentences_each)
    rng = np.random.default_rng(seed)
    cepstra = [[mfcc(_vary(each.pcm16, version, rng)) for version in range(recipe.versions)] for each in spoken]
    everything = np.concatenate([frames for versions in cepstra for frames in versions])
    mean = np.tile(everything.mean(axis=0), 2 * CONTEXT + 1)
    deviation = np.tile(everything.std(axis=0), 2 * CONTEXT + 1)
    examples = [
        [_example(each.text, frames, mean, deviation) for frames in versions]
        for each, versions in zip(spoken, cepstra, strict=True)
    ]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _Network()
        _fit(network, examples, recipe, rng)
    return network.export(mean, deviation)


def _to_pcm16(samples: npt.NDArray[np.float64]) -> PcmArray:
    return np.clip(np.rint(samples), -32768, 32767).astype(np.int16)


def _vary(pcm16: PcmArray, version: int, rng: np.random.Generator) -> PcmArray:
    """Return the utterance at another level; but for the first version at another speed, and most of them in noise."""
    samples = pcm16.astype(np.float64)
    if version:
        samples = soxr.resample(samples, SAMPLE_RATE, SAMPLE_RATE * rng.uniform(1 - _SPEED, 1 + _SPEED))
    varied = _to_pcm16(samples * 10 ** (rng.uniform(*_LEVEL_DB) / 20))
    return add_noise(varied, rng.uniform(*SNR_DB), rng) if version and rng.random() < _NOISY_SHARE else varied


def _example(text: str, cepstra: FloatArray, mean: FloatArray, deviation: FloatArray) -> _Example:
    symbols = np.array([ALPHABET.index(symbol) for symbol in text])
    frames = (in_context(cepstra) - mean) / deviation
    return _Example(*map(torch.from_numpy, (frames, symbols, _spread(cepstra, symbols))))


def _spread(cepstra: FloatArray, symbols: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return a symbol per frame: all of the same length from the first loud frame to the last, blanks around them.

    Learning these first spares the epochs in which CTC finds nothing better than blanks.
    """
    loudness = cepstra[:, 0]
    low, high = np.percentile(loudness, (5, 95))
    loud = np.flatnonzero(loudness >= low + 0.35 * (high - low))
    start, end = loud[0], loud[-1] + 1
    spread = np.full(len(cepstra), BLANK)
    spread[start:end] = symbols[np.arange(end - start) * len(symbols) // (end - start)]
    return spread


class _Network(nn.Module):
    """DeepSpeech's topology on normalised frames; `export` puts the normalisation into the first layer."""

    def __init__(self) -> None:
        super().__init__()
        self.dense1 = nn.Linear(N_INPUTS, N_HIDDEN)
        self.dense2 = nn.Linear(N_HIDDEN, N_HIDDEN)
        self.dense3 = nn.Linear(N_HIDDEN, N_HIDDEN)
        self.lstm = nn.LSTM(N_HIDDEN, N_HIDDEN)
        self.dense5 = nn.Linear(N_HIDDEN, N_HIDDEN)
        self.output = nn.Linear(N_HIDDEN, BLANK + 1)

    def forward(self, frames: Tensor) -> Tensor:
        """Map ``(n_frames, batch, 494)`` to log-probabilities ``(n_frames, batch, 29)``."""
        for layer in (self.dense1, self.dense2, self.dense3):
            frames = layer(frames).clamp(0.0, RELU_CLIP)
        states = self.dense5(self.lstm(frames)[0]).clamp(0.0, RELU_CLIP)
        return torch.log_softmax(self.output(states), dim=-1)

    def export(self, mean: FloatArray, deviation: FloatArray) -> AcousticModel:
        """Return the layers for frames that are not normalised."""
        first = _affine(self.dense1.weight, self.dense1.bias)
        weights = first.weights / deviation[:, np.newaxis]
        dense = {
            name: _affine(layer.weight, layer.bias)
            for name, layer in self.named_children()
            if isinstance(layer, nn.Linear)
        }
        dense["dense1"] = Affine(weights, first.bias - mean @ weights)
        lstm = dict(self.lstm.named_parameters())
        kernel = torch.cat([lstm["weight_ih_l0"], lstm["weight_hh_l0"]], dim=1)
        bias = lstm["bias_ih_l0"] + lstm["bias_hh_l0"]
        # torch has its gates as input, forget, cell, output
        order = torch.arange(4 * N_HIDDEN).reshape(4, N_HIDDEN)[[0, 2, 1, 3]].ravel()
        return AcousticModel(lstm=_affine(kernel[order], bias[order]), **dense)


def _affine(weight: Tensor, bias: Tensor) -> Affine:
    return Affine(weight.detach().numpy().T.copy(), bias.detach().numpy().copy())


def _fit(network: _Network, examples: Sequence[Sequence[_Example]], recipe: Recipe, rng: np.random.Generator) -> None:
    """Train by CTC, each epoch on one version of every utterance, drawn anew."""
    optimizer = torch.optim.AdamW(network.parameters(), _LEARNING_RATE)
    n_batches = -(-len(examples) // _BATCH_SIZE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _LEARNING_RATE, recipe.epochs * n_batches)
    for epoch in progress(range(recipe.epochs), recipe.epochs, "training the stand-in recogniser", "epoch"):
        chosen = [versions[int(rng.integers(len(versions)))] for versions in examples]
        for batch in _batches(chosen, rng):
            loss = _loss(network, batch, aligned=epoch < recipe.aligned_epochs)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), _LARGEST_GRADIENT)
            optimizer.step()
            schedule.step()


def _batches(examples: Sequence[_Example], rng: np.random.Generator) -> Iterator[list[_Example]]:
    """Yield batches in random order, each of utterances of like length."""
    order = rng.permutation(len(examples)).tolist()
    pool = _BATCH_SIZE * _BATCHES_OF_LIKE_LENGTH
    batches = []
    for start in range(0, len(order), pool):
        rows = sorted(order[start : start + pool], key=lambda row: len(examples[row].frames))
        batches += [rows[first : first + _BATCH_SIZE] for first in range(0, len(rows), _BATCH_SIZE)]
    for position in rng.permutation(len(batches)).tolist():
        yield [examples[row] for row in batches[position]]


def _loss(network: _Network, batch: Sequence[_Example], aligned: bool) -> Tensor:
    frames = nn.utils.rnn.pad_sequence([each.frames for each in batch])
    scores = network(frames + _JITTER * torch.randn_like(frames))
    if aligned:
        wanted = nn.utils.rnn.pad_sequence([each.spread for each in batch], padding_value=-1.0)
        return nn.functional.nll_loss(scores.flatten(0, 1), wanted.flatten(), ignore_index=-1)
    n_frames, n_symbols = ([len(each[field]) for each in batch] for field in (0, 1))
    symbols = torch.cat([each.symbols for each in batch])
    return nn.functional.ctc_loss(
        scores, symbols, torch.tensor(n_frames), torch.tensor(n_symbols), blank=BLANK, zero_infinity=True
    )
