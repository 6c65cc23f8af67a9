"""What the DLC paper printed (Wilf & Mower Provost), read from the CSV files in ``published/``.

``table1.csv`` is Table I; ``noise_classifier.csv`` is the accuracy given in the text of Sec. VII.
"""

from importlib import resources

import pandas as pd

from serflow.studies.dlc.catalog import method_info, method_names

CONTROL_TITLES = {"chance": "Chance", "majority": "Majority class"}
CORPORA = ("msp_improv", "iemocap", "mosei")
OVERALL = "overall"


def _published(name: str) -> pd.DataFrame:
    with resources.as_file(resources.files("serflow.studies.dlc") / "published" / name) as path:
        return pd.read_csv(path)


def _name(title: str) -> str:
    return title.lower().replace("-", "_")


def table1() -> pd.DataFrame:
    """Return Table I: experiment, method (the paper's title), modality, corpus, profile, ua (percent).

    ``overall`` stands for the mean over corpora, in the column ``profile`` for the mean over profiles.
    """
    return _published("table1.csv")


def noise_classifier() -> pd.DataFrame:
    """Return the noise classifier's accuracy: experiment, corpus, profile, accuracy (percent), Sec. VII."""
    return _published("noise_classifier.csv")


def method_titles() -> dict[str, str]:
    """Return the paper's title of each of its methods, in the paper's order.

    A method's name is its title in small letters with underscores: ``moe_dlc`` is MoE-DLC.
    """
    return {_name(title): title for title in table1()["method"].unique()}


def rows() -> list[tuple[str, str]]:
    """Return the (experiment, method name) pairs of Table I from top to bottom."""
    printed = table1()[["experiment", "method"]].drop_duplicates()
    return [(str(experiment), _name(title)) for experiment, title in printed.itertuples(index=False)]


def method_title(method: str) -> str:
    """Return the paper's title of ``method``, else its own, else ``method`` itself."""
    own = {**CONTROL_TITLES, method: method_info(method).title} if method in method_names() else CONTROL_TITLES
    routed, _, control = method.rpartition("_oracle")
    if routed and not control:
        return f"{method_title(routed)} (oracle gate)"
    return method_titles().get(method, own.get(method, method))
