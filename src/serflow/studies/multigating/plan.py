"""What the rules ask of the study, from the configuration alone: its cells, what each reads, and its tables.

``table2`` to ``table4`` are the paper's, ``features`` is what Figure 4 draws of single features, ``controls`` what the
paper does not have. Table 1 has no scores: it is counted from the corpora. Runs are of one corpus; those of a system
that is trained on all languages come from one job.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from serflow.protocols.splits import draw_name
from serflow.report.headings import Heading, Layout
from serflow.settings.data import Data
from serflow.studies.contract import Curves, Exposure, Leak
from serflow.studies.departures import departures
from serflow.studies.multigating.catalog import ALPHA, JOINT, MAIN, NO_AUX, ONLY, SELECTOR, SYSTEMS, Cell
from serflow.studies.multigating.options import FEATURES, PARTIALS, EncoderOptions, Options, TrainingOptions
from serflow.studies.multigating.settings import PAPER, PAPER_CORPORA, PAPER_LANGUAGES, Multigating

MEASURES = {"ua": "UA", "wa": "WA"}
AUX = {MAIN: "with aux loss", NO_AUX: "w/o aux loss"}
FEATURE_TITLES = {"allosaurus": "Allosaurus", "wav2vec": "WAV2VEC", "mfcc": "MFCC", "ge2e": "GE2E", "byol": "BYOL"}
LITERATURE = {
    "german": ("Rudd et al.", "Meng et al.", "Zhao et al."),
    "french": ("Ng et al.", "Keesing et al.", "Scheidwasser-Clow et al."),
}
"""Rows of Table 2 that the paper takes from others; what we have of it gives no numbers of theirs."""
READ_OFF = {"chance": ("Chance", "chance"), "majority": ("Majority class", "majority")}
SINGLE, GATED, SEARCHED, ENCODED = "single", "mmoe", "ours", ("allosaurus", "wav2vec", "mfcc")
PICTURED_SELECTOR = "byol"
"""Feature by which gates weigh the others in Figure 4 (section 5.3.2)."""
_SHARED = {
    "one_tower": ("width", "join", "base_units", "base_activations"),
    "sb": ("width", "join"),
    "omoe": ("width", "selector"),
    "mmoe": ("width", "selector"),
    "ours": ("width", "selector"),
    "sb_wide": ("width", "join", "selector"),
}
_NOT_A_ROW = "not a row of the paper"


class Plan:
    """The study as the configuration asks for it."""

    name = "multigating"
    title = "Multilingual gating"
    about = (
        "Wang, Meng, Lan, Zhang, Guo and Gupta, *Multilingual Speech Emotion Recognition with Multi-Gating "
        "Mechanism and Neural Architecture Search* (arXiv 2211.08237): one network for a language, and one that "
        "several languages share, in five ways."
    )
    curves = Curves("table3", "val_wa", "validation WA (%)")

    def __init__(self, settings: Multigating, data: Data, root: str = "results/runs/multigating") -> None:
        self.settings = settings
        self.data = data
        self.root = root
        self.languages = settings.spoken()
        self.name_of = {language.corpus: name for name, language in self.languages.items()}
        named = [name for name in LITERATURE if name in self.languages]
        self.tables = [*([["table2"]] if named else []), ["table3"], ["table4"], ["features"]]
        if settings.controls:
            self.tables.append(["controls"])

    # What is trained

    def corpora(self) -> list[str]:
        """Return the corpus of each language."""
        return list(self.name_of)

    def cells(self, table: str | None = None) -> list[Cell]:
        """Return the cells of a table, or of all; one a corpus, those of joint trainings too."""
        every = self.corpora()
        of_table = {
            "table2": [
                Cell(SINGLE, self.languages[name].corpus, MAIN) for name in LITERATURE if name in self.languages
            ],
            "table3": [Cell(system, corpus, MAIN) for system in self.settings.systems for corpus in every],
            "table4": [Cell(SINGLE, corpus, variant) for variant in AUX for corpus in every],
            "features": [Cell(SINGLE, corpus, ONLY + name) for name in self.settings.features for corpus in every],
            "controls": [Cell(system, corpus, MAIN) for system in self._controls() for corpus in every],
        }
        if table is not None:
            return of_table[table]
        figures = [*self.pictured(), *self.gated(), *self.searched()]
        return list(dict.fromkeys([*(cell for cells in of_table.values() for cell in cells), *figures]))

    def _controls(self) -> list[str]:
        """Return the systems of the table of controls: those that are trained, beside those that the paper has."""
        if not self.settings.controls:
            return []
        trained = [name for name in self.settings.controls if name not in READ_OFF]
        return [SINGLE, *self.settings.systems, *trained]

    def pictured(self) -> list[Cell]:
        """Return the cells of Figure 3, by their alpha."""
        language = self.languages[self.settings.figure3.language]
        variants = {0.0: NO_AUX, language.alpha: MAIN}
        alphas = self.settings.figure3.alphas
        return [Cell(SINGLE, language.corpus, variants.get(alpha, f"{ALPHA}{alpha:g}")) for alpha in alphas]

    def gated(self) -> list[Cell]:
        """Return the cells of whose gates Figure 4 draws the mean weights."""
        other = self.settings.sharing.selector != PICTURED_SELECTOR and PICTURED_SELECTOR in self.settings.features
        variant = SELECTOR + PICTURED_SELECTOR if other and len(self.settings.features) > 1 else MAIN
        return [Cell(GATED, corpus, variant) for corpus in self.corpora()]

    def searched(self) -> list[Cell]:
        """Return the cells whose architectures are told; none where the system is not trained."""
        wanted = SEARCHED in self.settings.systems
        return [Cell(SEARCHED, corpus, MAIN) for corpus in self.corpora()] if wanted else []

    def targets(self) -> list[str]:
        """Return all that is made of the study."""
        names = [f"{table}.csv" for (table,) in self.tables]
        names += [f"{table}_{what}.csv" for (table,) in self.tables for what in ("vs_paper", "intervals")]
        names += ["table1.csv", "table1_vs_paper.csv", "figure3.svg", "figure4.svg", "curves.svg", "protocol.md"]
        names += ["gates.csv", "gates.svg"] if self.searched() else []
        return [f"results/{self.name}/{name}" for name in names]

    def is_stand_in(self) -> bool:
        """Tell whether no language has a real corpus; a joint training sees all of them, and all have as many runs."""
        return all(self.data.is_synthetic(corpus) for corpus in self.corpora())

    def runs(self, corpus: str) -> list[int]:
        """Return the runs of a corpus, those of all; the stand-in's own where all are."""
        return self.settings.stand_in.runs if self.is_stand_in() else self.settings.runs

    def unit(self) -> str:
        """Return what intervals are clustered by: where splits do not keep speakers together they are wider for it."""
        return "speaker"

    def draws(self, corpus: str) -> list[str]:
        """Return the split of each run: one for all unless each is to have its own; folds are the same for all."""
        runs, kind = self.runs(corpus), self.settings.split
        if kind == "speaker_folds":
            return [f"{kind}-{self.settings.folds}"] * len(runs)
        return [draw_name(kind, run if self.settings.resplit else 0) for run in runs]

    def cell(self, wildcards: Any) -> Cell:
        """Return the cell that a rule's wildcards name; a rule without a corpus is of a joint training."""
        return Cell(wildcards.system, getattr(wildcards, "corpus", JOINT), wildcards.variant)

    def systems(self, trained: str) -> list[str]:
        """Return the systems that are trained on ``all`` languages at once, or on ``one``."""
        return [name for name, info in SYSTEMS.items() if info.trained == trained]

    def joint_corpora(self) -> list[str]:
        """Return the corpora in the order that joint trainings have them in: by the names of their languages."""
        return [self.languages[name].corpus for name in sorted(self.languages)]

    def corpora_of(self, cell: Cell) -> list[str]:
        """Return the corpora that a job is trained on, in order."""
        return self.joint_corpora() if SYSTEMS[cell.system].trained == "all" else [cell.corpus]

    def split_files(self, cell: Cell) -> list[str]:
        """Return the split of each run of a job's first corpus, then of the next."""
        return [
            f"results/splits/{corpus}/{draw}.parquet" for corpus in self.corpora_of(cell) for draw in self.draws(corpus)
        ]

    def stores(self, cell: Cell) -> dict[str, list[str]]:
        """Return the corpora by the features that a job reads of them."""
        options = self._options(cell)
        read = options.stores() if SYSTEMS[cell.system].network else options.features
        return {name: self.corpora_of(cell) for name in read}

    def sources(self) -> list[str]:
        """Return what it rests on besides corpora: the features of all cells."""
        return list(dict.fromkeys(feature for cell in self.cells() for feature in self.stores(cell)))

    def reads_ge2e(self, cell: Cell) -> bool:
        """Tell whether a job needs the weights of GE2E: one that trains it further."""
        return PARTIALS in self.stores(cell)

    def options(self, cell: Cell) -> dict[str, Any]:
        """Return what a cell's fits are trained with: no option that its system does not read."""
        options = self._options(cell)
        return options.as_json(_read(cell.system, options))

    def _options(self, cell: Cell) -> Options:
        """Return all options of a job: the section's, the stand-in's own, and those of its variant."""
        settings, own = self.settings, self.settings.stand_in
        spoken = {self.name_of[corpus]: self.languages[self.name_of[corpus]] for corpus in self.corpora_of(cell)}
        changed: dict[str, Any] = {name: getattr(settings, name) for name in Options.model_fields}
        if self.is_stand_in():
            spoken = {name: language.model_copy(update={"units": own.units}) for name, language in spoken.items()}
            sizes = {"maps": own.maps, "lstm": own.lstm, "mfcc_maps": own.maps, "mfcc_lstm": own.lstm}
            fitted = own.model_dump(include={"epochs", "batch_size", "learning_rate", "ge2e_learning_rate"})
            changed |= {
                "encoder": settings.encoder.model_copy(update=sizes),
                "sharing": settings.sharing.model_copy(update={"width": own.width, "base_units": own.units}),
                "training": settings.training.model_copy(update=fitted),
            }
        variant = cell.variant
        changed["aux"] = variant != NO_AUX
        if variant.startswith(ALPHA):
            alpha = float(variant.removeprefix(ALPHA))
            spoken = {name: language.model_copy(update={"alpha": alpha}) for name, language in spoken.items()}
        if variant.startswith(ONLY):
            changed["features"] = (variant.removeprefix(ONLY),)
        if variant.startswith(SELECTOR):
            selector = variant.removeprefix(SELECTOR)
            changed["sharing"] = changed["sharing"].model_copy(update={"selector": selector})
        return Options(**{**changed, "languages": spoken})

    def leaks(self) -> list[Leak]:
        """Return what training knows of the test: speakers, where single utterances are dealt."""
        return [Leak("speakers", "speakers of the test are in training", "split", "utterance", "speaker_folds")]

    def version(self, changed: Mapping[str, Any], root: str) -> "Plan":
        """Return the plan with some settings changed, whose runs lie in another folder."""
        return Plan(self.settings.model_copy(update=changed), self.data, root)

    def exposure(self, cell: Cell) -> Exposure:
        """Return what the audit is told of a cell."""
        stores, network = self.stores(cell), SYSTEMS[cell.system].network
        training = "training" if self.settings.standardise == "training" or not network else "none"
        statistics = {
            name: "corpus" if self.data.parameters(name).get("standardise") == "corpus" else training for name in stores
        }
        networks = filter(None, (self.data.backbone(name) for name in stores))
        more = ["ge2e"] if self.reads_ge2e(cell) else []
        others = [self.data.title(corpus) for corpus in self.corpora_of(cell) if corpus != cell.corpus]
        return Exposure(
            statistics,
            "val" if network else None,
            list(dict.fromkeys([*networks, *more])),
            remark=f"trained on {' and '.join(others)} as well, which is not compared with the test" if others else "",
        )

    def modules(self, cell: Cell) -> list[str]:
        """Return the modules that are loaded by name when a cell is trained, for the fingerprint of its code."""
        return [f"studies.multigating.methods.{cell.system}", *(["backbones.ge2e"] if self.reads_ge2e(cell) else [])]

    # What figures and Table 1 are told

    def table1_facts(self) -> dict[str, Any]:
        """Return what Table 1 is told of the corpora and their languages."""
        return {
            "titles": {corpus: self.data.title(corpus) for corpus in self.corpora()},
            "printed": {self.data.title(corpus): self.data.printed_title(corpus) for corpus in self.corpora()},
            "languages": {
                corpus: {
                    "name": name,
                    "title": self.language_title(name),
                    "options": self.languages[name].as_json(["corpus", "emotions", "intensity"]),
                }
                for corpus, name in self.name_of.items()
            },
        }

    def figure3_facts(self) -> dict[str, Any]:
        """Return the title of the corpus, and the alpha of each cell by its variant."""
        cells = self.pictured()
        alphas = [f"{alpha:g}" for alpha in self.settings.figure3.alphas]
        return {
            "title": self.data.title(cells[0].corpus),
            "alphas": dict(zip((cell.variant for cell in cells), alphas, strict=True)),
        }

    def figure4_facts(self) -> dict[str, Any]:
        """Return the table of single features, and what languages and features are called."""
        return {"layout": self.layout("features").to_json(), **self.gates_facts()}

    def gates_facts(self) -> dict[str, Any]:
        """Return what the language of each corpus, and each feature, is called."""
        return {
            "languages": {corpus: self.language_title(name) for corpus, name in self.name_of.items()},
            "features": FEATURE_TITLES,
        }

    # The protocol card

    def card_inputs(self) -> dict[str, list[str]]:
        """Return the files that the protocol card reads, by the names that it knows them by."""
        return {
            "utterances": [f"results/corpora/{corpus}/utterances.parquet" for corpus in self.corpora()],
            "splits": [
                f"results/splits/{corpus}/{draw}.parquet" for corpus in self.corpora() for draw in self.draws(corpus)
            ],
        }

    def card_options(self) -> dict[str, Any]:
        """Return the options of each corpus that say who is trained on."""
        return {
            corpus: Options(languages={name: self.languages[name]}, folds_used=self.settings.folds_used).as_json(
                [*(f"languages.{name}.{key}" for key in ("corpus", "emotions", "intensity")), "folds_used"]
            )
            for corpus, name in self.name_of.items()
        }

    def protocol(self) -> dict[str, Any]:
        """Return what the protocol card says of the whole study."""
        training = self._options(Cell(SINGLE, self.corpora()[0], MAIN)).training
        return {
            "selection metric": f"best validation WA of {training.epochs} epochs, on average over languages",
            "optimiser": f"AdamW, learning rate {training.learning_rate:g}, of GE2E {training.ge2e_learning_rate:g}, "
            f"batches of {training.batch_size} of one language",
            "features": ", ".join(FEATURE_TITLES[name] for name in self.settings.features),
            "split": self.settings.split,
            "runs": "a split each" if self.settings.resplit else "one split, other first weights and batches",
        }

    # What is not the paper's

    def departures(self, corpus: str) -> list[str]:
        """Say where the settings that a corpus's cells depend on are not the paper's."""
        return self._departures(corpus, [cell.system for cell in self.cells()])

    def _departures(self, corpus: str, systems: Iterable[str]) -> list[str]:
        """Say it of what some systems read."""
        name = self.name_of[corpus]
        options = self._options(Cell(SINGLE, corpus, MAIN))
        read = options.as_json(list(dict.fromkeys(key for system in systems for key in _read(system, options))))
        language = read.pop("languages")[name]
        stores = {
            feature: {key: value for key, value in self.data.parameters(feature).items()
                      if f"stores.{feature}.{key}" in PAPER}
            for feature in FEATURES
            if feature in self.settings.features and feature in self.data.features
        }  # fmt: skip
        split = self.settings.as_json(["split", "folds", "resplit"])
        said = departures({**read, **split, "stores": stores}, PAPER)
        return [*said, *(departures(language, PAPER_LANGUAGES[name]) if name in PAPER_LANGUAGES else [])]

    # Tables

    def layout(self, table: str) -> Layout:
        """Return a table's rows and columns."""
        make = {
            "table2": self._table2,
            "table3": self._table3,
            "table4": self._table4,
            "features": self._features,
            "controls": self._controls_layout,
        }
        return make[table]()

    def language_title(self, name: str) -> str:
        """Return what a language is called in tables."""
        return name.replace("_", " ").capitalize()

    def _reasons(self, name: str) -> tuple[str, ...]:
        if name not in PAPER_CORPORA:
            return ("not a language of the paper",)
        return () if self.languages[name].corpus == PAPER_CORPORA[name] else ("not the paper's corpus",)

    def _columns(self) -> list[Heading]:
        """Return UA and WA of each language."""
        return [
            Heading(
                (self.language_title(name), said),
                {"corpus": language.corpus, "measure": measure},
                reasons=self._reasons(name),
            )
            for name, language in self.languages.items()
            for measure, said in MEASURES.items()
        ]

    def _table(self, name: str, corner: str, rows: Sequence[Heading], where: Mapping[str, str]) -> Layout:
        systems = [cell.system for cell in self.cells(name)]
        return Layout(
            (corner,), rows, self._columns(), {"role": "test", **where}, over_folds="pooled", show="mean_std",
            departures={corpus: self._departures(corpus, systems) for corpus in self.corpora()},
        )  # fmt: skip

    def _table2(self) -> Layout:
        named = [name for name in LITERATURE if name in self.languages]
        rows = [
            Heading(
                (self.language_title(name), "Ours"),
                {"corpus": self.languages[name].corpus},
                reasons=self._reasons(name),
            )
            for name in named
        ]
        columns = [Heading((said,), {"measure": measure}) for measure, said in MEASURES.items()]
        quoted = tuple((self.language_title(name), method) for name in named for method in LITERATURE[name])
        return self._table("table2", "Method", rows, {"system": SINGLE, "variant": MAIN})._replace(
            corner=("Language", "Method"), columns=columns, quoted=quoted
        )

    def _table3(self) -> Layout:
        return self._table("table3", "Model", self._systems(self.settings.systems), {"variant": MAIN})

    def _systems(self, systems: Sequence[str], reasons: tuple[str, ...] = (), baseline: str = "sb") -> list[Heading]:
        against = (SYSTEMS[baseline].title,) if baseline in systems else None
        return [
            Heading((SYSTEMS[name].title,), {"system": name}, None if name == baseline else against, reasons=reasons)
            for name in systems
        ]

    def _table4(self) -> Layout:
        rows = [
            Heading((said,), {"variant": variant}, (AUX[NO_AUX],) if variant == MAIN else None)
            for variant, said in AUX.items()
        ]
        return self._table("table4", "Setting", rows, {"system": SINGLE})

    def _features(self) -> Layout:
        rows = [
            Heading((FEATURE_TITLES[name],), {"variant": ONLY + name}, reasons=("drawn in Figure 4 alone",))
            for name in self.settings.features
        ]
        return self._table("features", "Feature", rows, {"system": SINGLE})

    def _controls_layout(self) -> Layout:
        """Return what the paper does not have, beside what is trained on one language and on all."""
        rows = self._systems(self._controls(), (_NOT_A_ROW,), SINGLE)
        guesses = [
            Heading((title,), {"system": SINGLE, "predicted": guess}, reasons=(_NOT_A_ROW,))
            for name, (title, guess) in READ_OFF.items()
            if name in self.settings.controls
        ]
        return self._table("controls", "Model", [*rows, *guesses], {"variant": MAIN})


