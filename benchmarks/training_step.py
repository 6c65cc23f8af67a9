"""Seconds per training step of Single against the same network in plain torch, one thread each, in one run.

``python benchmarks/training_step.py``: batches of 32 utterances of 300 frames and 40 bands, 128 maps (the paper's),
and of the small network that stand-in corpora get. Both contenders compute the same losses (checked) and take an Adam
step; the peer is built of ``torch.nn.Conv1d``, ``ConvTranspose1d`` and ``torch.optim.Adam``. Unit: milliseconds.
"""

import argparse
import warnings

import serflow  # noqa: F401  # one thread, before NumPy starts

# isort: split
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from _common import best_by_turns, print_comparison
from serflow.studies.dlc.data import Batch
from serflow.studies.dlc.models import Sizes, initialise
from serflow.studies.dlc.options import ModelOptions
from serflow.studies.dlc.single import SingleEncoder
from serflow.training.optimizers import Adam

N_BANDS, N_CLASSES = 40, 4


class Plain(nn.Module):
    """The same network as a textbook would write it, for batches without padding."""

    def __init__(self, ours: SingleEncoder, options: ModelOptions) -> None:
        super().__init__()
        dims = [N_BANDS] + [options.maps] * len(options.dilations)
        self.encoder = nn.ModuleList(
            nn.Conv1d(dims[i], dims[i + 1], options.kernel, padding="same", dilation=dilation)
            for i, dilation in enumerate(options.dilations)
        )
        self.first = nn.ConvTranspose1d(options.maps, options.maps, 3, stride=2)
        self.second = nn.ConvTranspose1d(options.maps, N_BANDS, 3, stride=2)
        self.output = nn.Conv1d(N_BANDS, N_BANDS, 3, padding="same")
        self.classifier = nn.Sequential(
            nn.Linear(options.maps, options.hidden),
            nn.ReLU(),
            nn.Linear(options.hidden, options.hidden),
            nn.ReLU(),
            nn.Linear(options.hidden, N_CLASSES),
        )
        with torch.no_grad():
            for mine, theirs in zip(self.parameters(), ours.parameters(), strict=True):
                mine.copy_(theirs.reshape(mine.shape))

    def loss(self, noisy: Tensor, clean: Tensor, targets: Tensor) -> Tensor:
        """Return cross-entropy plus reconstruction error."""
        code = noisy.transpose(1, 2)
        for convolution in self.encoder:
            code = F.relu(convolution(code))
        code = F.max_pool1d(code, 4)
        length = code.shape[2]
        decoded = F.relu(self.first(code)[..., : 2 * length])
        decoded = F.relu(self.second(decoded)[..., : 4 * length])
        decoded = self.output(decoded).transpose(1, 2)
        return F.cross_entropy(self.classifier(code.amax(2)), targets) + F.mse_loss(decoded, clean)


def compare(name: str, n_frames: int, maps: int, batch_size: int, steps: int) -> None:
    torch.manual_seed(0)
    options = ModelOptions(maps=maps)
    ours = SingleEncoder(Sizes(N_BANDS, N_CLASSES, 3), options)
    initialise(ours)
    peer = Plain(ours, options)
    noisy, clean = torch.randn(2, batch_size, n_frames, N_BANDS)
    targets = torch.eye(N_CLASSES)[torch.arange(batch_size) % N_CLASSES]
    nothing = torch.zeros(batch_size, dtype=torch.int64)
    batch = Batch(noisy, clean, torch.full((batch_size,), n_frames), targets, nothing)
    weights = torch.ones(N_CLASSES)
    our_optimizer = Adam(ours.parameters())
    peer_optimizer = torch.optim.Adam(peer.parameters(), 1e-3, betas=(0.5, 0.999))

    def our_step() -> None:
        for _ in range(steps):
            our_optimizer.zero_grad()
            ours.losses(batch, weights, 1.0).total.backward()  # type: ignore[no-untyped-call]
            our_optimizer.step()

    def peer_step() -> None:
        for _ in range(steps):
            peer_optimizer.zero_grad()
            peer.loss(noisy, clean, targets).backward()  # type: ignore[no-untyped-call]
            peer_optimizer.step()

    torch.testing.assert_close(ours.losses(batch, weights, 1.0).total, peer.loss(noisy, clean, targets))
    our_step()
    peer_step()
    times = best_by_turns({"ours": our_step, "peer": peer_step}, repeats=7)
    print_comparison(name, times["ours"] / steps * 1000, times["peer"] / steps * 1000, "ms/step")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="Using padding='same' with even kernel lengths")
    compare("training_step_paper", n_frames=300, maps=128, batch_size=32, steps=1)
    compare("training_step_stand_in", n_frames=120, maps=32, batch_size=32, steps=5)


if __name__ == "__main__":
    main()
