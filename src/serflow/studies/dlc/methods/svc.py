"""A plain baseline on the same splits: a support vector machine on mean and deviation of the noisy features."""

from typing import TYPE_CHECKING, Any

from serflow.studies.dlc.catalog import MethodInfo

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

METHOD = MethodInfo(title="SVC on mean and deviation", network=False, options=("iemocap_labels",))


def classify(
    inputs: "npt.NDArray[np.floating]", classes: "npt.NDArray[np.integer]", train: "npt.NDArray[np.integer]"
) -> Any:
    """Return a scaler and an SVC (RBF, C = 1, classes weighted as in the networks), fitted on rows ``(n, dim)``."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    return make_pipeline(StandardScaler(), SVC(class_weight="balanced")).fit(inputs[train], classes[train])
