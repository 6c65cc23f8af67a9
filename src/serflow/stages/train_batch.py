"""Stage: train and test several cells of a study, one after the other. ``python -m serflow.stages.train_batch --help``.

Each is trained as `serflow.stages.train` trains it alone. A process takes longer to import torch than to train a small
cell: cells of a stand-in share one.
"""

import argparse
from collections.abc import Iterator

from serflow.errors import ConfigError
from serflow.stage import json_option, named_path, named_value, run_stage, stage_parser
from serflow.stages import train


def jobs(arguments: argparse.Namespace) -> Iterator[argparse.Namespace]:
    """Yield what `serflow.stages.train` takes for each cell.

    Raises
    ------
    ConfigError
        If cells, their inputs and the paths of some output are not equally many.
    """
    given = {name: getattr(arguments, name) for name in train.OUTPUTS if getattr(arguments, name) is not None}
    for name, found in {"inputs": arguments.inputs, **given}.items():
        if len(found) != len(arguments.cells):
            raise ConfigError(f"--{name}: {len(found)} for {len(arguments.cells)} cells; give one for each of --cells")
    for place, (cell, inputs) in enumerate(zip(arguments.cells, arguments.inputs, strict=True)):
        outputs = {name: paths[place] for name, paths in given.items()}
        yield argparse.Namespace(
            **{
                **vars(arguments),
                **outputs,
                "cell": [named_value(part) for part in cell],
                "inputs": [named_path(part) for part in inputs],
            }
        )


def main(arguments: argparse.Namespace) -> None:
    """Train each of ``--cells``, and write of each what `serflow.stages.train` writes."""
    for job in jobs(arguments):
        train.main(job)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = stage_parser(__doc__)
    parser.add_argument("--study", required=True, help="package of serflow.studies")
    parser.add_argument("--cells", type=json_option, required=True, help="JSON: of each cell, name=value of its fields")
    parser.add_argument("--inputs", type=json_option, required=True, help="JSON: of each cell, name=path of its inputs")
    train.add_what_they_share(parser)
    train.add_outputs(parser, nargs="+")
    return parser


if __name__ == "__main__":
    run_stage(make_parser(), main)
