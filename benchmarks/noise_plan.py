"""Speed and accuracy of noise mixing, beside a plain librosa loop: a line of JSON per comparison.

``python benchmarks/noise_plan.py`` runs on noise that it makes itself; ``--data DIR`` on DIR/esc50 and DIR/emodb.
The measurements share no code with serflow: speech and clips are decoded again from the original files in float64,
and what the rendered file holds beyond the speech is the noise.

- ``mix_prepared``: from prepared audio and plan to mixtures in memory, as every feature job does it.
- ``mix_from_files``: the same with decoding, resampling and planning included, as for a single use (the plan
  deals all clips out by turns).
- ``worst_snr_error``: largest distance of achieved and asked SNR over all clips. The peer sets the level by the power
  of the whole clip, as is common.
- ``lowest_correlation``: of the noise in the mixture with the original clip, where the plan says that it is taken from
  (1 is the best there is, and stands for the peer).
"""

import argparse
import itertools
import json
import math
import tempfile
from pathlib import Path

import serflow  # noqa: F401  # one thread, before NumPy starts

# isort: split
import librosa
import numpy as np
import numpy.typing as npt
import soundfile

from _common import best_by_turns
from serflow.audio.prepared import iterate_prepared, prepare, write_prepared
from serflow.noise.mixing import ClipBank, PlanRow, read_plan, write_plan
from serflow.noise.plan import Draw, plan_utterance
from serflow.stages import prepare_clips, render_noisy
from serflow.stores.parquet import read_table

SAMPLE_RATE = 16000
SNRS_DB = {"natural": -5.0, "interior": -20.0, "human": -20.0}
SYNTHETIC_CLIPS_PER_GROUP = 12

Signal = npt.NDArray[np.float64]


def make_esc50(root: Path) -> None:
    """Write clips in ESC-50's layout: coloured noise of 5 s, half of them with a silent tail."""
    rng = np.random.default_rng(0)
    (root / "audio").mkdir(parents=True)
    (root / "meta").mkdir()
    lines = ["filename,fold,target,category,esc10,src_file,take"]
    for target in (10, 20, 30):
        for i in range(SYNTHETIC_CLIPS_PER_GROUP):
            name = f"1-{i}-A-{target}.wav"
            samples = np.convolve(rng.normal(0, 0.1, 220500), np.ones(8 + i) / (8 + i), mode="same")
            samples *= 1 + np.sin(2 * np.pi * (0.2 + 0.1 * i) * np.arange(220500) / 44100)
            if i % 2:
                samples[rng.integers(20_000, 150_000) :] = 0
            soundfile.write(root / "audio" / name, np.clip(samples, -1, 1), 44100, subtype="PCM_16")
            lines.append(f"{name},1,{target},noise,False,{i},A")
    (root / "meta" / "esc50.csv").write_text("\n".join(lines) + "\n")


def make_speech(root: Path) -> None:
    """Write three utterances a clip: noise with the rhythm of syllables."""
    rng = np.random.default_rng(1)
    root.mkdir()
    for i in range(9 * SYNTHETIC_CLIPS_PER_GROUP):
        t = np.arange(int(rng.uniform(1.5, 7) * SAMPLE_RATE)) / SAMPLE_RATE
        samples = rng.normal(0, 0.08, len(t)) * np.sin(2 * np.pi * 2 * t) ** 2
        soundfile.write(root / f"u{i:03d}.flac", samples, SAMPLE_RATE, subtype="PCM_16")


def clip_path(esc50: Path, clip: str) -> Path:
    return next(path for path in (esc50 / "audio").glob(f"{clip}.*"))


def librosa_mix(speech_path: Path, noise_path: Path, snr_db: float) -> tuple[Signal, Signal]:
    """Return speech and noise as a plain loop mixes them: the level by the power of the whole clip."""
    speech, _ = librosa.load(speech_path, sr=SAMPLE_RATE, dtype=np.float64)
    noise, _ = librosa.load(noise_path, sr=SAMPLE_RATE, dtype=np.float64)
    gain = math.sqrt(np.mean(speech**2) / np.mean(noise**2) / 10 ** (snr_db / 10))
    return speech, gain * np.resize(noise, len(speech))


def snr_db(speech: Signal, noise: Signal) -> float:
    return 10 * math.log10(np.sum(speech**2) / np.sum(noise**2))


def original_segment(esc50: Path, row: PlanRow, trimmed_start_s: float, n_clip: int, n_samples: int) -> Signal:
    """Return the segment of the original clip that the plan names, resampled by librosa."""
    clip, _ = librosa.load(clip_path(esc50, row.clip), sr=SAMPLE_RATE, dtype=np.float64)
    start = round(trimmed_start_s * SAMPLE_RATE)
    return np.resize(np.roll(clip[start : start + n_clip], -row.offset), n_samples)


