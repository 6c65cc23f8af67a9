"""What the rules ask of the study, from the configuration alone: its cells, what each reads, and its tables.

``table1`` is Table I; ``noise_classifier`` is the accuracy of the noise classifiers (Sec. VII), which methods with
experts are routed by in the test. Where no such method is asked for, no noise classifier is trained, and there is no
table of them. ``table1_gain`` and ``noise_classifier_gain`` are the same in the profiles of ``dlc.gain_profiles``, in
which noise is mixed as by the authors' code.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from serflow.backbones.base import releases
from serflow.noise.conditions import of_split, profile_of, split_of
from serflow.protocols.splits import draw_name
from serflow.report.headings import Heading, Layout, Where
from serflow.settings.base import CLEAN, DOWNLOAD
from serflow.settings.data import Data
from serflow.settings.features import TEXT_FEATURE
from serflow.settings.noise import PROFILES
from serflow.studies.contract import Curves, Exposure, Leak
from serflow.studies.departures import departures
from serflow.studies.dlc.catalog import Cell, method_info, method_names
from serflow.studies.dlc.options import Options
from serflow.studies.dlc.settings import PAPER, Dlc

EXPERIMENTS = {"exp1": "1", "exp2": "2"}
CORPORA = ("msp_improv", "iemocap", "mosei")
GAIN = "_gain"
"""What the names of tables and profiles end in where noise is mixed as the authors' code does."""
# profiles by the names that the paper prints
PRINTED = {f"{name}{ending}": name for ending in ("", GAIN) for name in PROFILES}
# Table I from top to bottom
ROWS = {
    "exp1": ("single", "moe_slc", "moe_dlc", "hffn_single", "hffn_moe_dlc"),
    "exp2": (
        "single", "moe_slc", "moe_dlc", "dann", "maddog", "dsn_slc", "dsn_dlc", "hffn_single", "hffn_dsn_dlc",
    ),
}  # fmt: skip
BASELINES = {"uni": "single", "multi": "hffn_single"}
# rows that are read from the cells of other methods, by their measure
READ_OFF = {"chance": ("Chance", "chance_ua"), "majority": ("Majority class", "majority_ua")}
CLIPS = "noise.clips"
PILOT_PROFILE = "h1"
PILOT = {"learning_rate": 1e-3, "max_epochs": 20, "patience": 20}


