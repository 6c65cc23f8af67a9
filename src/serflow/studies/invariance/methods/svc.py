"""A plain baseline on the same folds: a support vector machine on mean and deviation of each MFCC of an utterance."""

from typing import TYPE_CHECKING, Any

from serflow.studies.invariance.catalog import SystemInfo

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SYSTEM = SystemInfo(title="SVC on mean and deviation", names_speakers=False, network=False)


def classify(
    inputs: "npt.NDArray[np.floating]", classes: "npt.NDArray[np.integer]", train: "npt.NDArray[np.integer]"
) -> Any:
    """Return a scaler and an SVC (RBF, C = 1) fitted on rows of ``inputs`` ``(n, dim)``."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    return make_pipeline(StandardScaler(), SVC()).fit(inputs[train], classes[train])
