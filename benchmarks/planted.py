"""Single on planted synthetic speech: test UA at falling SNR, beside chance.

``python benchmarks/planted.py [--cores 2]`` makes a stand-in for IEMOCAP in which the voice carries the emotion
strongly, trains Single once for each SNR, and prints one JSON line each: ``ours`` is the test UA (mean over
seeds), ``peer`` is chance.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

CHECKOUT = Path(__file__).resolve().parents[1]
SNRS_DB = {"clean": 100.0, "snr20": 20.0, "snr0": 0.0, "snr10_below": -10.0, "snr30_below": -30.0}
SEEDS = [0, 1, 2]


def configuration() -> dict[str, object]:
    """Return a config in which each profile has one SNR for all types of noise; at 100 dB nothing is heard of it."""
    profiles = {f"p_{name}": dict.fromkeys(("natural", "interior", "human"), snr) for name, snr in SNRS_DB.items()}
    return {
        "synthetic": {"utterances": 400, "emotion_strength": 1.5, "speaker_bias": 0.5},
        "noise": {"profiles": profiles},
        "dlc": {
            "corpora": ["iemocap"],
            "profiles": list(profiles),
            "methods": ["single"],
            "stand_in": {"seeds": SEEDS, "maps": 32, "max_epochs": 40},
        },
    }


def main(cores: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "planted.yaml"
        config.write_text(yaml.safe_dump(configuration()))
        cells = {name: f"results/runs/dlc/exp1/single/iemocap/p_{name}/metrics.json" for name in SNRS_DB}
        subprocess.run(
            [
                str(Path(sys.executable).parent / "snakemake"),
                *cells.values(),
                *("--snakefile", str(CHECKOUT / "Snakefile"), "--directory", folder),
                *("--cores", str(cores), "--quiet", "all", "--configfile", str(config)),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        for name, cell in cells.items():
            metrics = json.loads((Path(folder) / cell).read_text())
            ua = sum(fit["ua"] for fit in metrics["fits"]) / len(metrics["fits"])
            chance = 1 / len(metrics["classes"])
            line = {
                "name": f"planted_single_{name}",
                "ours": round(ua, 3),
                "peer": chance,
                "ratio": round(ua / chance, 2),
            }
            print(json.dumps({**line, "unit": "UA (peer: chance)"}), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cores", type=int, default=2)
    main(parser.parse_args().cores)
