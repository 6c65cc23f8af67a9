"""All features of EmoDB with what real weights there are, and a leave-one-speaker-out linear probe on each.

``python benchmarks/emodb.py --data DIR [--cores 2] [--work FOLDER]``: DIR holds emodb/ and, where there are any,
weights/byol-s/*.pth; GE2E's weights are Resemblyzer's. The other networks are stand-ins with random weights: their
rows say so and mean nothing about the networks. The probe is multinomial logistic regression on standardised utterance
vectors (mean and deviation over frames, and mean absolute difference of neighbours: mfcc has mean 0 and deviation 1 in
every utterance), trained on nine speakers, tested on the tenth; UAR over all 535 predictions.
Prints one JSON line a feature: UAR, wall time of its store (audio already prepared), its size.
"""

import argparse
import json
import tempfile
from pathlib import Path

import serflow

# isort: split
import numpy as np
import pandas as pd
import yaml
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from _common import snakemake
from serflow.config import Config
from serflow.features.base import FloatArray
from serflow.stores.features import FeatureStore

# anchors: WA or UA of frozen features on EmoDB, speaker-independent, where published
BANDS = {"wav2vec2": "60 to 80 (wav2vec2-base)"}


def configuration(data: Path) -> dict[str, object]:
    """Return a config of EmoDB alone, with the real weights that lie in ``data``."""
    byol = sorted((data / "weights" / "byol-s").glob("*.pth"))
    return {
        "data_root": str(data.resolve()),
        "corpora": {"emodb": {"root": "emodb"}},
        "backbones": {"byol": {"weights": str(byol[0].resolve()) if byol else "stand-in"}},
    }


def pooled(store: FeatureStore) -> tuple[list[str], FloatArray]:
    """Return an utterance vector each: the store's own, or mean, deviation and movement over frames."""
    if store.kind == "vectors":
        return store.vectors()

    def pool(frames: FloatArray) -> FloatArray:
        movement = np.abs(np.diff(frames, axis=0, append=frames[-1:])).mean(axis=0)
        return np.concatenate([frames.mean(axis=0), frames.std(axis=0), movement])

    rows = [(name, pool(frames)) for name, frames in store.iterate()]
    return [name for name, _ in rows], np.stack([vector for _, vector in rows])


def probe_uar(vectors: FloatArray, emotions: pd.Series, speakers: pd.Series) -> float:
    """Return the UAR (%) of a leave-one-speaker-out linear probe."""
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
    predicted = cross_val_predict(probe, vectors, emotions, groups=speakers, cv=LeaveOneGroupOut())
    return 100 * float(recall_score(emotions, predicted, average="macro"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds emodb/")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--work", type=Path, help="folder to work in (default: a temporary one)")
    arguments = parser.parse_args()
    work = Path(tempfile.mkdtemp()) if arguments.work is None else arguments.work
    work.mkdir(parents=True, exist_ok=True)
    config = work / "emodb.yaml"
    config.write_text(yaml.safe_dump(configuration(arguments.data)))
    weights = [f"resources/weights/{name}.json" for name in Config().backbones]
    table_path = "results/corpora/emodb/utterances.parquet"
    print(f"prepared in {snakemake(work, arguments.cores, config, table_path, *weights):.0f} s")
    table = pd.read_parquet(work / table_path).set_index("utterance")
    for feature in Config().features:
        folder = f"results/features/{feature}/emodb/clean"
        wall = snakemake(work, arguments.cores, config, folder)
        store = FeatureStore.open(work / folder)
        names, vectors = pooled(store)
        weights_of = store.metadata.get("weights", {})
        line = {
            "name": f"{feature}, EmoDB, leave one speaker out",
            "weights": "stand-in" if weights_of.get("synthetic") else weights_of.get("release"),
            "uar": round(probe_uar(vectors, table.loc[names].emotion, table.loc[names].speaker), 1),
            "chance": round(100 / table.emotion.nunique(), 1),
            "expected": None if weights_of.get("synthetic") else BANDS.get(feature),
            "utterances": len(names),
            "wall_s": round(wall, 1),
            "megabytes": round(sum(shard.stat().st_size for shard in store.shards) / 1e6, 1),
            "version": serflow.__version__,
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
