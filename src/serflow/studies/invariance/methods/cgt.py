"""SER_SR_CGT: each task learns on inputs moved along the gradient of the other's loss (section 2.3, Eqs. 2 to 4)."""

from typing import TYPE_CHECKING

from serflow.studies.invariance.catalog import SystemInfo

if TYPE_CHECKING:
    from serflow.studies.invariance.losses import Batch
    from serflow.studies.invariance.network import SpeakerNetwork
    from serflow.studies.invariance.options import Options
    from serflow.training.fit import Losses

SYSTEM = SystemInfo(title="SER_SR_CGT", group="cgt")


def losses(network: "SpeakerNetwork", batch: "Batch", options: "Options") -> "Losses":
    """Return Eq. 4, see `serflow.studies.invariance.cross_gradient`."""
    from serflow.studies.invariance.cross_gradient import cross_gradient

    return cross_gradient(network, batch, options, lambda gradient, lengths, n_valid: gradient)
