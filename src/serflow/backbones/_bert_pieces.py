"""WordPiece, the tokenizer of BERT (Devlin et al., NAACL 2019, section 3), from the folder of a model."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from serflow.backbones._checkpoint import weights_error
from serflow.backbones._hub import first_line, read_entries, require_files
from serflow.errors import WeightsError

_NAME = "bert"
_SPECIAL = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
_CAN_BE_ABSENT = "mask_token"
"""From the vocabulary: only pretraining needs it."""


class Pieces:
    """Texts to the numbers of their pieces.

    What stands in a text as a special token is written (``[MASK]``) is that token.

    Parameters
    ----------
    tokenizer
        Of pieces alone.
    first, last
        Numbers of the special tokens around a text, [CLS] and [SEP].
    """

    def __init__(self, tokenizer: Tokenizer, first: int, last: int) -> None:
        self._tokenizer = tokenizer
        self.first, self.last = first, last

    def __len__(self) -> int:
        return self._tokenizer.get_vocab_size()

    @property
    def numbers(self) -> dict[str, int]:
        """The number of each piece."""
        return self._tokenizer.get_vocab()

    def __call__(self, texts: Sequence[str], max_tokens: int | None = None) -> list[list[int]]:
        """Return the numbers of each text, [CLS] and [SEP] included, which a text that is cut keeps."""
        end = None if max_tokens is None else max_tokens - 2
        # one by one: for several at once the library would start threads
        found = (self._tokenizer.encode(text, add_special_tokens=False).ids for text in texts)
        return [[self.first, *numbers[:end], self.last] for numbers in found]


def read_pieces(folder: Path, vocab_size: int) -> Pieces:
    """Read tokenizer.json or vocab.txt, and what tokenizer_config.json says of it.

    Where nothing says whether letters are made small, they are, as in the library of the same name.

    Parameters
    ----------
    folder
        Of a model.
    vocab_size
        How many pieces its network knows.

    Raises
    ------
    WeightsError
        If a file is missing or damaged, or of another network.
    """
    (file,) = require_files(folder, _NAME, ("tokenizer.json", "vocab.txt"))
    options = _entries_if_there(folder / "special_tokens_map.json")
    options |= _entries_if_there(folder / "tokenizer_config.json")
    special = {name: _content(options.get(name) or default) for name, default in _SPECIAL.items()}
    whole = read_entries(file, _NAME) if file.suffix == ".json" else {}
    try:
        vocabulary = whole["model"]["vocab"] if whole else WordPiece.read_file(str(file))
        if missing := [piece for name, piece in special.items() if piece not in vocabulary and name != _CAN_BE_ABSENT]:
            raise weights_error(file, _NAME, f"has no {missing[0]}")
        tokenizer = Tokenizer(WordPiece(vocabulary, unk_token=special["unk_token"]))
        tokenizer.normalizer = _normaliser(options, whole.get("normalizer") or {})
        tokenizer.pre_tokenizer = BertPreTokenizer()
        tokenizer.add_tokens(_added_tokens(folder, options, whole))
        tokenizer.add_special_tokens(list(special.values()))
    except WeightsError:
        raise
    except Exception as error:  # tokenizers raises plain exceptions
        raise weights_error(file, _NAME, f"cannot be read ({first_line(error)})") from error
    n_pieces = 1 + max(tokenizer.get_vocab().values())
    if n_pieces > vocab_size:
        raise weights_error(file, _NAME, f"holds {n_pieces} pieces of words; the network knows {vocab_size}")
    return Pieces(tokenizer, *(vocabulary[special[name]] for name in ("cls_token", "sep_token")))


def _entries_if_there(file: Path) -> dict[str, Any]:
    return read_entries(file, _NAME) if file.is_file() else {}


def _content(token: str | Mapping[str, Any]) -> str:
    return token if isinstance(token, str) else str(token["content"])


def _normaliser(options: Mapping[str, Any], saved: Mapping[str, Any]) -> BertNormalizer:
    """Return what cleans a text, by tokenizer_config.json, else by tokenizer.json, else as BERT's own code does."""

    def said(option: str, name: str, default: bool | None) -> bool | None:
        return next((value for value in (options.get(option), saved.get(name)) if value is not None), default)

    return BertNormalizer(
        clean_text=True,
        handle_chinese_chars=bool(said("tokenize_chinese_chars", "handle_chinese_chars", True)),
        strip_accents=said("strip_accents", "strip_accents", None),
        lowercase=bool(said("do_lower_case", "lowercase", True)),
    )


def _added_tokens(folder: Path, options: Mapping[str, Any], whole: Mapping[str, Any]) -> list[AddedToken]:
    """Return what was added to the vocabulary, in the order of the numbers."""
    if "added_tokens_decoder" in options:
        found = {int(number): dict(token) for number, token in options["added_tokens_decoder"].items()}
    else:
        added = _entries_if_there(folder / "added_tokens.json")
        found = {number: {"content": content} for content, number in added.items()}
        found |= {token["id"]: dict(token) for token in whole.get("added_tokens") or ()}
    for token in found.values():
        token.pop("id", None)
        token.pop("__type", None)
    return [AddedToken(**found[number]) for number in sorted(found)]
