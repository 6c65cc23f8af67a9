"""All that studies are made from: corpora, noise and features in one object."""

from pathlib import Path

from serflow.settings.base import DOWNLOAD, STAND_IN, SYNTHETIC, path_below
from serflow.settings.corpora import Corpora
from serflow.settings.features import RECOGNISERS, Features
from serflow.settings.noise import Noise


class Data(Corpora, Noise, Features):
    """Everything a user may change but the studies, and what the rules ask of several sections together."""

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
        """Return feature, corpus and condition of every store that this configuration names."""
        corpora = [name for name, corpus in self.corpora.items() if corpus.root is not None]
        return [
            (feature, corpus, condition)
            for feature in self.features
            for corpus in corpora
            for condition in self.conditions()
        ]
