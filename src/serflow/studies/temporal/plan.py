"""What the rules ask of the study, from the configuration alone: its cells, what each reads, and its tables.

``table1`` to ``table3`` are the paper's, ``segments`` is what Figure 2 draws, ``pooled`` the rows of the first two
with the utterances of all folds taken together, ``controls`` what the paper does not have.
"""

from collections.abc import Mapping
from typing import Any

from serflow.protocols.splits import WHOLE_SESSIONS, draw_name
from serflow.report.headings import Heading, Layout, Where
from serflow.settings.base import STAND_IN
from serflow.settings.data import Data
from serflow.studies.contract import Curves, Exposure, Leak
from serflow.studies.departures import departures
from serflow.studies.temporal import costs
from serflow.studies.temporal.catalog import PLAIN, SYSTEMS, WARPED, Cell
from serflow.studies.temporal.options import Options
from serflow.studies.temporal.settings import FINE_TUNED, PAPER, Temporal

LEARNED = "wav2vec"
STRATEGIES = {
    "all": "Fine-tune All",
    "context": "Fine-tune Context Network",
    "encoder": "Fine-tune Encoder Network",
    "none": "No Fine-tune",
}
QUOTED = (
    ("Regional Saliency", "Mel Spectrogram"),
    ("Frame-based CNN", "Spectrogram"),
    ("FCN+Attention", "Spectrogram"),
    ("MLP with mean pooling", "Wav2vec"),
)
"""Rows of Table 3 that the paper takes from others."""
MEASURES = {"ua": "UA", "wa": "WA"}
TWICE = "twice"
READ_OFF = {"chance": ("Chance", "chance"), "majority": ("Majority class", "majority")}
_NOT_A_ROW = "not a row of the paper"
# of corpora with sessions MSP-Improv has the most, six of two speakers; utterances of a corpus that does not say
_MOST_FOLDS = {"last_session": 10, "leave_session": 6, "speaker": 1}
_MOST_UTTERANCES = 10_000


def learned(fine_tune: str, segments: int) -> str:
    """Return the variant of a wav2vec cell: part that is trained and segment classifiers; ``plain`` without both."""
    return PLAIN if (fine_tune, segments) == ("none", 0) else f"{fine_tune}-{segments}"


