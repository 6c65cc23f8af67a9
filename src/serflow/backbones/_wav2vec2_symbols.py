"""The symbols of wav2vec 2.0's tokenizer, from the folder of a model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serflow.backbones._checkpoint import weights_error
from serflow.backbones._hub import read_entries, require_files


def _read_vocabulary(folder: Path, backbone: str, options: Mapping[str, Any], n_symbols: int) -> dict[str, Any]:
    """Return the number of each symbol: of vocab.json, and of those that were added to it.

    Older versions of transformers write added symbols to added_tokens.json, newer ones to tokenizer_config.json
    (``options``), also where the network has no output for them.
    """
    vocabulary = read_entries(folder / "vocab.json", backbone)
    added = folder / "added_tokens.json"
    others = read_entries(added, backbone) if added.is_file() else {}
    for place, symbol in options.get("added_tokens_decoder", {}).items():
        others.setdefault(symbol["content"], int(place))
    used = set(vocabulary.values())
    return vocabulary | {
        symbol: place
        for symbol, place in others.items()
        if symbol not in vocabulary and place not in used and isinstance(place, int) and place < n_symbols
    }


def read_symbols(folder: Path, backbone: str, n_symbols: int, blank: int) -> list[str]:
    """Return what each symbol adds to a transcript, in the tokenizer's own letters.

    Special symbols (``<s>``, the blank) add nothing, the end of a word adds a blank.

    Parameters
    ----------
    folder
        Of a model, with the vocab.json of its tokenizer.
    backbone
        Name of the network, for errors.
    n_symbols, blank
        How many symbols the network has, and which is CTC's blank.

    Raises
    ------
    WeightsError
        If the file is missing or damaged, or does not number these symbols.
    """
    (file,) = require_files(folder, backbone, ("vocab.json",))
    options = folder / "tokenizer_config.json"
    options_read = read_entries(options, backbone) if options.is_file() else {}
    delimiter = options_read.get("word_delimiter_token", "|")
    vocabulary = _read_vocabulary(folder, backbone, options_read, n_symbols)
    if sorted(map(str, vocabulary.values())) != sorted(map(str, range(n_symbols))) or blank not in range(n_symbols):
        raise weights_error(
            file, backbone, f"does not number the network's {n_symbols} symbols, blank {blank} among them"
        )
    if delimiter not in vocabulary:
        raise weights_error(file, backbone, f"has no end of a word ({delimiter})")
    symbols = [""] * len(vocabulary)
    for symbol, place in vocabulary.items():
        special = len(symbol) > 2 and symbol[0] in "<[" and symbol[-1] in ">]"
        symbols[place] = " " if symbol == delimiter else "" if special else symbol
    symbols[blank] = ""
    return symbols
