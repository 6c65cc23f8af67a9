"""How much a job has to do, and of what kind it is: what its time is reckoned from.

Work is hours of audio: those of its shard or corpus, and for a training those of its training utterances, times
epochs, over all fits. What is made of no one corpus, such as a table, counts as a job.

Before a training nobody knows when it stops early: it has at most the epochs of the configuration, and at least one
more than its patience.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from serflow.config import Config
from serflow.planning.commands import Command
from serflow.planning.hours import Hours
from serflow.protocols.splits import COUPLES, DRAWN, N_UTTERANCE_FOLDS, OTHER
from serflow.settings.base import DOWNLOAD, STAND_IN
from serflow.settings.features import TEXT_FEATURE

HOUR, JOB = "h", "job"
_TRAINING = "train"
_NOISES = 3
_OF_A_CORPUS = frozenset(
    {
        "make_synthetic_corpus", "list_utterances", "prepare_audio", "accept_utterances", "split_utterances",
        "pack_audio", "find_pulses", "plan_noise", "render_noisy", "measure_corpus", "extract_features",
        "pack_features", "transcribe", "embed_text",
    }
)  # fmt: skip
_TRAINS = frozenset({"train", "train_batch", "train_joint"})
# of all studies
_ALIKE = frozenset({"tabulate", "describe_protocol"})
# what a step costs does not hang on these
_FREE = frozenset(
    {
        "epochs", "max_epochs", "patience", "learning_rate", "momentum", "weight_decay", "optimizer",
        "class_weights", "reconstruction_weight", "ramp_epochs", "weight", "clip", "reconstruction", "similarity",
        "difference", "iemocap_labels", "emotions", "intensity", "folds_used", "tested", "speakers", "style",
        "held_out", "watch", "alpha", "strength", "schedule", "epsilon", "plateau_factor", "plateau_patience",
        "warmup", "clip_norm", "betas", "beta", "eval_updates", "temperature", "dropout", "gain_db", "init_std",
        "gamma", "delta", "l0", "more_than", "scale", "bias", "segment_weight", "corpus", "graphs", "fused",
    }
)  # fmt: skip


class Amount(NamedTuple):
    """How much work: at least and at most, in hours of audio or jobs."""

    least: float
    most: float


NOTHING = Amount(0, 0)


class Work(NamedTuple):
    """What a job does.

    Parameters
    ----------
    stage, kind, size
        What a job's cost is recorded under: a stage; of what (a feature, a study's method); how large its network is,
        as a digest of its options, empty where there is none.
    unit
        What its amount counts: `HOUR`, or `JOB`.
    amount
        None where it is not known: nothing says how long a corpus is.
    made
        What the size of the outputs goes by: of a training its fits, else the amount.
    why_not
        Why the amount is not known.
    """

    stage: str
    kind: str
    size: str
    unit: str
    amount: Amount | None
    made: float = 0.0
    why_not: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What its cost is recorded under."""
        return self.stage, self.kind, self.size


def is_training(stage: str) -> bool:
    """Tell whether a stage trains."""
    return stage in _TRAINS


def size_of(options: Any) -> str:
    """Return a digest of the options of a training that its cost may hang on: all that are not known to be free."""
    return hashlib.sha256(json.dumps(_costly(options), sort_keys=True).encode()).hexdigest()[:8]


def _costly(options: Any) -> Any:
    if isinstance(options, dict):
        return {key: _costly(value) for key, value in options.items() if isinstance(value, dict) or not _is_free(key)}
    return options


def _is_free(name: str) -> bool:
    return name in _FREE or name.endswith(("_epochs", "_learning_rate"))


def epochs_of(options: Mapping[str, Any]) -> Amount:
    """Return the epochs of a fit, at least and at most; one where a method has none.

    A network that is trained in stages (HFFN) has those of all stages: each its own, or as many as `training` says.
    """
    training = options.get("training") or {}
    most = training.get("max_epochs", training.get("epochs", 1))
    patience = training.get("patience")
    own = options.get("staged") or {}
    of_stages = [most]
    if options.get("hffn") == "staged":
        of_stages += [own.get(f"{stage}_epochs") or most for stage in ("lexical", "fusion")]
    least = [epochs if patience is None else min(epochs, patience + 1) for epochs in of_stages]
    return Amount(sum(least), sum(of_stages))