class Plan:
    """The study as the configuration asks for it; in a version whose clips are ``apart`` these follow its splits."""

    name = "dlc"
    title = "DLC"
    about = (
        "Wilf and Mower Provost, *Towards Noise Robust Speech Emotion Recognition Using Dynamic Layer "
        "Customization* (ACII 2021): does it help to give each kind of noise an encoder of its own? Experiment 1 "
        "tests on noise that was in training, experiment 2 on noise that was not."
    )
    curves = Curves("table1", "val_ua", "validation UA (%)")

    def __init__(self, settings: Dlc, data: Data, root: str = "results/runs/dlc", apart: bool = False) -> None:
        self.settings = settings
        self.data = data
        self.root = root
        self.apart = apart
        # the noise classifier's accuracy stands beside Table I
        names = ("table1", "noise_classifier") if self._gates(settings.profiles) else ("table1",)
        endings = ("", GAIN) if settings.gain_profiles else ("",)
        self.tables = [[name + ending for name in names] for ending in endings]

    # What is trained

    def corpora(self) -> list[str]:
        """Return the corpora in the order of the table."""
        return self.settings.corpora

    def multimodal_corpora(self) -> list[str]:
        """Return the corpora whose words are recognised, for multimodal methods; they need turns in dialogues."""
        return self.settings.multimodal_corpora(self.data)

    def corpora_of(self, method: str) -> list[str]:
        """Return the corpora that a method is trained on."""
        return self.multimodal_corpora() if method_info(method).modality == "multi" else self.corpora()

    def profiles(self, table: str) -> list[str]:
        """Return the noise profiles of a table."""
        return self.settings.gain_profiles if table.endswith(GAIN) else self.settings.profiles

    def cells(self, table: str | None = None) -> list[Cell]:
        """Return the cells of a table, or of all.

        Those of ``noise_classifier`` are the ones that a method of Table I is routed by.
        """
        if table is None:
            return list(dict.fromkeys(cell for tables in self.tables for name in tables for cell in self.cells(name)))
        cells = self._gates if table.startswith("noise_classifier") else self._trained
        return cells(self.profiles(table))

    def _trained(self, profiles: Sequence[str]) -> list[Cell]:
        return [
            Cell(experiment, method, corpus, condition)
            for method in self.settings.trained_methods()
            for experiment in self.settings.experiments_of(method)
            for corpus in self.corpora_of(method)
            for profile in profiles
            for condition in self.conditions(profile, corpus)
        ]

    def _gates(self, profiles: Sequence[str]) -> list[Cell]:
        needed = {gate for cell in self._trained(profiles) if (gate := self.gate(cell)) is not None}
        return [
            cell
            for experiment in EXPERIMENTS
            for corpus in self.corpora()
            for profile in profiles
            for condition in self.conditions(profile, corpus)
            if (cell := Cell(experiment, "noise_classifier", corpus, condition)) in needed
        ]

    def conditions(self, profile: str, corpus: str) -> list[str]:
        """Return the noise conditions of a profile that a corpus has cells of: one, or one of each split."""
        return [of_split(profile, split) for split in dict.fromkeys(self.draws(corpus))] if self.apart else [profile]

    def runs_of(self, cell: Cell) -> list[int]:
        """Return the runs of a cell: those of the split that its clips follow, or all."""
        return [run for run, _ in self._drawn(cell)]

    def splits_of(self, cell: Cell) -> list[str]:
        """Return the split of each run of a cell."""
        return [split for _, split in self._drawn(cell)]

    def _drawn(self, cell: Cell) -> list[tuple[int, str]]:
        drawn = zip(self.runs(cell.corpus), self.draws(cell.corpus), strict=True)
        return [(run, split) for run, split in drawn if split_of(cell.profile) in (None, split)]

    def gate(self, cell: Cell) -> Cell | None:
        """Return the noise classifier that a method with experts is routed by in the test, of the same cell."""
        if not method_info(cell.method).routes:
            return None
        return Cell(cell.experiment, "noise_classifier", cell.corpus, cell.profile)

    def heard(self, cell: Cell) -> str:
        """Return the condition of the audio that a cell's method hears: its noise, but for a control."""
        return CLEAN if method_info(cell.method).hears_clean else cell.profile

    def text_feature(self, cell: Cell) -> str | None:
        """Return the feature that a multimodal method reads beside the acoustic one: what was recognised in noise."""
        return f"{TEXT_FEATURE}{self.settings.asr}" if method_info(cell.method).modality == "multi" else None

    def sources(self) -> list[str]:
        """Return what it rests on besides corpora: the feature, networks behind recognised words, and the noise."""
        multimodal = any(map(self.text_feature, self.cells()))
        words = (self.data.recogniser_backbone(self.settings.asr), "bert") if multimodal else ()
        return [self.settings.feature, *filter(None, words), "esc50"]

    def more_inputs(self, cell: Cell) -> dict[str, str]:
        """Return what some methods read besides: recognised words, and the noise classifier's predictions."""
        inputs = {}
        gate, text = self.gate(cell), self.text_feature(cell)
        if gate is not None:
            inputs["gate"] = f"{self.root}/{'/'.join(gate)}/predictions.parquet"
        if text is not None:
            packed = f"results/packed/{text}/{cell.corpus}/{cell.profile}"
            inputs |= {"text": f"{packed}.parquet", "text_array": f"{packed}.npy"}
        return inputs

    def transcripts(self) -> str | None:
        """Return the recogniser whose error rates belong beside Table I, where a method of it reads."""
        return self.settings.asr if self.multimodal_corpora() else None

    def protocol(self) -> dict[str, str]:
        """Return what the protocol card says of the whole study."""
        settings, noise, training = self.settings, self.data.noise, self.settings.training
        return {
            "selection metric": f"best validation UA, patience {training.patience} epochs",
            "optimiser": f"{training.optimizer}, learning rate {training.learning_rate:g}",
            "split by": settings.split,
            "mixing": self._mixing(settings.profiles),
            **({"mixing of table1_gain": self._mixing(settings.gain_profiles)} if settings.gain_profiles else {}),
            "noise clips": noise.clips,
            "transcripts": settings.asr,
            "HFFN": settings.hffn,
        }

    def runs(self, corpus: str) -> list[int]:
        """Return the seeds of a corpus; a stand-in's own where it is one."""
        return self.settings.stand_in.seeds if self.data.is_synthetic(corpus) else self.settings.seeds

    def unit(self) -> str:
        """Return what splits keep together: dialogue or speaker."""
        return "dialogue" if self.settings.split == "dialogue" else "speaker"

    def draws(self, corpus: str) -> list[str]:
        """Return the split of each run: a draw each, or one for all where noise clips follow the split.

        Who speaks in MOSEI is not known: a video stands for a speaker and is a dialogue, so that all splits are one.
        """
        runs = self.runs(corpus)
        kind = "dialogue" if self.data.layout(corpus) == "mosei" else self.settings.split
        drawn = runs if self.data.noise.clips == "shared" else [runs[0]] * len(runs)
        return [draw_name(kind, draw) for draw in drawn]

    def card_inputs(self) -> dict[str, list[str]]:
        """Return the files that the protocol card reads, by the names that it knows them by."""
        return {
            "utterances": [f"results/corpora/{corpus}/utterances.parquet" for corpus in self.corpora()],
            "splits": [
                f"results/splits/{corpus}/{draw}.parquet"
                for corpus in self.corpora()
                for draw in dict.fromkeys(self.draws(corpus))
            ],
            "plans": [
                f"results/noise/{corpus}/{profile}.parquet"
                for corpus in self.corpora()
                for profile in self.settings.profiles
            ],
        }

    def card_options(self) -> dict[str, Any]:
        """Return the options that say who has a label, and who is held out."""
        return self.settings.as_json(["iemocap_labels", "experiments"])

    def beside_table1(self) -> list[str]:
        """Return what is made along with Table I: how it compares, how sure it is, what it was trained on."""
        files = ["table1_vs_paper.csv", "table1_intervals.csv", "curves.svg", "figure4.svg", "protocol.md"]
        files += [f"{table}.csv" for table in self.tables[0][1:]]
        asr = self.transcripts()
        wer = [f"results/transcripts/{asr}/wer.csv"] if asr else []
        return [*(f"results/dlc/{file}" for file in files), *wer]

    def targets(self) -> list[str]:
        """Return all that is made of the study but the pilot; the other reading of Table I comes after the first."""
        gain = [table for tables in self.tables[1:] for table in tables]
        other = [*gain[:1], *(f"{table}_intervals" for table in gain[:1])]
        files = [f"results/dlc/{table}.csv" for table in ("table1", *other)]
        return [*files, *self.beside_table1(), *(f"results/dlc/{table}.csv" for table in gain[1:])]

    def options(self, cell: Cell) -> dict[str, Any]:
        """Return what a cell's fits are trained with: no option that its method does not read."""
        options = self._options(cell.corpus)
        return options.as_json(self._read(cell, options))

    def pilot_cell(self, corpus: str) -> Cell:
        """Return what the pilot of the optimiser trains."""
        return Cell("exp1", "single", corpus, PILOT_PROFILE)

    def cell(self, wildcards: Any) -> Cell:
        """Return the cell that a rule's wildcards name."""
        return Cell(*(getattr(wildcards, field) for field in Cell._fields))

    def why_no_cell(self, fields: Sequence[str]) -> str | None:
        """Return why there can be no cell of such fields; None otherwise.

        A method may be no part of an experiment, and a version has noise of its own.
        """
        experiment, method, *of = fields
        parts = method_info(method).experiments if method in method_names() else (experiment,)
        if experiment not in parts:
            numbers = " and ".join(EXPERIMENTS[name] for name in parts)
            asked = "/".join((parts[0], method, *of))
            return f"{method_info(method).title} is of experiment {numbers} alone: ask for {asked}"
        if len(of) != 2 or of[0] not in self.corpora():
            return None
        corpus, profile = of
        known = self.conditions(profile_of(profile), corpus)
        return None if profile in known else f"its runs of {corpus} are in noise {', '.join(known)}"

    def batch(self, wildcards: Any, profiles: Sequence[str]) -> list[Cell]:
        """Return the cells of a job that trains a method in several profiles; the rule's wildcards name the rest."""
        return [Cell(wildcards.experiment, wildcards.method, wildcards.corpus, profile) for profile in profiles]

    def pilot_options(self, corpus: str, optimizer: str) -> dict[str, Any]:
        """Return what the pilot of the optimiser trains Single with: twenty epochs, and no early stopping."""
        options = self._options(corpus)
        training = options.training.model_copy(update={"optimizer": optimizer, **PILOT})
        return options.model_copy(update={"training": training}).as_json(self._read(self.pilot_cell(corpus), options))

    def _options(self, corpus: str) -> Options:
        """Return all options of a corpus, with a stand-in's own where it is one."""
        settings = self.settings
        options = Options(**{name: getattr(settings, name) for name in Options.model_fields})
        if not self.data.is_synthetic(corpus):
            return options
        own = settings.stand_in
        groups = {
            name: group.model_copy(update=own.of(group))
            for name, group in (("model", options.model), ("training", options.training), ("staged", options.staged))
        }
        return options.model_copy(update={**own.of(options), **groups})

    def _read(self, cell: Cell, options: Options) -> list[str]:
        """Return the names of the options that a cell's method reads on its corpus, which has these."""
        named = method_info(cell.method).options
        names = Options.model_fields if named is None else named
        unread = set()
        if self.data.layout(cell.corpus) != "iemocap":
            unread.add("iemocap_labels")
        if options.hffn != "staged":
            unread.add("staged")
        return [name for name in names if name not in unread]

    def leaks(self) -> list[Leak]:
        """Return what training knows of the test: speakers, where splits are of dialogues or utterances, and noise.

        Who talks to them is held out with them: a dialogue of theirs must not be in training instead. With
        ``noise.clips: by_fold`` none is told: noise is drawn by the split of the configuration.
        """
        if self.data.noise.clips == "by_fold":
            return []
        split = self.settings.split
        clean = "partners" if split == "dialogue" else split
        return [
            Leak("speakers", "speakers of the test are in training", "split", "dialogue", clean),
            Leak("clips", "noise clips of the test are in training", CLIPS, "shared", "by_fold"),
        ]

    def version(self, changed: Mapping[str, Any], root: str) -> "Plan":
        """Return the plan with some settings changed, whose runs lie in another folder.

        Clips by fold are in conditions of their own: the noise of a profile is what the configuration asks for.
        """
        own = {name: value for name, value in changed.items() if name != CLIPS}
        return Plan(self.settings.model_copy(update=own), self.data, root, changed.get(CLIPS) == "by_fold")

    def exposure(self, cell: Cell) -> Exposure:
        """Return what the audit is told of a cell."""
        feature, reads = self.settings.feature, self.text_feature(cell) is not None
        words = (self.data.recogniser_backbone(self.settings.asr), "bert") if reads else ()
        networks = filter(None, (self.data.backbone(feature), *words))
        info = method_info(cell.method)
        return Exposure(
            {feature: "training"},
            "val" if info.network else None,
            list(networks),
            hears_noise=not info.hears_clean,
            remark="the noise classifier that routes the test was trained on the same training set" * info.routes,
        )

    def modules(self, cell: Cell) -> list[str]:
        """Return the modules that are loaded by name when a cell is trained, for the fingerprint of its code."""
        return [f"studies.dlc.methods.{cell.method}"]

    # What is not the paper's

    def departures(self, corpus: str) -> list[str]:
        """Say where the settings that a corpus's cells of Table I depend on are not the paper's."""
        return self._departures(corpus, [cell for table in self.tables[0] for cell in self.cells(table)])

    def _mixing(self, profiles: Iterable[str]) -> str:
        return " and ".join(sorted({self.data.noise.mixing_of(profile) for profile in profiles}))

    def _departures(self, corpus: str, cells: Sequence[Cell]) -> list[str]:
        profiles = dict.fromkeys(profile_of(cell.profile) for cell in cells)
        cells = [cell for cell in cells if cell.corpus == corpus]
        options = self._options(corpus)
        names = dict.fromkeys(name for cell in cells for name in self._read(cell, options))
        noise = self.data.noise
        levels = {PRINTED[name]: noise.profiles[name].snrs() for name in profiles if name in PRINTED}
        text = self._text_settings() if any(map(self.text_feature, cells)) else {}
        here = {
            **options.as_json(list(names)),
            **self.settings.as_json(["split"]),
            "noise": {**noise.as_json(), "mixing": self._mixing(profiles), "profiles": levels},
            "stores": self.data.stores.as_json(),
            **self._feature_settings(),
            **text,
        }
        return departures(here, PAPER)

    def _feature_settings(self) -> dict[str, Any]:
        """Return the acoustic feature, and the parameters of the paper's."""
        extractor = self.data.extractor(self.settings.feature)
        if extractor != "mfb":
            return {"feature": extractor}
        given = self.data.parameters(self.settings.feature)
        return {
            "feature": extractor,
            # what the feature does not know is refused when it is extracted
            "features": {"mfb": {name: value for name, value in given.items() if f"features.mfb.{name}" in PAPER}},
        }

    def _text_settings(self) -> dict[str, Any]:
        """Return what transcripts and their embeddings depend on."""
        asr, data = self.settings.asr, self.data
        networks = {}
        for name in filter(None, (data.recogniser_backbone(asr), "bert")):
            settings = data.backbones[name]
            # a release is downloaded; weights from elsewhere are told apart by their digests
            other = settings.weights == DOWNLOAD and settings.release != next(iter(releases(name)))
            networks[name] = {**settings.as_json(), "release": settings.release if other else None}
        decoding = data.transcripts.as_json([asr]) if asr == "deepspeech" else {}
        return {"asr": asr, "backbones": networks, "transcripts": decoding}

    # Tables

    def layout(self, table: str) -> Layout:
        """Return a table's rows and columns.

        A row of a multimodal method has no value on a corpus without turns; a row that is read off other cells, such as
        that of chance, is where those are.
        """
        if table.startswith("noise_classifier"):
            return self._noise_layout(table)
        wanted = [experiment for experiment in EXPERIMENTS if experiment in self.settings.experiments]
        rows = [row for experiment in wanted for row in self._rows(experiment)]
        return self._layout(table, ("Experiment", "Method"), rows, self._columns(self.corpora(), self.profiles(table)))

    def _layout(
        self, table: str, corner: tuple[str, ...], rows: Sequence[Heading], columns: Sequence[Heading], **where: str
    ) -> Layout:
        said, printed = self._said_of(self.cells(table)), table.removesuffix(GAIN)
        return Layout(corner, rows, columns, where, departures=said, printed=printed)

    def _said_of(self, cells: Sequence[Cell]) -> dict[str, list[str]]:
        return {corpus: self._departures(corpus, cells) for corpus in self.corpora()}

    def _rows(self, experiment: str) -> Iterator[Heading]:
        """Yield the rows of an experiment: the paper's as it prints them, others as they are named, controls."""
        printed = ROWS[experiment]
        asked = [name for name in self.settings.trained_methods() if experiment in self.settings.experiments_of(name)]
        for method in sorted(asked, key=lambda name: printed.index(name) if name in printed else len(printed)):
            where = {"experiment": experiment, "method": method, "measure": "ua"}
            reasons = () if method in printed else ("not a row of the paper",)
            yield self._row(method_info(method).title, where, self._baseline(experiment, method), reasons)
        yield from (heading for _, heading in sorted(self._controls(experiment, asked)))

    def _row(self, title: str, where: Where, baseline: str | None, reasons: Sequence[str]) -> Heading:
        """Return a row; ``where`` names the method whose cells it takes in."""
        experiment = EXPERIMENTS[str(where["experiment"])]
        missing = [corpus for corpus in self.corpora() if corpus not in self.corpora_of(str(where["method"]))]
        return Heading(
            (experiment, title),
            where,
            None if baseline is None else (experiment, baseline),
            dict.fromkeys(missing, "no turns in dialogues"),
            tuple(reasons),
        )

    def _baseline(self, experiment: str, method: str) -> str | None:
        """Return the title of a method's baseline: Single, or HFFN-Single for multimodal ones (Figure 4)."""
        baseline = BASELINES[method_info(method).modality]
        trained = baseline in self.settings.trained_methods()
        return method_info(baseline).title if trained and method not in BASELINES.values() else None

    def _controls(self, experiment: str, methods: Sequence[str]) -> Iterator[tuple[str, Heading]]:
        """Yield rows that come with the training of others, by what they are sorted by."""
        reasons = ["not a row of the paper"]
        asked = self.settings.controls
        if "oracle_gate" in asked and experiment == "exp1":
            for method in methods:
                if method_info(method).routes and self.corpora_of(method):
                    where = {"experiment": experiment, "method": method, "measure": "oracle_ua"}
                    title = f"{method_info(method).title} (oracle gate)"
                    yield f"{method}_oracle", self._row(title, where, None, reasons)
        # what chance and the most frequent class would score does not depend on the method
        for source in sorted(methods, key=lambda name: name != "single")[:1]:
            for control in (name for name in asked if name in READ_OFF):
                title, measure = READ_OFF[control]
                where = {"experiment": experiment, "method": source, "measure": measure}
                yield control, self._row(title, where, None, reasons)

    def _columns(self, corpora: Sequence[str], profiles: Sequence[str]) -> list[Heading]:
        """Return the columns: corpora in each profile, their mean in each profile, and the mean of all."""
        printed = {name: PRINTED.get(name, name) for name in profiles}
        of_profile = {name: () if name in PRINTED else ("not a profile of the paper",) for name in profiles}
        of_corpus = {name: () if name in CORPORA else ("not a corpus of the paper",) for name in corpora}
        of_corpora = () if set(corpora) == set(CORPORA) else ("not the paper's three corpora",)
        of_profiles = () if sorted(printed.values()) == sorted(PROFILES) else ("not the paper's three profiles",)
        columns = [
            Heading(
                (self.data.title(corpus), profile),
                {"corpus": corpus, "profile": profile},
                reasons=(*of_profile[profile], *of_corpus[corpus]),
                printed=(self.data.printed_title(corpus), printed[profile]),
            )
            for corpus in corpora
            for profile in profiles
        ]
        columns += [
            Heading(
                ("Overall", profile),
                {"corpus": list(corpora), "profile": profile},
                reasons=(*of_profile[profile], *of_corpora),
                printed=("Overall", printed[profile]),
            )
            for profile in profiles
        ]
        overall = Heading(
            ("Overall",), {"corpus": list(corpora), "profile": list(profiles)}, reasons=(*of_profiles, *of_corpora)
        )
        return [*columns, overall]

    def figure4_cells(self) -> list[Cell]:
        """Return the cells that Figure 4 is drawn from: those of Table I, without its controls."""
        return [cell for cell in self.cells("table1") if cell.method in self.settings.methods]

    def figure4_layout(self) -> Layout:
        """Return Table I without its controls: what they tell is not what a method gains."""
        layout = self.layout("table1")
        rows = [
            row for row in layout.rows if row.where["method"] in self.settings.methods and row.where["measure"] == "ua"
        ]
        return layout._replace(rows=rows)

    def _noise_layout(self, table: str) -> Layout:
        """Return the accuracy of the noise classifiers: the paper prints a mean over all of experiment 1."""
        cells = self.cells(table)
        corpora = [corpus for corpus in self.corpora() if any(cell.corpus == corpus for cell in cells)]
        unprinted = ("not printed in the paper",)
        rows = []
        for experiment, title in EXPERIMENTS.items():
            built = {cell.corpus for cell in cells if cell.experiment == experiment}
            if built:
                missing = dict.fromkeys((corpus for corpus in corpora if corpus not in built), "no method with experts")
                rows.append(
                    Heading(
                        (title,),
                        {"experiment": experiment},
                        without=missing,
                        reasons=() if experiment == "exp1" else unprinted,
                    )
                )
        *columns, overall = self._columns(corpora, self.profiles(table))
        columns = [column._replace(reasons=(*unprinted, *column.reasons)) for column in columns]
        return self._layout(table, ("Experiment",), rows, [*columns, overall], method="noise_classifier", measure="wa")
