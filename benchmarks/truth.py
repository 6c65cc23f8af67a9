"""Numbers that others published on free data, from our readers, folds and metrics: within a band of them, or outside.

``python benchmarks/truth.py --data DIR [--cores 2] [--work FOLDER]``: DIR holds emodb/, ravdess/, esc50/ and
weights/byol-s/*.pth, what there is of them. Features that are not ours come from their own package, where it is
installed (``pip install opensmile``). Prints one JSON line a number; what cannot be computed here says why.
"""

import argparse
import importlib.util
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import serflow

# isort: split
import numpy as np
import pandas as pd
import yaml
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from _common import snakemake
from serflow.audio.decode import decode
from serflow.backbones.base import StandardisedBackbone, load_backbone
from serflow.features.base import FloatArray
from serflow.noise.published import PUBLISHED_CLIPS
from serflow.stores.waveforms import PackedWaveforms
from serflow.training.metrics import unweighted_accuracy, weighted_accuracy

RAVDESS_FOLDS = ((2, 5, 14, 15, 16), (3, 6, 7, 13, 18), (10, 11, 12, 19, 20), (8, 17, 21, 23, 24), (1, 4, 9, 22))
_NOT_OURS = "it is no backbone here, and its weights are not at hand"


@dataclass(frozen=True)
class Place:
    """Where the data lie, and where the workflow works; ``cores`` are its."""

    data: Path
    work: Path
    cores: int

    def build(self, *targets: str) -> list[Path]:
        """Return what the workflow makes of the corpora in ``data``."""
        corpora = {name: {"root": name, "allow_partial": True} for name in ("emodb", "ravdess") if self.holds(name)}
        config = {"data_root": str(self.data.resolve()), "corpora": corpora}
        (self.work / "truth.yaml").write_text(yaml.safe_dump(config))
        snakemake(self.work, self.cores, self.work / "truth.yaml", *targets)
        return [self.work / target for target in targets]

    def holds(self, name: str) -> bool:
        """Say whether there is a folder of that name."""
        return (self.data / name).is_dir()

    def count(self, name: str) -> int:
        """Return how many audio files a corpus has."""
        return sum(path.suffix.lower() in (".wav", ".flac") for path in (self.data / name).rglob("*.*"))


@dataclass(frozen=True)
class Truth:
    """A published number: percent, and how far ours may be from it; ``missing`` says why it cannot be computed."""

    name: str
    protocol: str
    published: float
    band: float
    source: str
    missing: Callable[[Place], str | None]
    compute: Callable[[Place], float] | None = None


def few(name: str, whole: int, *more: Callable[[Place], str | None]) -> Callable[[Place], str | None]:
    """Return what says that a corpus is not there in full, or what ``more`` say."""

    def missing(place: Place) -> str | None:
        found = place.count(name)
        if found != whole:
            return f"{found:,} of {whole:,} files of {name} in {place.data}"
        return next(filter(None, (each(place) for each in more)), None)

    return missing


def no_package(name: str) -> Callable[[Place], str | None]:
    """Return what says that a package is not installed."""
    return lambda place: None if importlib.util.find_spec(name) else f"pip install {name}"


def never(why: str) -> Callable[[Place], str | None]:
    """Return what says ``why``."""
    return lambda place: why


def one_hot(classes: pd.Series) -> FloatArray:
    """Return targets ``(n, classes)``."""
    targets: FloatArray = pd.get_dummies(classes).to_numpy(np.float32)
    return targets


def emodb_compare(place: Place) -> float:
    """Return the UA of a scaler and SVC on openSMILE's ComParE_2016, each speaker in turn; predictions pooled."""
    import opensmile  # type: ignore[import-not-found]

    table, folds, packed = place.build(
        "results/corpora/emodb/utterances.parquet",
        "results/splits/emodb/speaker_fold.parquet",
        "results/packed/audio/emodb.parquet",
    )
    waveforms = PackedWaveforms.open(packed)
    smile = opensmile.Smile(opensmile.FeatureSet.ComParE_2016, opensmile.FeatureLevel.Functionals)
    rows = {
        name: smile.process_signal(waveforms.waveform(row), 16_000).to_numpy()[0]
        for name, row in waveforms.row_of.items()
    }
    utterances = pd.read_parquet(table).set_index("utterance")
    targets = one_hot(utterances.emotion)
    inputs = np.stack([rows[name] for name in utterances.index])
    predicted = np.full(len(targets), -1)
    for _, fold in pd.read_parquet(folds).groupby("fold"):
        train, test = (utterances.index.get_indexer(fold.utterance[fold.role == role]) for role in ("train", "test"))
        classifier = make_pipeline(StandardScaler(), SVC(gamma="auto")).fit(inputs[train], targets[train].argmax(1))
        predicted[test] = classifier.predict(inputs[test])
    return 100 * unweighted_accuracy(targets, predicted)


