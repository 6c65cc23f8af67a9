"""What the rules ask of the study, from the configuration alone: its cells, what each reads, and its tables.

``table2`` and ``table3`` are the paper's; ``best`` sets the best evaluation beside the last, ``scripts`` says what is
reached where the words were not trained on, ``probe`` how well a linear probe names speakers by what the heads read.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from serflow.report.headings import Heading, Layout
from serflow.settings.data import Data
from serflow.studies.contract import Curves, Exposure, Leak
from serflow.studies.departures import departures
from serflow.studies.speakernorm.catalog import (
    BASELINE,
    DIRECTIONS,
    SHARED,
    Cell,
    Direction,
    case_name,
    title_of,
)
from serflow.studies.speakernorm.options import Options
from serflow.studies.speakernorm.settings import PAPER, Speakernorm

BACKBONE = "wav2vec2"
MTL = "SER with MTL [4]"
FOLD_TITLES = {
    "dialogue_fold": "dialogue_01F",
    "speaker_fold": "speaker_01F",
    "session_fold": "session_1",
    "utterance_fold": "utterance_0",
}
"""Of the first fold of IEMOCAP."""
APART = {"dialogue_fold": "session_fold", "utterance_fold": "speaker_fold"}
"""For each of `SHARED`, folds that hold out whole speakers: where there are dialogues, both speakers of them."""
READ_OFF = {"chance": ("Chance", "chance"), "majority": ("Majority class", "majority")}
_NOT_IN_PAPER = "not in the paper"
_NOT_A_ROW = "not a row of the paper"
# minutes of a fit of 100 epochs at base size: a day on a V100 (section IV-B), doubled; and of a cell of stand-ins
_FIT, _STAND_IN = 2_880, 60


class Plan:
    """The study as the configuration asks for it."""

    name = "speakernorm"
    title = "Speaker normalisation"
    about = (
        "Ha, *Speech Emotion Recognition via multi-task learning with speaker normalization* (report, Korea "
        "University): wav2vec 2.0 learns emotion and words at once; does it help to unlearn the speaker on the way?"
    )

    def __init__(self, settings: Speakernorm, data: Data, root: str = "results/runs/speakernorm") -> None:
        self.settings = settings
        self.data = data
        self.root = root
        self.tables = [["table2"], ["table3"], ["best"], ["scripts"], *([["probe"]] if settings.probe else [])]
        self.curves = Curves("cases", f"{self.watched}_wa", "accuracy (%)")

    @property
    def watched(self) -> str:
        """Role of what is evaluated in training."""
        return "test" if self.settings.watch == "test" else "val"

    # What is trained

    def corpora(self) -> list[str]:
        """Return the corpus."""
        return [self.settings.corpus]

    def cells(self, table: str | None = None) -> list[Cell]:
        """Return the cells of a table or figure, or of all."""
        cases = {"table2": self._cases("reverse", True), "figure2": self._cases("reverse", True),
                 "table3": self._cases(*DIRECTIONS), "figure3": self._cases(*DIRECTIONS)}  # fmt: skip
        of_table = cases.get(table or "", [BASELINE, *self._cases(*DIRECTIONS)])
        return [Cell(case, self.settings.corpus, kind) for kind in self.settings.folds for case in of_table]

    def _cases(self, *directions: Any) -> list[str]:
        """Return the names of cases; a ``True`` among the directions is the baseline."""
        baseline = [BASELINE] if True in directions else []
        named = [direction for direction in directions if direction is not True]
        return [*baseline, *(case_name(direction, beta) for direction in named for beta in self.settings.betas)]

    def targets(self) -> list[str]:
        """Return all that is made of the study."""
        names = [f"{table}.csv" for (table,) in self.tables]
        names += [f"{table}_{what}.csv" for table in ("table2", "table3") for what in ("vs_paper", "intervals")]
        names += ["table1.csv", "table1_vs_paper.csv", "figure2.svg", "figure3.svg", "curves.svg", "protocol.md"]
        return [f"results/{self.name}/{name}" for name in names]

    def runs(self, corpus: str) -> list[int]:
        """Return the runs of a corpus; a stand-in's own where it is one."""
        return self.settings.stand_in.runs if self.data.is_synthetic(corpus) else self.settings.runs

    def unit(self) -> str:
        """Return what intervals keep together: utterances of a dialogue have one script."""
        return "dialogue"

    def draws(self, corpus: str) -> list[str]:
        """Return the splits, which all runs share."""
        return list(self.settings.folds)

    def cell(self, wildcards: Any) -> Cell:
        """Return the cell that a rule's wildcards name."""
        return Cell(*(getattr(wildcards, field) for field in Cell._fields))

    def options(self, cell: Cell) -> dict[str, Any]:
        """Return what a cell's fits are trained with: nothing of the speaker head for the baseline, which has none."""
        unread = {"speaker"} if cell.case == BASELINE else set()
        return self._options(cell).as_json([name for name in Options.model_fields if name not in unread])

    def _options(self, cell: Cell) -> Options:
        """Return all options of a cell: the section's, a stand-in's own, and those of its case."""
        settings, own = self.settings, self.settings.stand_in
        changed: dict[str, Any] = {name: getattr(settings, name) for name in Options.model_fields}
        if self.data.is_synthetic(cell.corpus):
            sizes = own.model_dump(exclude={"runs", "ctc_reduction"})
            changed["training"] = settings.training.model_copy(update=sizes)
            changed["ctc"] = settings.ctc.model_copy(update={"reduction": own.ctc_reduction})
        if cell.case != BASELINE:
            direction, _, beta = cell.case.partition("-")
            changed["speaker"] = settings.speaker.model_copy(update={"direction": direction, "beta": float(beta)})
        return Options(**changed)

    def leaks(self) -> list[Leak]:
        """Return what training knows of the test: speakers, in folds of dialogues and of utterances."""
        shared = [kind for kind in self.settings.folds if kind in SHARED]
        paper = shared[0] if shared else SHARED[0]
        says = "speakers of the test are in training"
        return [Leak("speakers", says, "folds", [paper], [APART[paper]])]

    def version(self, changed: Mapping[str, Any], root: str) -> "Plan":
        """Return the plan with some settings changed; its runs lie where they would anyway, as cells name the folds."""
        return Plan(self.settings.model_copy(update=changed), self.data, self.root)

    def exposure(self, cell: Cell) -> Exposure:
        """Return what the audit is told of a cell."""
        remark = f"the last update is reported; the one that best.csv has beside it is chosen on {self.watched}"
        return Exposure({BACKBONE: "utterance"}, None, [BACKBONE], remark=remark)

    def modules(self, cell: Cell) -> list[str]:
        """Return the modules that are loaded by name when a cell is trained, for the fingerprint of its code."""
        return [f"backbones.{BACKBONE}"]

    def sources(self) -> list[str]:
        """Return what it rests on besides corpora: the network that it fine-tunes."""
        return [BACKBONE]

    def n_folds(self, kind: str) -> int:
        """Return how many fits a run has on IEMOCAP."""
        return 1 if self.settings.tested == "first" else 5 if kind == "session_fold" else 10

    # The protocol card

    def card_inputs(self) -> dict[str, list[str]]:
        """Return the files that the protocol card reads, by the names that it knows them by."""
        (corpus,) = self.corpora()
        return {
            "utterances": [f"results/corpora/{corpus}/utterances.parquet"],
            "splits": [f"results/splits/{corpus}/{kind}.parquet" for kind in self.settings.folds],
        }

    def card_options(self) -> dict[str, Any]:
        """Return the options of the corpus that say who is trained on."""
        (corpus,) = self.corpora()
        options = self._options(Cell(BASELINE, corpus, self.settings.folds[0]))
        return {corpus: options.as_json(["emotions", "tested", "held_out", "watch"])}

    def protocol(self) -> dict[str, Any]:
        """Return what the protocol card says of the whole study."""
        (corpus,) = self.corpora()
        options = self._options(Cell(BASELINE, corpus, self.settings.folds[0]))
        training = options.training
        watched = "the test fold, as in the paper" if options.watch == "test" else "held-out utterances"
        return {
            "selection metric": "none: the last update is reported; best.csv has the best evaluation beside it",
            "evaluated in training": f"{watched}, every {training.eval_updates} updates",
            "optimiser": f"AdamW, learning rate {training.learning_rate:g}, warm-up of {training.warmup:g} and linear "
            f"decay, {training.epochs} epochs",
            "update": f"{training.accumulate} batches of {training.batch_size}",
            "CTC": f"{options.ctc.reduction} over a batch, alpha {options.alpha:g}",
            "pooling": "mean over time, padding included" if options.pool == "mean" else "mean over own frames",
            "speaker accuracy": "of the test where its speakers are in training; else of the held-out utterances",
        }

    # What is not the paper's

    def departures(self, corpus: str) -> list[str]:
        """Say where the settings that a corpus's cells depend on are not the paper's."""
        return departures(self._options(Cell(BASELINE, corpus, self.settings.folds[0])).as_json(), PAPER)

    # Tables

    def fold_title(self, kind: str) -> str:
        """Return what a kind of folds is called: by its first fold, or by all that are tested in turn."""
        what = kind.replace("_", " ")
        if self.settings.tested == "all":
            return f"all {what}s"
        return FOLD_TITLES[kind] if self.data.layout(self.settings.corpus) == "iemocap" else f"first {what}"

    def _why_not(self, kind: str) -> tuple[str, ...]:
        """Say why what is measured on a kind of folds is not in the paper."""
        reasons = []
        if self.settings.corpus != "iemocap":
            reasons.append("not the paper's corpus")
        if kind != "dialogue_fold":
            reasons.append("not the paper's fold, whose speakers are in training too")
        if self.settings.tested == "all":
            reasons.append("the paper tests one fold")
        return tuple(reasons)

    def layout(self, table: str) -> Layout:
        """Return the rows and columns of a table, or of the cases that curves are drawn of."""
        make = {
            "table2": self._table2,
            "table3": self._table3,
            "best": self._best,
            "scripts": self._scripts,
            "probe": self._probe,
            "cases": self._curves,
        }
        return make[table]()

    def _table(self, corner: str, rows: Sequence[Heading], columns: Sequence[Heading]) -> Layout:
        (corpus,) = self.corpora()
        said = {corpus: self.departures(corpus)}
        return Layout(
            (corner,), rows, columns, {"corpus": corpus}, over_folds="pooled", show="mean_std", departures=said
        )

    def _columns(self, measures: Sequence[tuple[str, str, str, tuple[str, ...]]]) -> list[Heading]:
        """Return a column for each kind of folds and measure: title, measure, role, and why it is not in the paper."""
        return [
            Heading(
                (self.fold_title(kind), said),
                {"folds": kind, "measure": measure, "role": role},
                reasons=(*self._why_not(kind), *why),
                printed=(said,),
            )
            for kind in self.settings.folds
            for said, measure, role, why in self._placed(kind, measures)
        ]

    def _placed(
        self, kind: str, measures: Sequence[tuple[str, str, str, tuple[str, ...]]]
    ) -> list[tuple[str, str, str, tuple[str, ...]]]:
        """Return the measures as they can be had: who is tested and was not trained on is told by held-out words."""
        return [
            (said, measure, role, why)
            if measure != "speaker_wa" or role != "test" or kind in SHARED
            else (f"{said} (held-out utterances)", measure, "val", why)
            for said, measure, role, why in measures
        ]

    def _table2(self) -> Layout:
        baseline = (MTL,)
        rows = [Heading(baseline, {"case": BASELINE})]
        rows += [
            Heading((f"Ours (β = {beta:g})",), {"case": case_name("reverse", beta)}, baseline)
            for beta in self.settings.betas
        ]
        rows += [
            Heading((title,), {"case": BASELINE, "predicted": guess}, reasons=(_NOT_A_ROW,))
            for name, (title, guess) in READ_OFF.items()
            if name in self.settings.controls
        ]
        measures = [("Accuracy", "wa", "test", ()), ("UA", "ua", "test", (_NOT_IN_PAPER,))]
        return self._table("Method", rows, self._columns(measures))

    def _table3(self) -> Layout:
        # in the order of the paper: forward first
        rows = self._rows(*reversed(DIRECTIONS))
        measures: list[tuple[str, str, str, tuple[str, ...]]] = [
            ("wer (ASR)", "wer", "test", ()),
            ("accuracy (SER)", "wa", "test", ()),
            ("speaker accuracy", "speaker_wa", "test", ()),
        ]
        return self._table("Case", rows, self._columns(measures))

    def _best(self) -> Layout:
        measures = [
            (f"{said}, {which}", measure, "test", (_NOT_IN_PAPER,))
            for said, last, best in (("accuracy", "wa", "best_wa"), ("wer", "wer", "best_words_wer"))
            for which, measure in (("last", last), ("best evaluation", best))
        ]
        return self._table("Case", self._all_rows(), self._columns(measures))

    def _scripts(self) -> Layout:
        measures = [
            (said, measure, "test", (_NOT_IN_PAPER,))
            for said, measure in (
                ("accuracy", "wa"),
                ("accuracy, improvised", "improvised_wa"),
                ("accuracy, unseen transcripts", "unseen_wa"),
                ("wer", "wer"),
                ("wer, improvised", "improvised_words_wer"),
                ("wer, unseen transcripts", "unseen_words_wer"),
            )
        ]
        return self._table("Case", self._all_rows(), self._columns(measures))

    def _probe(self) -> Layout:
        measures = [
            (said, measure, "probe", (_NOT_IN_PAPER,))
            for said, measure in (
                ("speakers by the trained backbone", "speaker_wa"),
                ("before training", "untrained_speaker_wa"),
                ("chance", "speaker_chance_wa"),
            )
        ]
        return self._table("Case", self._all_rows(), self._columns(measures))

    def _curves(self) -> Layout:
        (corpus,) = self.corpora()
        rows = [
            Heading((self.fold_title(kind), row.name[0]), {**row.where, "folds": kind})
            for kind in self.settings.folds
            for row in self._all_rows()
        ]
        return Layout(("Fold", "Case"), rows, [Heading(("Accuracy",), {"measure": "wa"})], {"corpus": corpus})

    def _rows(self, *directions: Direction) -> list[Heading]:
        return [
            Heading((title_of(direction, beta),), {"case": case_name(direction, beta)})
            for direction in directions
            for beta in self.settings.betas
        ]

    def _all_rows(self) -> list[Heading]:
        return [Heading(("Baseline",), {"case": BASELINE}), *self._rows(*reversed(DIRECTIONS))]

    def figure(self, name: str) -> dict[str, Any]:
        """Return what a figure has to know: title, legend, what its lines are in tables, panels, and what is drawn."""
        cells = self.cells(name)
        titles = methods = {str(row.where["case"]): row.name[0] for row in self._all_rows()}
        if name == "figure2":
            titles = {BASELINE: "ori"} | {
                case_name("reverse", beta): f"β = {beta:g}" for beta in self.settings.betas
            }  # fmt: skip
        return {
            "title": f"WER and accuracy by update, {self.data.title(self.settings.corpus)}",
            "lines": {case: titles[case] for case in dict.fromkeys(cell.case for cell in cells)},
            "methods": {case: methods[case] for case in dict.fromkeys(cell.case for cell in cells)},
            "rows": {kind: self.fold_title(kind) for kind in self.settings.folds},
            "role": self.watched,
        }

    def minutes(self, cell: Cell) -> int:
        """Return the time that a cell is given (minutes); on a CPU the paper's size takes weeks."""
        if self.data.is_synthetic(cell.corpus):
            return _STAND_IN
        fits = self.n_folds(cell.folds) * len(self.runs(cell.corpus))
        return round(_STAND_IN + fits * _FIT * self._options(cell).training.epochs / 100)
