"""A corpus and noises of one's own, small, as no rule makes them."""

from pathlib import Path

import numpy as np
import soundfile as sf

SPEAKERS = ("anna", "ben", "carl")
EMOTIONS = ("anger", "happiness", "sadness", "neutral")
CONFIG = """
corpora:
  mine:
    layout: table
    root: data/mine
    shards: 2
    options: {{table: labels.csv, audio: "wav/{{file}}.wav", columns: {{speaker: speaker, emotion: emotion}}}}
  emodb: {{root: no/such/folder}}
noise: {{esc50: {{root: data/esc50, allow_partial: true}}}}
backbones: {{byol: {{weights: {weights}}}}}
dlc: {{corpora: [mine], profiles: [h1], methods: [single]}}
"""


def write_noise(path: Path, seed: int, samples: int = 8000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, np.random.default_rng(seed).normal(0, 0.1, samples), 16000, subtype="PCM_16")


def write_corpus(root: Path) -> None:
    lines = ["file,speaker,emotion"]
    for speaker in SPEAKERS:
        for number, emotion in enumerate(EMOTIONS):
            write_noise(root / f"wav/{speaker}{number}.wav", len(lines))
            lines.append(f"{speaker}{number},{speaker},{emotion}")
    (root / "labels.csv").write_text("\n".join(lines) + "\n")


def write_esc50(root: Path) -> None:
    lines = ["filename,fold,target,category"]
    for target in (10, 20, 30):
        write_noise(root / f"audio/1-{target}-A-{target}.wav", target)
        lines.append(f"1-{target}-A-{target}.wav,1,{target},c{target}")
    (root / "meta").mkdir()
    (root / "meta/esc50.csv").write_text("\n".join(lines) + "\n")