class Plan:
    """The study as the configuration asks for it."""

    name = "temporal"
    title = "Temporal context"
    about = (
        "Xia, Chen, Rudnicky and Stern, *Temporal Context in Speech Emotion Recognition* (Interspeech 2021): how "
        "far do features have to see? Spectrograms, pitch pulses and learnt receptive fields on one side, wav2vec "
        "on the other."
    )
    curves = Curves("table1", "val_ua", "validation UA (%)")

    def __init__(self, settings: Temporal, data: Data, root: str = "results/runs/temporal") -> None:
        self.settings = settings
        self.data = data
        self.root = root
        self.tables = [["table1"], ["table2"], ["table3"], ["segments"], ["pooled"]]
        if settings.controls:
            self.tables.append(["controls"])

    # What is trained

    def corpora(self) -> list[str]:
        """Return the corpus."""
        return [self.settings.corpus]

    def cells(self, table: str | None = None) -> list[Cell]:
        """Return the cells of a table, or of all."""
        best = self.settings.best_segments
        engineered = [(name, variant) for name in self.settings.features for variant in (PLAIN, WARPED)]
        baseline = (LEARNED, learned("none", 0))
        strategies = [(LEARNED, learned(part, best)) for part in FINE_TUNED]
        by_segments = [(LEARNED, learned("none", count)) for count in sorted(self.settings.segments)]
        chosen = [(name, WARPED) for name in self._table3_features()]
        of_table: dict[str, list[tuple[str, str]]] = {
            "table1": [*engineered, baseline],
            "table2": strategies,
            "table3": [*chosen, baseline, *strategies[1:2], *strategies[3:]],
            "segments": by_segments,
            "pooled": [*engineered, baseline, *strategies],
            "controls": [*self._controls().values(), baseline, *self._compared()] if self.settings.controls else [],
        }
        found = of_table[table] if table is not None else [cell for cells in of_table.values() for cell in cells]
        return list(dict.fromkeys(Cell(system, self.settings.corpus, variant) for system, variant in found))

    def _table3_features(self) -> list[str]:
        """Return the engineered row of Table 3, where it is trained."""
        return [name for name in ("spectrogram_modulation",) if name in self.settings.features]

    def _controls(self) -> dict[str, tuple[str, str]]:
        """Return the controls that are trained, by their titles: system and variant."""
        found: dict[str, tuple[str, str]] = {}
        for control in self.settings.controls:
            if control == "one_segment_twice":
                found["One segment classifier of weight 2"] = (LEARNED, f"none-1-{TWICE}")
            elif control == "context_layers":
                for count in self._context_layers():
                    found[f"First {count} layers of wav2vec's context"] = (LEARNED, f"none-0-first-{count}")
            elif control not in READ_OFF:
                found[SYSTEMS[control].title] = (control, PLAIN)
        return found

    def _context_layers(self) -> list[int]:
        """Return the layers that wav2vec is cut to; a stand-in has fewer."""
        small = self.data.backbones["wav2vec"].weights == STAND_IN
        return self.settings.stand_in.context_layers if small else self.settings.context_layers

    def _compared(self) -> list[tuple[str, str]]:
        """Return the cells of the paper that controls stand beside."""
        return [("spectrogram", PLAIN)] if "spectrogram" in self.settings.features else []

    def targets(self) -> list[str]:
        """Return all that is made of the study."""
        names = [f"{table}.csv" for (table,) in self.tables]
        names += [f"{table}_{what}.csv" for table in ("table1", "table2") for what in ("vs_paper", "intervals")]
        names += [
            "context.csv",
            "context_vs_paper.csv",
            "table3_vs_paper.csv",
            "figure2.svg",
            "curves.svg",
            "protocol.md",
        ]
        names += ["receptive_fields.svg"] if self.pictured() else []
        return [f"results/{self.name}/{name}" for name in names]

    def described(self) -> list[Cell]:
        """Return the cells whose networks tell the context spans of Table 1: a row each."""
        first = [Cell(name, self.settings.corpus, PLAIN) for name in self.settings.features]
        return [*first, Cell(LEARNED, self.settings.corpus, learned("none", 0))]

    def described_by(self) -> list[str]:
        """Return the modules that the context spans are computed by."""
        networks = dict.fromkeys(SYSTEMS[cell.system].network for cell in self.described())
        return ["studies.temporal.networks", *(f"studies.temporal.methods.{name}" for name in networks)]

    def pictured(self) -> list[Cell]:
        """Return the cells whose receptive fields are drawn: those on the spectrogram, where one is trained."""
        having = ("spectrogram_modulation", "modulation", "all_three", "pulse_modulation")
        found = [name for name in having if name in self.settings.features]
        return [Cell(name, self.settings.corpus, WARPED) for name in found[:1]]

    def runs(self, corpus: str) -> list[int]:
        """Return the runs of a corpus; a stand-in's own where it is one."""
        return self.settings.stand_in.runs if self.data.is_synthetic(corpus) else self.settings.runs

    def minutes(self, cell: Cell) -> int:
        """Return how long a cell's job may take on one CPU core, in minutes; see `costs.minutes`."""
        options = self._options(cell)
        folds = self.settings.tested if self.settings.folds == "in_turn" else _MOST_FOLDS[self.settings.folds]
        n_fits = len(self.runs(cell.corpus)) * min(folds, options.folds_used or folds)
        n_utterances = self.data.n_utterances(cell.corpus) or _MOST_UTTERANCES
        return costs.minutes(cell.system, options, n_utterances, n_fits)

    def memory_mb(self, cell: Cell) -> int:
        """Return the memory that a cell's job may need, in MB; see `costs.memory_mb`."""
        return costs.memory_mb(cell.system, self._options(cell))

    def unit(self) -> str:
        """Return what splits keep together."""
        return "speaker"

    def draws(self, corpus: str) -> list[str]:
        """Return the split of each run."""
        runs, kind = self.runs(corpus), self.settings.folds
        if kind == "speaker":
            return [draw_name("speaker", run) for run in runs]
        return [f"in_turn-{self.settings.tested}" if kind == "in_turn" else kind] * len(runs)

    def cell(self, wildcards: Any) -> Cell:
        """Return the cell that a rule's wildcards name."""
        return Cell(*(getattr(wildcards, field) for field in Cell._fields))

    def reads_pulses(self, cell: Any) -> bool:
        """Tell whether a cell needs the pitch pulses."""
        return SYSTEMS[cell.system].reads_pulses()

    def reads_wav2vec(self, cell: Any) -> bool:
        """Tell whether a cell needs the weights of wav2vec."""
        return SYSTEMS[cell.system].reads == "wav2vec"

    def sources(self) -> list[str]:
        """Return what it rests on besides corpora: pitch pulses and wav2vec, where some cell reads them."""
        reads = {"pitch_pulse": self.reads_pulses, "wav2vec": self.reads_wav2vec}
        return [name for name, read in reads.items() if any(map(read, self.cells()))]

    def options(self, cell: Cell) -> dict[str, Any]:
        """Return what a cell's fits are trained with: no option that its system does not read."""
        return self._options(cell).as_json(SYSTEMS[cell.system].options())

    def _options(self, cell: Cell) -> Options:
        """Return all options of a cell: the section's, a stand-in's own, and those of its variant."""
        settings, own = self.settings, self.settings.stand_in
        changed: dict[str, Any] = {name: getattr(settings, name) for name in Options.model_fields}
        if self.data.is_synthetic(cell.corpus):
            sizes = {"epochs": own.epochs, "batch_size": own.batch_size, "learning_rate": own.learning_rate}
            changed |= {
                "folds_used": own.folds_used,
                "training": settings.training.model_copy(update=sizes),
                "augment": settings.augment.model_copy(update={"crop_s": own.crop_s}),
                "strfnet": settings.strfnet.model_copy(update={"kernels": own.kernels, "channels": own.channels}),
                "segment_net": settings.segment_net.model_copy(
                    update={"maps": own.maps, "lstm_layers": own.lstm_layers}
                ),
            }
        changed["warped"] = cell.variant == WARPED
        if cell.system == LEARNED:
            part, count, *more = cell.variant.replace(PLAIN, "none-0").split("-")
            update: dict[str, Any] = {"fine_tune": part, "segments": int(count)}
            if more == [TWICE]:
                update["segment_weight"] = 2 * settings.segment_net.segment_weight
            elif more:
                update["context_layers"] = int(more[1])
            changed["segment_net"] = changed["segment_net"].model_copy(update=update)
        return Options(**changed)

    def leaks(self) -> list[Leak]:
        """Return what training knows of the test: whom the tested speaker talks to, in a corpus of sessions."""
        if self.settings.folds not in WHOLE_SESSIONS:
            return []
        says = "the partner of the tested speaker is in training, with the same dialogues"
        return [Leak("partners", says, "folds", "last_session", "leave_session")]

    def version(self, changed: Mapping[str, Any], root: str) -> "Plan":
        """Return the plan with some settings changed, whose runs lie in another folder."""
        return Plan(self.settings.model_copy(update=changed), self.data, root)

    def exposure(self, cell: Cell) -> Exposure:
        """Return what the audit is told of a cell."""
        info = SYSTEMS[cell.system]
        if info.network == "svc":
            return Exposure({info.reads: "training"}, None, [])
        return Exposure({info.reads: "none"}, "val", ["wav2vec"] if self.reads_wav2vec(cell) else [])

    def modules(self, cell: Cell) -> list[str]:
        """Return the modules that are loaded by name when a cell is trained, for the fingerprint of its code."""
        info = SYSTEMS[cell.system]
        return [
            f"studies.temporal.methods.{info.network}",
            *(["backbones.wav2vec"] if info.reads == "wav2vec" else []),
        ]

    # The protocol card

    def card_inputs(self) -> dict[str, list[str]]:
        """Return the files that the protocol card reads, by the names that it knows them by."""
        (corpus,) = self.corpora()
        return {
            "utterances": [f"results/corpora/{corpus}/utterances.parquet"],
            "splits": [f"results/splits/{corpus}/{draw}.parquet" for draw in dict.fromkeys(self.draws(corpus))],
        }

    def card_options(self) -> dict[str, Any]:
        """Return the options of the corpus that say who is trained on."""
        (corpus,) = self.corpora()
        return {corpus: self._options(Cell("spectrogram", corpus, PLAIN)).as_json(["emotions", "folds_used"])}

    def protocol(self) -> dict[str, Any]:
        """Return what the protocol card says of the whole study."""
        (corpus,) = self.corpora()
        options = self._options(Cell("spectrogram", corpus, PLAIN))
        training, augment = options.training, options.augment
        return {
            "selection metric": f"best validation UA of {training.epochs} epochs at most, patience {training.patience}",
            "optimiser": f"Adam, learning rate {training.learning_rate:g}, "
            f"times {training.plateau_factor:g} on a plateau of {training.plateau_patience}",
            "training": f"crops of {augment.crop_s:g} s, gain {augment.gain_db[0]:g} to {augment.gain_db[1]:g} dB",
            "test": "whole utterances" if options.test == "full" else f"mean over crops of {augment.crop_s:g} s",
            "scores": "mean over folds; all folds together in pooled.csv",
        }

    # What is not the paper's

    def departures(self, corpus: str) -> list[str]:
        """Say where the settings that a corpus's cells depend on are not the paper's."""
        # of the section: what rows change is no departure
        options = self._options(Cell("spectrogram", corpus, PLAIN)).as_json()
        found: dict[str, Any] = {**options, "folds": self.settings.folds}
        pulses = self.data.parameters("pitch_pulse")
        found["pulses"] = {key: pulses[key] for key in ("floor_hz", "ceiling_hz")}
        return departures(found, PAPER)

    # Tables

    def layout(self, table: str) -> Layout:
        """Return a table's rows and columns."""
        make = {
            "table1": self._table1,
            "table2": self._table2,
            "table3": self._table3,
            "segments": self._segments,
            "pooled": self._pooled,
            "controls": self._controls_layout,
        }
        return make[table]()

    def _where(self) -> Where:
        return {"corpus": self.settings.corpus, "role": "test"}

    def _said(self) -> dict[str, list[str]]:
        return {corpus: self.departures(corpus) for corpus in self.corpora()}

    def _reasons(self) -> tuple[str, ...]:
        return () if self.settings.corpus == "iemocap" else ("not the paper's corpus",)

    def _columns(self) -> list[Heading]:
        """Return UA and WA, each without and with warping."""
        return [
            Heading((said + more,), {"measure": measure, "variant": variant}, reasons=self._reasons())
            for measure, said in MEASURES.items()
            for more, variant in (("", PLAIN), (" warped", WARPED))
        ]

    def _rows_of_features(self) -> list[Heading]:
        rows = [
            Heading((SYSTEMS[name].title,), {"system": name}, self._baseline_of(name))
            for name in self.settings.features
        ]
        unwarped = {WARPED: "the paper warps engineered features alone"}
        return [*rows, Heading((SYSTEMS[LEARNED].title,), {"system": LEARNED}, self._baseline_of(LEARNED), unwarped)]

    def _baseline_of(self, name: str) -> tuple[str, ...] | None:
        first = "spectrogram"
        return (SYSTEMS[first].title,) if first in self.settings.features and name != first else None

    def _table1(self) -> Layout:
        return Layout(
            ("Feature",),
            self._rows_of_features(),
            self._columns(),
            self._where(),
            show="mean_std",
            departures=self._said(),
            beside="context",
        )

    def _other_segments(self) -> tuple[str, ...]:
        best = self.settings.best_segments
        return () if best == 2 else (f"{best} segment classifiers, the paper's 2",)

    def _table2(self) -> Layout:
        best = self.settings.best_segments
        rows = [
            Heading(
                (title,),
                {"variant": learned(part, best)},
                (STRATEGIES["none"],) if part != "none" else None,
                reasons=self._other_segments(),
            )
            for part, title in STRATEGIES.items()
        ]
        columns = [
            Heading((said,), {"measure": measure}, reasons=self._reasons()) for measure, said in MEASURES.items()
        ]
        where = {**self._where(), "system": LEARNED}
        return Layout(("Model",), rows, columns, where, show="mean_std", departures=self._said())

    def _table3(self) -> Layout:
        best = self.settings.best_segments
        ours = [
            *(
                (("Baseline (ours)", "Spec. + Mod."), {"system": name, "variant": WARPED})
                for name in self._table3_features()
            ),
            (("Baseline (ours)", "Wav2vec"), {"system": LEARNED, "variant": learned("none", 0)}),
            (("+Seg (ours)", "Wav2vec"), {"system": LEARNED, "variant": learned("none", best)}),
            (("+Seg+FineTune (ours)", "Wav2vec"), {"system": LEARNED, "variant": learned("context", best)}),
        ]
        segmented = self._other_segments()
        rows = [Heading(name, where, reasons=segmented if "+Seg" in name[0] else ()) for name, where in ours]
        columns = [Heading(("UA",), {"measure": "ua"}, reasons=self._reasons())]
        return Layout(
            ("Model", "Feature"), rows, columns, self._where(), show="mean_std", departures=self._said(), quoted=QUOTED
        )

    def _segments(self) -> Layout:
        rows = [
            Heading((str(count),), {"variant": learned("none", count)}, reasons=("read off a figure",))
            for count in sorted(self.settings.segments)
        ]
        columns = [
            Heading((said,), {"measure": measure}, reasons=self._reasons()) for measure, said in MEASURES.items()
        ]
        where = {**self._where(), "system": LEARNED}
        return Layout(("Segment classifiers",), rows, columns, where, show="mean_std", departures=self._said())

    def _pooled(self) -> Layout:
        """Return the rows of Tables 1 and 2, all folds together: the paper does not say how folds are averaged."""
        best = self.settings.best_segments
        strategies = [
            Heading((f"{title}, {best} segment classifiers",), {"system": LEARNED, "variant": learned(part, best)})
            for part, title in STRATEGIES.items()
        ]
        engineered = [
            Heading((SYSTEMS[name].title + more,), {"system": name, "variant": variant})
            for name in self.settings.features
            for more, variant in (("", PLAIN), (", warped", WARPED))
        ]
        baseline = Heading((SYSTEMS[LEARNED].title,), {"system": LEARNED, "variant": learned("none", 0)})
        why = ("all folds together, not in the paper",)
        columns = [Heading((said,), {"measure": measure}, reasons=why) for measure, said in MEASURES.items()]
        return Layout(
            ("Model",), [*engineered, baseline, *strategies], columns, self._where(), over_folds="pooled",
            show="mean_std", departures=self._said(),
        )  # fmt: skip

    def _controls_layout(self) -> Layout:
        """Return what the paper does not have, beside its two baselines."""
        beside = [
            Heading((SYSTEMS[system].title,), {"system": system, "variant": variant})
            for system, variant in [*self._compared(), (LEARNED, learned("none", 0))]
        ]
        rows = [
            Heading((title,), {"system": system, "variant": variant}, reasons=(_NOT_A_ROW,))
            for title, (system, variant) in self._controls().items()
        ]
        guesses = [
            Heading(
                (title,),
                {"system": LEARNED, "variant": learned("none", 0), "predicted": guess},
                reasons=(_NOT_A_ROW,),
            )
            for name, (title, guess) in READ_OFF.items()
            if name in self.settings.controls
        ]
        columns = [Heading((said,), {"measure": measure}, reasons=(_NOT_A_ROW,)) for measure, said in MEASURES.items()]
        return Layout(
            ("Model",), [*beside, *rows, *guesses], columns, self._where(), show="mean_std", departures=self._said()
        )