def report(name: str, ours: float, peer: float, unit: str) -> None:
    line = {"name": name, "ours": ours, "peer": peer, "ratio": ours / peer if peer else None, "unit": unit}
    print(json.dumps({k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in line.items()}), flush=True)


def make_artefacts(esc50: Path, speech: list[Path], work: Path) -> None:
    """Prepare audio and clips and plan the clips into the utterances by turns."""
    prepare_clips.main(
        argparse.Namespace(
            root=esc50,
            synthetic=False,
            allow_partial=True,
            files=None,
            clips=work / "clips.parquet",
            rejected=work / "rejected.csv",
        )
    )
    bank = ClipBank.read(work / "clips.parquet")
    draws = [Draw(group, clip, i) for group, names in bank.by_condition.items() for i, clip in enumerate(names)]
    if len(speech) < len(draws):
        raise SystemExit(f"{len(speech)} utterances are too few for {len(draws)} clips")
    write_prepared(
        work / "audio.parquet",
        (prepare(path.stem, path, min_duration_s=0.1) for path in speech),
        {"corpus": "benchmark"},
    )
    rows = [
        plan_utterance(utterance, draw, bank[draw.clip], SNRS_DB[draw.condition])
        for utterance, draw in zip(iterate_prepared(work / "audio.parquet"), itertools.cycle(draws), strict=False)
    ]
    write_plan(work / "plan.parquet", rows, {})


def compare_speed(esc50: Path, speech: dict[str, Path], work: Path) -> None:
    """Time both on the same plan; the artefacts made on the way stay in ``work``."""

    def prepare_all() -> None:
        make_artefacts(esc50, list(speech.values()), work)

    def ours() -> None:
        plan = read_plan(work / "plan.parquet")
        bank = ClipBank.read(work / "clips.parquet")
        for utterance in iterate_prepared(work / "audio.parquet"):
            bank.mix(utterance.waveform, plan[utterance.utterance])

    def peer() -> None:
        for row in read_plan(work / "plan.parquet").values():
            clean, noise = librosa_mix(speech[row.utterance], clip_path(esc50, row.clip), row.snr_db)
            clean + noise

    seconds = best_by_turns({"prepare": prepare_all, "ours": ours, "peer": peer}, repeats=2)
    n = len(speech)
    report("mix_prepared", n / seconds["ours"], n / seconds["peer"], "utterances/s")
    report("mix_from_files", n / (seconds["prepare"] + seconds["ours"]), n / seconds["peer"], "utterances/s")


def compare_accuracy(esc50: Path, speech: dict[str, Path], work: Path) -> None:
    render_noisy.main(
        argparse.Namespace(
            audio=[work / "audio.parquet"],
            plan=work / "plan.parquet",
            clips=work / "clips.parquet",
            folder=work / "noisy",
        )
    )
    clips = read_table(work / "clips.parquet", columns=["clip", "n_samples", "trimmed_start_s"]).to_pylist()
    facts = {clip["clip"]: clip for clip in clips}
    errors, peer_errors, correlations = [], [], []
    for row in read_plan(work / "plan.parquet").values():
        clean = soundfile.read(speech[row.utterance])[0]
        mixture = soundfile.read(work / "noisy" / f"{row.utterance}.flac")[0]
        noise = mixture / row.scale - clean
        errors.append(abs(snr_db(clean, noise) - row.snr_db))
        fact = facts[row.clip]
        segment = original_segment(esc50, row, fact["trimmed_start_s"], fact["n_samples"], len(clean))
        correlations.append(float(np.corrcoef(noise, segment)[0, 1]))
        peer_clean, peer_noise = librosa_mix(speech[row.utterance], clip_path(esc50, row.clip), row.snr_db)
        if peer_noise.any():
            peer_errors.append(abs(snr_db(peer_clean, peer_noise) - row.snr_db))
    report("worst_snr_error", max(errors), max(peer_errors), "dB")
    report("lowest_correlation", min(correlations), 1.0, "1")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder that holds esc50/ and emodb/ (16 kHz)")
    data = parser.parse_args().data
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if data is None:
            make_esc50(work / "esc50")
            make_speech(work / "speech")
        esc50 = work / "esc50" if data is None else data / "esc50"
        found = (work / "speech" if data is None else data / "emodb").rglob("*")
        speech = sorted(path for path in found if path.suffix in (".flac", ".wav"))
        by_name = {path.stem: path for path in speech}
        compare_speed(esc50, by_name, work)
        compare_accuracy(esc50, by_name, work)


if __name__ == "__main__":
    main()