def ravdess_majority(place: Place) -> float:
    """Return the mean WA over five folds of actors of the class that training has most of."""
    (table,) = place.build("results/corpora/ravdess/utterances.parquet")
    utterances = pd.read_parquet(table)
    targets, actors = one_hot(utterances.emotion), utterances.speaker.astype(int)
    found = []
    for fold in RAVDESS_FOLDS:
        test = actors.isin(fold).to_numpy()
        largest = targets[~test].sum(0).argmax()
        found.append(weighted_accuracy(targets[test], np.full(test.sum(), largest)))
    return 100 * float(np.mean(found))


def byol_2048(place: Place) -> Path | None:
    """Return the weights that HEAR was entered with."""
    return next(iter(sorted((place.data / "weights").rglob("default2048_BYOLAs*.pth"))), None)


def no_byol_2048(place: Place) -> str | None:
    """Say that they are not there."""
    return None if byol_2048(place) else "no default2048_BYOLAs*.pth in weights/"


def esc50_byol(place: Place) -> float:
    """Return the mean accuracy over the official folds of a logistic regression on BYOL-S vectors.

    Pictures are standardised by all clips together, as HEAR's entry does it by those of a batch.
    """
    weights = byol_2048(place)
    assert weights is not None
    network = load_backbone("byol", weights)
    assert isinstance(network, StandardisedBackbone)
    clips = pd.read_csv(place.data / "esc50/meta/esc50.csv")
    files = [next((place.data / "esc50/audio").glob(f"{Path(name).stem}.*")) for name in clips.filename]
    mean, deviation = np.mean([network.measure(decode(file).waveform) for file in files], axis=0).tolist()
    told = network.standardised_by(mean, deviation)
    inputs = np.concatenate([told([decode(file).waveform], "vector")[0] for file in files])
    targets, found = one_hot(clips.category), []
    for fold in sorted(set(clips.fold)):
        test = (clips.fold == fold).to_numpy()
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
        probe.fit(inputs[~test], targets[~test].argmax(1))
        found.append(weighted_accuracy(targets[test], probe.predict(inputs[test])))
    return 100 * float(np.mean(found))


TRUTHS = (
    Truth(
        "EmoDB, ComParE_2016",
        "535 utterances, 7 classes, each speaker in turn; scaler and SVC (RBF, gamma auto); UA of all predictions",
        77.08,
        0.5,
        "audeering/w2v2-how-to 13fc513, notebook",
        few("emodb", 535, no_package("opensmile")),
        emodb_compare,
    ),
    Truth(
        "EmoDB, wav2vec2-large-robust-12 trained on MSP-Podcast",
        "the same",
        93.38,
        0.5,
        "audeering/w2v2-how-to 13fc513, notebook",
        never(f"Zenodo 6221127 (CC BY-NC-SA 4.0): {_NOT_OURS}"),
    ),
    Truth(
        "RAVDESS, largest class",
        "1,440 utterances, 8 classes, five folds of whole actors; mean accuracy",
        13.33,
        0.01,
        "cristinalunaj/MMEmotionRecognition aeb7844",
        few("ravdess", 1440),
        ravdess_majority,
    ),
    Truth(
        "RAVDESS, mean of the encoder of wav2vec2-xlsr-53-english",
        "the same; SVC, C = 10",
        53.12,
        1.5,
        "cristinalunaj/MMEmotionRecognition aeb7844",
        never("the 512 values of that encoder are no output of the backbone wav2vec2, and its weights are not at hand"),
    ),
    Truth(
        "RAVDESS, ResLSTM on MFCC and chroma",
        "the same folds; mean UA",
        62.32,
        2.0,
        "Mak-Sim/ResLSTM-SER f2b7439",
        never("that network is none of a study here, and its features are normalised over test files too"),
    ),
    Truth(
        "ESC-50, BYOL-S with 2048 values",
        "2,000 clips, 50 classes, the official five folds; mean accuracy (theirs: an MLP that is searched)",
        80.5,
        3.0,
        "HEAR 2021, leaderboard",
        few("esc50", PUBLISHED_CLIPS, no_byol_2048),
        esc50_byol,
    ),
)  # fmt: skip


def measured(truth: Truth, place: Place) -> dict[str, Any]:
    """Return a line: the published number, ours, and whether it is within the band."""
    why = truth.missing(place)
    ours = None if why is not None or truth.compute is None else truth.compute(place)
    within = None if ours is None else abs(ours - truth.published) <= truth.band
    return {
        "name": truth.name,
        "protocol": truth.protocol,
        "published": truth.published,
        "source": truth.source,
        "band": truth.band,
        "ours": None if ours is None else round(ours, 2),
        "verdict": {True: "within", False: "outside", None: f"not computed: {why}"}[within],
        "version": serflow.__version__,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds emodb/, ravdess/, esc50/, weights/")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--work", type=Path, help="folder to work in (default: a temporary one)")
    arguments = parser.parse_args()
    work = Path(tempfile.mkdtemp()) if arguments.work is None else arguments.work
    work.mkdir(parents=True, exist_ok=True)
    lines = [measured(truth, Place(arguments.data, work, arguments.cores)) for truth in TRUTHS]
    for line in lines:
        print(json.dumps(line), flush=True)
    if any(line["verdict"] == "outside" for line in lines):
        sys.exit(1)


if __name__ == "__main__":
    main()