class Works:
    """Tells the work of jobs.

    Parameters
    ----------
    config
        What the jobs are of.
    hours
        How long the corpora are.
    """

    def __init__(self, config: Config, hours: Hours) -> None:
        self._config = config
        self.hours = hours

    def of(self, rule: str, command: Command | None) -> Work:
        """Return the work of a job, by the rule and the command."""
        if command is None:
            return Work(rule, "", "", JOB, Amount(1, 1), 1.0)
        stage = command.stage
        if is_training(stage):
            return self._training(command)
        kind = self._kind(command)
        if stage not in _OF_A_CORPUS:
            return Work(stage, kind, "", JOB, Amount(1, 1), 1.0)
        corpus = self._corpus(command)
        if corpus is None:
            return Work(stage, kind, "", HOUR, None, why_not="it names no corpus of the configuration")
        hours = self.hours.of(corpus)
        if hours is None:
            return Work(stage, kind, "", HOUR, None, why_not=self.hours.unknown(corpus))
        parts = self._config.n_shards(corpus) if command.placed()[-1].isdigit() else 1
        return Work(stage, kind, "", HOUR, Amount(hours / parts, hours / parts), hours / parts)

    def _corpus(self, command: Command) -> str | None:
        return next((part for part in command.placed()[1:] if part in self._config.corpora), None)

    def _kind(self, command: Command) -> str:
        """Return what a stage's cost hangs on besides its work: the feature or network, and whose its weights are."""
        config, placed = self._config, command.placed()
        extractor, recogniser = command.word("extractor"), command.word("recogniser")
        backbone = None
        if extractor is not None or command.stage == "measure_corpus":
            name = command.word("feature") or ""
            kind, backbone = extractor or name, config.backbone(name)
        elif recogniser is not None:
            kind, backbone = recogniser, config.recogniser_backbone(recogniser)
        elif command.stage == "embed_text":
            kind = backbone = "bert"
        elif command.stage == "prepare_weights":
            kind = backbone = command.word("backbone") or ""
        elif command.stage == "pack_features":
            # of whatever recogniser the words are
            kind = TEXT_FEATURE if placed[1].startswith(TEXT_FEATURE) else placed[1]
        elif command.stage in _ALIKE:
            return ""
        else:
            return command.word("study") or ""
        return kind if backbone is None else f"{kind}, {self._weights(backbone)} weights"

    def _weights(self, backbone: str) -> str:
        """Say whose the weights of a network are: a stand-in is smaller than what it stands for."""
        given = self._config.backbones[backbone].weights if backbone in self._config.backbones else STAND_IN
        return given if given in (STAND_IN, DOWNLOAD) else "own"

    def _training(self, command: Command) -> Work:
        cells, options, study = command.cells(), command.json("options") or {}, command.word("study") or ""
        first = cells[0] if cells else {}
        method = first.get("method", first.get("system", first.get("case", "").partition("-")[0]))
        # networks that are in the graph
        weights = [path for name, path in command.named("inputs") if name == "weights"]
        within = {path.rpartition("/")[2].removesuffix(".json") for path in weights}
        kind = ", ".join([f"{study} {method}", *(f"{self._weights(name)} weights" for name in sorted(within))])
        # a batch of cells costs what they would one by one
        size = size_of(options)
        least = most = fits = 0.0
        epochs, splits = epochs_of(options), Counter[tuple[str, str]]()
        for corpus, protocol, times in command.splits():
            splits[corpus, protocol] += times
        for (corpus, protocol), times in splits.items():
            hours = self.hours.of(corpus)
            if hours is None:
                return Work(_TRAINING, kind, size, HOUR, None, why_not=self.hours.unknown(corpus))
            folds = self._folds(corpus, protocol, options, first)
            if folds is None:
                said = f"nothing says how many folds {protocol} has on {corpus} before its utterances are read"
                return Work(_TRAINING, kind, size, HOUR, None, why_not=said)
            trained = hours * self.hours.labelled(corpus, options.get("style")) * folds.share * folds.n * times
            least += trained * epochs.least
            most += trained * epochs.most
            fits += folds.n * times
        if not splits:
            return Work(_TRAINING, kind, size, HOUR, None, why_not="its command names no split")
        return Work(_TRAINING, kind, size, HOUR, Amount(least, most), fits)

    def _folds(self, corpus: str, protocol: str, options: Mapping[str, Any], cell: Mapping[str, str]) -> "Folds | None":
        """Return how many fits a run of a training has, and the share of the utterances that each trains on."""
        found = folds_of(protocol, self.hours.count(corpus, "speaker"), self.hours.count(corpus, "session"))
        if found is None:
            return None
        n, share = found
        used = options.get("folds_used")
        if used == "first" or options.get("tested") == "first":
            n = 1
        elif isinstance(used, int):
            n = min(n, used)
        speakers, asked = self.hours.count(corpus, "speaker"), options.get("speakers")
        if asked is not None and speakers:
            share = min(share, asked / speakers)
        if cell.get("experiment") == "exp2":
            # DLC, section VI: each of three noises is held out in turn
            n, share = n * _NOISES, share * (_NOISES - 1) / _NOISES
        return Folds(n, share)


class Folds(NamedTuple):
    """How many parts of a corpus are held out in turn, and the share of it that each fit trains on."""

    n: int
    share: float


def folds_of(protocol: str, speakers: int | None, sessions: int | None) -> Folds | None:
    """Return the folds of a protocol of `serflow.protocols.splits`.

    Parameters
    ----------
    protocol
        Its name.
    speakers, sessions
        How many the corpus has; None where nothing says.

    Returns
    -------
    None where they hang on a number that is not known.
    """
    kind, _, number = protocol.partition("-")
    if kind in DRAWN:
        return Folds(1, DRAWN[kind][0])
    if kind == "utterance_fold":
        return Folds(N_UTTERANCE_FOLDS, 1 - 1 / N_UTTERANCE_FOLDS)
    if kind == "speaker_folds":
        return Folds(int(number), (int(number) - 2) / int(number))
    if kind == "in_turn" and speakers:
        return Folds(int(number), (int(number) - 1) / speakers)
    if kind in ("dialogue_fold", "speaker_fold") and speakers:
        return Folds(speakers, (speakers - 1) / speakers)
    if kind.removeprefix(OTHER) == "pair" and speakers:
        sessions = speakers // 2
    if sessions and sessions > 1:
        if kind in COUPLES:
            # of one couple in turn one validates and the other is tested; or one of another couple validates
            out = 1.5 if kind.startswith(OTHER) else 1
            return Folds(sessions * (2 if number == "both" else 1), (sessions - out) / sessions)
        if kind == "leave_session":
            return Folds(sessions, (sessions - 2) / sessions)
        if kind == "session_fold":
            return Folds(sessions, (sessions - 1) / sessions)
        if kind == "last_session" and speakers:
            tested = speakers * (sessions - 1) // sessions
            return Folds(tested, (tested - 1) / speakers)
    return None
