"""What each method of the study is held against: Single, or HFFN-Single where it hears and reads (Figure 4)."""

from serflow.studies.dlc import paper
from serflow.studies.dlc.catalog import method_info

BASELINES = {"uni": "single", "multi": "hffn_single"}


def modality(method: str) -> str:
    """Return ``uni`` (acoustic) or ``multi`` (acoustic and lexical): as printed in Table I, else as the method says.

    Raises
    ------
    ConfigError
        If the method is neither in the paper nor in ``methods``.
    """
    printed = dict(paper.table1()[["method", "modality"]].itertuples(index=False))
    title = paper.method_title(method)
    return str(printed[title]) if title in printed else method_info(method).modality


def baseline(method: str) -> str | None:
    """Return the name of a method's baseline, ``None`` for the baselines themselves; raises as `modality`."""
    return None if method in BASELINES.values() else BASELINES[modality(method)]
