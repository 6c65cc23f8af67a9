"""How many operations a training step of every network starts: what bounds its speed on a GPU (and that of small ones).

``python benchmarks/kernels.py [--study NAME ...]``: a line a network of each study, of the paper's sizes, forwards,
backwards and with the optimiser. Views and allocations do not count; what is compiled for a CPU (HFFN's recurrences)
counts as one operation a pass, where a GPU starts some thirty for each of 50 steps. ``reads`` are values that the host
asks for in a step. Fixed by the code: no time is measured.
"""

import argparse
import json
from collections.abc import Callable, Iterator

import serflow  # noqa: F401  # one thread, before NumPy starts

# isort: split
import torch
from transformers import Wav2Vec2Config

import invariance_step
import multigating_step
import speakernorm_step
import temporal_step
import training_step
from _kernels import Kernels
from serflow.studies.dlc.catalog import method_info, method_names
from serflow.studies.speakernorm.options import Options as SpeakernormOptions
from serflow.studies.temporal.catalog import ENGINEERED
from serflow.training.optimizers import Adam

CPU = torch.device("cpu")
Step = Callable[[], object]


def dlc() -> Iterator[tuple[str, Step]]:
    batch, weights = training_step.make_batch(300, 32), torch.ones(training_step.N_CLASSES)
    for method in (name for name in method_names() if method_info(name).network):
        network = training_step.build(method, 128).train()
        optimizer = Adam(network.parameters_of("all"))

        def step(network=network, optimizer=optimizer) -> None:  # type: ignore[no-untyped-def]
            optimizer.zero_grad()
            network.losses(batch, weights).total.backward()
            optimizer.step()

        yield method, step


def invariance() -> Iterator[tuple[str, Step]]:
    for system in invariance_step.systems():
        yield system, invariance_step.Training(system, invariance_step.build(system)).step


def temporal() -> Iterator[tuple[str, Step]]:
    for row in ENGINEERED:
        yield row, temporal_step.engineered_step(row, 2, CPU)
    for fine_tune in temporal_step.FINE_TUNED:
        yield f"wav2vec_{fine_tune}", temporal_step.wav2vec_steps(fine_tune, 1, CPU)[0]


def multigating() -> Iterator[tuple[str, Step]]:
    batch = multigating_step.make_batch(8, CPU)
    for system in multigating_step.NETWORKS:
        yield system, multigating_step.training_step(*multigating_step.build(system, CPU), batch, CPU)


def speakernorm() -> Iterator[tuple[str, Step]]:
    update = speakernorm_step.our_update(SpeakernormOptions(), Wav2Vec2Config(layerdrop=0.0, final_dropout=0.0), CPU)
    yield "base", lambda: update([[16_000, 20_000]])


STUDIES = {
    "dlc": dlc, "invariance": invariance, "temporal": temporal, "multigating": multigating, "speakernorm": speakernorm,
}  # fmt: skip


def count(step: Step) -> Kernels:
    """Return what the second step starts: the first makes what optimisers keep."""
    step()
    found = Kernels()
    with found:
        step()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", nargs="+", choices=list(STUDIES), default=list(STUDIES), help="of which studies")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for study in arguments.study:
        for name, step in STUDIES[study]():
            found = count(step)
            line = {"name": f"kernels_{study}_{name}", "ours": found.n, "reads": found.reads, "unit": "operations/step"}
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
