"""A plain baseline on the same folds: a support vector machine on mean and deviation of frames, and on vectors."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def classify(
    inputs: "npt.NDArray[np.floating]", classes: "npt.NDArray[np.integer]", rows: "npt.NDArray[np.integer]"
) -> Any:
    """Return a scaler and an SVC (RBF, C = 1), fitted on rows of ``(n, dim)`` and ``(n,)``."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    return make_pipeline(StandardScaler(), SVC()).fit(inputs[rows], classes[rows])
