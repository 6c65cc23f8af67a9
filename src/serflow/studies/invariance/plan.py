"""What the rules ask of the study, from the configuration alone: its cells, what each reads, and its tables.

``table2`` and ``table3`` are the paper's; ``probe`` says how well a linear probe names speakers by the embeddings,
``speakers`` how accuracy grows with the speakers of training, ``search`` what the values that the paper does not give
reach on validation speakers. No table reads the search: a value that it finds is written to the configuration.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from serflow.protocols.splits import OTHER, draw_name
from serflow.report.headings import Heading, Layout, Where
from serflow.settings.data import Data
from serflow.studies.contract import Curves, Exposure, Leak
from serflow.studies.departures import departures
from serflow.studies.invariance.catalog import COUNTED, Cell, system_info
from serflow.studies.invariance.options import ModelOptions, Options, TrainingOptions
from serflow.studies.invariance.settings import PAPER, Invariance, ManySpeakers

MAIN = "main"
ROWS = ("ser_only", "mtl", "dat", "cgt")
BASELINE = "ser_only"
READ_OFF = {"chance": ("Chance", "chance"), "majority": ("Majority class", "majority")}
FEATURES = ("mfcc_kaldi", "energy_vad")
SEARCHED = {
    "mtl": ("mtl_weight", "weight"),
    "dat": ("dat_strength", "strength"),
    "cgt": ("cgt_epsilon", "epsilon"),
}
SESSIONS = 5
# minutes of an epoch of SER_only on a CPU core, doubled: of the stand-ins, of four sessions of IEMOCAP, of 200 speakers
# of the Mandarin set; CGT has three passes, and gradients of the input
_STAND_IN_EPOCH, _FEW_EPOCH, _MANY_EPOCH = 0.2, 1.0, 15.0
_CGT_COST = 4
# to load, and to fit probes
_OVERHEAD = 60
_NOT_IN_PAPER = "not in the paper"


class Plan:
    """The study as the configuration asks for it."""

    name = "invariance"
    title = "Speaker invariance"
    about = (
        "Tu, Tang, Huang, He and Zhou, *Towards Adversarial Learning of Speaker-Invariant Representation for Speech "
        "Emotion Recognition* (ICASSP 2019): does a network that is kept from knowing the speaker hear the emotion "
        "of new speakers better? Four systems, on few speakers and on many."
    )
    curves = Curves("table2", "val_wa", "validation accuracy (%)")

    def __init__(self, settings: Invariance, data: Data, root: str = "results/runs/invariance") -> None:
        self.settings = settings
        self.data = data
        self.root = root
        self.tables = [["table2"], ["table3"], ["probe"], ["speakers"], ["search"]]

    @property
    def many(self) -> ManySpeakers:
        """The settings of Table 3."""
        return self.settings.many_speakers

    # What is trained

    def corpora(self) -> list[str]:
        """Return the corpora of Tables 2 and 3."""
        return [self.settings.corpus, self.many.corpus]

    def cells(self, table: str | None = None) -> list[Cell]:
        """Return the cells of a table, or those of all but the search."""
        settings, many = self.settings, self.many.corpus
        of_table = {
            "table2": [Cell(name, settings.corpus, MAIN) for name in settings.trained_systems()],
            "table3": [Cell(name, many, MAIN) for name in settings.trained_systems()],
            "probe": [Cell(name, corpus, MAIN) for name in settings.networks() for corpus in self.corpora()],
            "speakers": [
                Cell(name, many, f"{COUNTED}{count}") for name in settings.networks() for count in self.speaker_counts()
            ],
            "search": [cell for cell, _ in self._trials()],
        }
        if table is not None:
            return of_table[table]
        return list(dict.fromkeys(cell for name, cells in of_table.items() if name != "search" for cell in cells))

    def speaker_counts(self) -> list[int]:
        """Return how many speakers are trained on in turn; a stand-in's own where it is one."""
        synthetic = self.data.is_synthetic(self.many.corpus)
        return self.settings.stand_in.speaker_counts if synthetic else self.settings.speaker_counts

    def _trials(self) -> list[tuple[Cell, dict[str, Any]]]:
        """Return the cells of the search, and the value that each tries."""
        search = self.settings.search
        return [
            (Cell(system, self.settings.corpus, f"search-{key}-{value:g}"), {system: {key: value}})
            for system, (listed, key) in SEARCHED.items()
            if system in self.settings.systems
            for value in getattr(search, listed)
        ]

    def why_no_table(self, table: str) -> str | None:
        """Return why a table would have no row, which only the search can lack; None where it has."""
        if table != "search" or self.cells(table):
            return None
        return f"it tries values of {', '.join(SEARCHED)}, and none of these is in invariance.systems: name one there"

    def described(self) -> list[Cell]:
        """Return the cells whose networks Table 1 describes: one a corpus, of a system that names speakers."""
        networks = self.settings.networks()
        chosen = next((name for name in networks if system_info(name).names_speakers), networks[0])
        return [Cell(chosen, corpus, MAIN) for corpus in self.corpora()]

    def sources(self) -> list[str]:
        """Return what it rests on besides corpora: its features."""
        return list(FEATURES)

    def pictured(self) -> list[Cell]:
        """Return the cells of Figure 2: DAT where it is trained."""
        chosen = "dat" if "dat" in self.settings.systems else self.settings.networks()[0]
        return [Cell(chosen, corpus, MAIN) for corpus in self.corpora()]

    def pictured_title(self) -> str:
        """Return the title of the system in Figure 2."""
        return system_info(self.pictured()[0].system).title

    def targets(self) -> list[str]:
        """Return all that is made of the study, but for the search."""
        scored = [table for (table,) in self.tables if table != "search"]
        names = [f"{table}.csv" for table in scored]
        names += [f"{table}_{what}.csv" for table in ("table2", "table3") for what in ("vs_paper", "intervals")]
        names += ["table1.csv", "table1_vs_paper.csv", "figure2.svg", "speakers.svg", "curves.svg", "protocol.md"]
        return [f"results/{self.name}/{name}" for name in names]

    def runs(self, corpus: str) -> list[int]:
        """Return the runs of a corpus; a stand-in's own where it is one."""
        if self.data.is_synthetic(corpus):
            return self.settings.stand_in.runs
        return self.many.runs if corpus == self.many.corpus else self.settings.runs

    def runs_of(self, cell: Cell) -> list[int]:
        """Return the runs of a cell: one in the search."""
        return [self.settings.search.run] if cell.variant.startswith("search") else self.runs(cell.corpus)

    def minutes(self, cell: Cell) -> int:
        """Return how long a cell's job may take on one CPU core, in minutes; about twice what it does."""
        info, options, many = system_info(cell.system), self._options(cell), cell.corpus == self.many.corpus
        if not info.network:
            return _OVERHEAD
        one = many or options.folds_used == "first"
        folds = 1 if one else SESSIONS * (2 if self.settings.validates == "both" else 1)
        fits = folds * len(self.runs_of(cell))
        stand_in = self.data.is_synthetic(cell.corpus)
        epoch = _STAND_IN_EPOCH if stand_in else _MANY_EPOCH if many else _FEW_EPOCH
        return _OVERHEAD + math.ceil(fits * options.training.epochs * epoch * (_CGT_COST if info.group == "cgt" else 1))

    def unit(self) -> str:
        """Return what splits keep together."""
        return "speaker"

    def split(self, corpus: str) -> str:
        """Return the protocol by which a corpus is split, the same for all runs."""
        if corpus == self.many.corpus:
            return draw_name(self.many.split, self.many.draw)
        return f"{self.settings.held_out}-{self.settings.validates}"

    def draws(self, corpus: str) -> list[str]:
        """Return the split of each run."""
        return [self.split(corpus)] * len(self.runs(corpus))

    def cell(self, wildcards: Any) -> Cell:
        """Return the cell that a rule's wildcards name."""
        return Cell(*(getattr(wildcards, field) for field in Cell._fields))

    def options(self, cell: Cell) -> dict[str, Any]:
        """Return what a cell's fits are trained with: no option that its system does not read."""
        return self._options(cell).as_json(system_info(cell.system).options())

    def _options(self, cell: Cell) -> Options:
        """Return all options of a cell: those of its corpus, with a stand-in's own, and those of its variant."""
        settings, corpus = self.settings, cell.corpus
        changed: dict[str, Any] = {name: getattr(settings, name) for name in Options.model_fields}
        if self.data.layout(corpus) != "iemocap":
            changed["style"] = "all"
        if corpus == self.many.corpus:
            changed |= {"model": self.many.model, "emotions": self.many.words()}
        if self.data.is_synthetic(corpus):
            stand_in, many = settings.stand_in, corpus == self.many.corpus
            own = {
                "epochs": stand_in.many_epochs if many else stand_in.epochs,
                "batch_size": stand_in.batch_size,
                "learning_rate": stand_in.learning_rate,
            }
            changed["training"] = settings.training.model_copy(update=own)
        if cell.variant.startswith(COUNTED):
            changed["speakers"] = int(cell.variant.removeprefix(COUNTED))
        for trial, values in self._trials():
            if trial == cell:
                changed["folds_used"] = "first"
                changed |= {
                    group: getattr(settings, group).model_copy(update=update) for group, update in values.items()
                }
        return Options(**changed)

    def leaks(self) -> list[Leak]:
        """Return what training knows of the test: the epoch is chosen on whom the tested speaker talks to."""
        kind = self.settings.held_out.removeprefix(OTHER)
        says = "the epoch is chosen on the partner of the tested speaker"
        return [Leak("partners", says, "held_out", kind, OTHER + kind)]

    def version(self, changed: Mapping[str, Any], root: str) -> "Plan":
        """Return the plan with some settings changed, whose runs lie in another folder."""
        return Plan(self.settings.model_copy(update=changed), self.data, root)

    def exposure(self, cell: Cell) -> Exposure:
        """Return what the audit is told of a cell."""
        if not system_info(cell.system).network:
            return Exposure({FEATURES[0]: "training"}, None)
        statistics = {"train_global": "training", "utterance": "utterance", "none": "none"}[self.settings.cmvn]
        return Exposure({FEATURES[0]: statistics}, "val")

    def modules(self, cell: Cell) -> list[str]:
        """Return the modules that are loaded by name when a cell is trained, for the fingerprint of its code."""
        return [f"studies.invariance.methods.{cell.system}"]

    # The protocol card

    def card_inputs(self) -> dict[str, list[str]]:
        """Return the files that the protocol card reads, by the names that it knows them by."""
        return {
            "utterances": [f"results/corpora/{corpus}/utterances.parquet" for corpus in self.corpora()],
            "splits": [f"results/splits/{corpus}/{self.split(corpus)}.parquet" for corpus in self.corpora()],
        }

    def card_options(self) -> dict[str, Any]:
        """Return the options of each corpus."""
        return {
            corpus: self._options(Cell(BASELINE, corpus, MAIN)).as_json(["style", "emotions", "speakers", "folds_used"])
            for corpus in self.corpora()
        }

    def protocol(self) -> dict[str, Any]:
        """Return what the protocol card says of the whole study."""
        options = {corpus: self._options(Cell(BASELINE, corpus, MAIN)) for corpus in self.corpora()}

        def of_each(say: Callable[[TrainingOptions], str]) -> str:
            said = {self.data.title(corpus): say(own.training) for corpus, own in options.items()}
            alike = len(set(said.values())) == 1
            return (
                next(iter(said.values())) if alike else "; ".join(f"{title}: {words}" for title, words in said.items())
            )

        mfcc = self.data.parameters("mfcc_kaldi")
        n_values = mfcc["n_mfcc"] * (1 + mfcc["delta_order"])
        return {
            "selection metric": of_each(lambda own: f"best validation accuracy of {own.epochs} epochs"),
            "optimiser": of_each(
                lambda own: (
                    f"SGD, learning rate {own.learning_rate:g}, Nesterov momentum {own.momentum:g}, "
                    f"batches of {own.batch_size}"
                )
            ),
            "features": f"{n_values} MFCC of voiced frames, as Kaldi's",
            "normalisation": self.settings.cmvn,
            "held out": self.settings.held_out,
            "validates": self.settings.validates,
        }

    # What is not the paper's

    def departures(self, corpus: str) -> list[str]:
        """Say where the settings that a corpus's cells depend on are not the paper's."""
        return self._departures([cell for cell in self.cells() if cell.corpus == corpus and cell.variant == MAIN])

    def _departures(self, cells: Sequence[Cell]) -> list[str]:
        found: dict[str, Any] = {}
        for cell in cells:
            found |= self.options(cell)
        (corpus,) = {cell.corpus for cell in cells}
        many = corpus == self.many.corpus
        if many:
            where = {"many_speakers": {**self.many.as_json(["split", "draw"]), "emotions": found.pop("emotions")}}
        else:
            where = self.settings.as_json(["held_out", "validates"])
        if self.data.layout(corpus) != "iemocap":
            found.pop("style")
        features = {
            name: {key: value for key, value in self.data.parameters(name).items() if f"features.{name}.{key}" in PAPER}
            for name in FEATURES
        }
        said = departures({**found, **where, "features": features, "stores": self.data.stores.as_json()}, PAPER)
        printed = ManySpeakers().model if many else ModelOptions()
        model = self._options(cells[0]).model
        for name, words in {
            "tdnn": "TDNN",
            "lstm": "units of the LSTM",
            "fc": "units of FC",
            "head": "units of heads",
        }.items():
            here, theirs = (_sizes(getattr(sizes, name)) for sizes in (model, printed))
            if here != theirs:
                said.append(f"{words} {here}, the paper's {theirs}")
        return said

    # Tables

    def layout(self, table: str) -> Layout:
        """Return a table's rows and columns."""
        if table == "search":
            return self._search_layout()
        if table == "probe":
            return self._probe_layout()
        if table == "speakers":
            return self._speakers_layout()
        corpus = self.many.corpus if table == "table3" else self.settings.corpus
        title, printed = self.data.title(corpus), self.data.printed_title(corpus)
        theirs = "mandarin" if table == "table3" else "iemocap"
        reasons = () if corpus == theirs else ("not the paper's corpus",)
        columns = [
            Heading(
                (title, f"{said}{unit}"),
                {"corpus": corpus, "role": role, "measure": measure},
                reasons=(*reasons, *why),
                printed=(printed, f"{said}{unit}"),
            )
            for measure, unit, why in (("wa", "", ()), ("ua", " UAR", ("UAR is not in the paper",)))
            for role, said in (("val", "Val"), ("test", "Test"))
        ]
        rows = [*self._rows(self.settings.trained_systems()), *self._read_off()]
        return self._table(rows, columns, [corpus], {"variant": MAIN})

    def _table(
        self, rows: Sequence[Heading], columns: Sequence[Heading], corpora: Sequence[str], where: Where
    ) -> Layout:
        said = {corpus: self.departures(corpus) for corpus in corpora}
        return Layout(("System",), rows, columns, where, over_folds="pooled", show="mean_std", departures=said)

    def _rows(self, systems: Sequence[str]) -> list[Heading]:
        return [
            Heading(
                (system_info(name).title,),
                {"system": name},
                (system_info(BASELINE).title,) if name != BASELINE and BASELINE in self.settings.systems else None,
                reasons=() if name in ROWS else ("not a row of the paper",),
            )
            for name in systems
        ]

    def _read_off(self) -> list[Heading]:
        """Return rows of guesses, which do not depend on the system."""
        first = self.settings.systems[0]
        return [
            Heading((title,), {"system": first, "predicted": guess}, reasons=("not a row of the paper",))
            for name, (title, guess) in READ_OFF.items()
            if name in self.settings.controls
        ]

    def _probe_layout(self) -> Layout:
        read = {
            "speaker": "embeddings",
            "untrained_speaker": "embeddings, untrained",
            "input_speaker": "MFCC",
            "speaker_chance": "chance",
        }
        columns = [
            Heading(
                (self.data.title(corpus), said),
                {"corpus": corpus, "role": "probe", "measure": f"{what}_wa"},
                reasons=(_NOT_IN_PAPER,),
            )
            for corpus in self.corpora()
            for what, said in read.items()
        ]
        return self._table(self._rows(self.settings.networks()), columns, self.corpora(), {"variant": MAIN})

    def _speakers_layout(self) -> Layout:
        title, corpus = self.data.title(self.many.corpus), self.many.corpus
        columns = [
            Heading((title, f"{count} speakers"), {"variant": f"{COUNTED}{count}"}, reasons=(_NOT_IN_PAPER,))
            for count in self.speaker_counts()
        ]
        where = {"corpus": corpus, "role": "test", "measure": "wa"}
        return self._table(self._rows(self.settings.networks()), columns, [corpus], where)

    def _search_layout(self) -> Layout:
        rows = [
            Heading(
                (system_info(cell.system).title, cell.variant.removeprefix("search-").replace("-", " ")),
                {"system": cell.system, "variant": cell.variant},
                reasons=(_NOT_IN_PAPER,),
            )
            for cell, _ in self._trials()
        ]
        title = self.data.title(self.settings.corpus)
        columns = [
            Heading((title, said), {"role": "val", "measure": measure}, reasons=(_NOT_IN_PAPER,))
            for measure, said in (("wa", "Val"), ("ua", "Val UAR"))
        ]
        return Layout(("System", "Setting"), rows, columns, {"corpus": self.settings.corpus}, over_folds="pooled")


def _sizes(value: Any) -> str:
    """Return sizes as Table 1 prints them: ``128-5-2 64-3-4``."""
    return str(value) if isinstance(value, int) else " ".join("-".join(map(str, layer)) for layer in value)
