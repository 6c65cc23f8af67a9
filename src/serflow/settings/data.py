"""All that studies are made from: corpora, noise and features in one object."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import model_validator

from serflow.settings.base import DOWNLOAD, STAND_IN, SYNTHETIC, SettingError, path_below, unknown
from serflow.settings.corpora import Corpora
from serflow.settings.features import RECOGNISERS, Features
from serflow.settings.noise import Noise


class Data(Corpora, Noise, Features):
    """Everything a user may change but the studies, and what the rules ask of several sections together."""

    @model_validator(mode="after")
    def _check_features_of_corpora(self) -> "Data":
        # what nobody wrote need not fit the features that somebody did
        given = self.corpora if "corpora" in self.model_fields_set else {}
        for corpus, settings in given.items():
            for feature in settings.features or ():
                if feature not in self.features:
                    said = unknown(f"{feature!r} is not in features", feature, self.features)
                    raise SettingError(f"corpora.{corpus}.features", said)
        return self

    def check_corpus(self, section: str, corpus: str, emotions: Sequence[str] | None) -> None:
        """Hold the corpus of a study's section, and the words of it that are kept, against the corpora there are.

        Raises
        ------
        SettingError
            If there is no such corpus, or words are chosen of IEMOCAP, which has the classes of the papers.
        """
        if corpus not in self.corpora:
            said = unknown(f"{corpus!r} is not in corpora", corpus, list(self.corpora))
            raise SettingError(f"{section}.corpus", said)
        if emotions is not None and self.layout(corpus) == "iemocap":
            raise SettingError(f"{section}.emotions", f"{corpus} has the paper's four classes; set null")

    def esc50_root(self) -> Path:
        """Return the folder of ESC-50."""
        root = self.noise.esc50.root
        if root == SYNTHETIC:
            return Path("resources/synthetic/esc50")
        return path_below(self.data_root, root)

    def weights_path(self, backbone: str) -> Path | None:
        """Return the file or folder that a backbone's weights are read from, or None where the workflow gets them."""
        weights = self.backbones[backbone].weights
        return None if weights in (STAND_IN, DOWNLOAD) else path_below(self.data_root, weights)

    def transcript_stores(self) -> list[tuple[str, str, str]]:
        """Return recogniser, corpus and condition of every store of transcripts: of the corpora with turns."""
        return [
            (recogniser, corpus, condition)
            for recogniser in RECOGNISERS
            for corpus, settings in self.corpora.items()
            if settings.root is not None and self.has_turns(corpus)
            for condition in self.conditions()
        ]

    def feature_stores(self) -> list[tuple[str, str, str]]:
        """Return feature, corpus and condition of every store that can be asked for."""
        corpora = [name for name, corpus in self.corpora.items() if corpus.root is not None]
        return [
            (feature, corpus, condition)
            for feature in self.features
            for corpus in corpora
            for condition in self.conditions()
        ]

    def features_asked_for(self) -> list[tuple[str, str, str]]:
        """Return the stores that the target ``features`` builds: of each corpus the features that it names, or all."""
        asked = {corpus: settings.features for corpus, settings in self.corpora.items()}
        conditions = self.conditions_asked_for()
        return [
            (feature, corpus, condition)
            for feature, corpus, condition in self.feature_stores()
            if condition in conditions and ((names := asked[corpus]) is None or feature in names)
        ]
