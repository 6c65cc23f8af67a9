"""Table 1: the configuration of the networks, read off the trained ones.

A network is built again from the options and the shapes that its run kept, and must take the run's weights as they are.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from serflow.errors import StoreError
from serflow.report.facts import marked, marks
from serflow.report.headings import NOT_APPLICABLE
from serflow.runs.models import read_fit
from serflow.runs.provenance import Provenance
from serflow.settings.base import checked
from serflow.stores.parquet import check
from serflow.studies.invariance.network import BiLstm, Classifier, SpeakerNetwork, Tdnn
from serflow.studies.invariance.options import Options


class Files(NamedTuple):
    """``predictions.parquet``, whose metadata hold the options, and ``model.safetensors`` of a cell of each corpus."""

    predictions: tuple[Path, ...]
    models: tuple[Path, ...]


def rebuild(options: Options, weights: Mapping[str, Tensor], path: Path) -> SpeakerNetwork:
    """Return the network that has ``weights``.

    Raises
    ------
    StoreError
        If the options give another network.
    """
    in_dim = weights["tdnn.0.convolution.weight"].shape[1]
    speakers = weights.get("speaker.output.bias")
    network = SpeakerNetwork(
        options.model, in_dim, len(weights["emotion.output.bias"]), None if speakers is None else len(speakers)
    )
    try:
        network.load_state_dict(dict(weights))
    except RuntimeError as error:
        raise StoreError(f"{path}: its weights are not those of its options; delete it and run again") from error
    return network


def describe(network: SpeakerNetwork) -> dict[str, str]:
    """Return the layers as Table 1 prints them."""
    layers = {}
    for place, layer in enumerate(network.tdnn):
        assert isinstance(layer, Tdnn)
        convolution = layer.convolution
        layers[f"TDNN {place + 1}"] = (
            f"{convolution.out_channels}-{convolution.kernel_size[0]}-{convolution.dilation[0]}"
        )
    recurrent: BiLstm = network.lstm
    layers["Bi-LSTM"] = str(recurrent.forwards.hidden_size)
    units = network.fc.linear.out_features
    layers["FC"] = str(units)
    layers["Statistics pooling"] = f"{units}-dim mean + {units}-dim std"
    layers["Emotion classification"] = _dense(network.emotion)
    layers["Speaker classification"] = NOT_APPLICABLE if network.speaker is None else _dense(network.speaker)
    return layers


def _dense(classifier: Classifier) -> str:
    linear = [module for module in classifier.modules() if isinstance(module, nn.Linear)]
    return "-".join(str(size) for size in (linear[0].in_features, *(layer.out_features for layer in linear)))


def make_table(files: Files, facts: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return heading and rows: a row a layer, a column a corpus; ``facts`` hold the ``titles`` of the corpora."""
    columns: dict[str, dict[str, str]] = {}
    for predictions, model in zip(files.predictions, files.models, strict=True):
        metadata = check(predictions, "predictions")
        options = checked(Options, metadata["options"], str(predictions))
        title = marked(facts["titles"][metadata["cell"]["corpus"]], marks(Provenance.from_json(metadata["provenance"])))
        columns[title] = describe(rebuild(options, read_fit(model), model))
    layers: Sequence[str] = list(dict.fromkeys(name for column in columns.values() for name in column))
    # what stands before the pooling comes before it, however many layers a corpus's network has
    layers = sorted(layers, key=lambda name: not name.startswith("TDNN"))
    rows = [[name, *(column.get(name, NOT_APPLICABLE) for column in columns.values())] for name in layers]
    return ["Layer", *columns], rows