def _read(system: str, options: Options) -> list[str]:
    """Return the keys of the options that a system reads."""
    info = SYSTEMS[system]
    of_language = ["corpus", "emotions", "intensity"]
    read = ["features", "folds_used"]
    if info.network:
        of_language += ["units", "activations"] if not info.joined else []
        read += ["standardise", "aux", *(f"sharing.{key}" for key in _SHARED.get(system, ()))]
        if options.aux:
            of_language.append("alpha")
            read.append("contrastive")
        read += [f"encoder.{key}" for key in _encoder_keys(options)]
        unread = {"temperature"} if info.trained == "one" else set()
        unread |= {"ge2e_learning_rate"} if "ge2e" not in options.features else set()
        read += [f"training.{key}" for key in TrainingOptions.model_fields if key not in unread]
        read += ["nas"] if system in (SEARCHED, "sb_wide") else []
    return [*(f"languages.{name}.{key}" for name in options.languages for key in of_language), *read]


def _encoder_keys(options: Options) -> list[str]:
    """Return the keys of the encoders that there are; dropout is the towers' too."""
    encoded = set(ENCODED) & set(options.features)
    keys = [] if not encoded else ["cnn", "kernels"]
    keys += ["maps", "lstm"] if encoded - {"mfcc"} else []
    keys += [key for key in EncoderOptions.model_fields if key.startswith("mfcc_")] if "mfcc" in encoded else []
    return [*keys, "dropout"]
