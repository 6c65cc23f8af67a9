"""Damaged audio and label files: is each read or refused in a sentence.

``python benchmarks/fuzz.py [--audio 2000] [--labels 500] [--seed 0]`` prints a table, a row for audio of all containers
and one for each parser of label files (so many trials each). The modules `_fuzz_audio` and `_fuzz_labels` say what the
outcomes are, and repeat a single trial. It ends with status 1 if there was a fault.
"""

import argparse
import sys
from collections import Counter

import _fuzz_audio
import _fuzz_labels


def _row(name: str, found: Counter[str], faults: tuple[str, ...], note: str = "") -> bool:
    """Print a row and return whether it has a fault."""
    told = ", ".join(f"{outcome} {found[outcome]}" for outcome in (*sorted(found.keys() - set(faults)), *faults))
    print(f"{name:16s} {found.total():6d} trials: {told}{note}", flush=True)
    return any(found[outcome] for outcome in faults)


def main(audio: int, labels: int, seed: int) -> int:
    """Run the trials; return the exit status."""
    faulty = False
    if audio:
        found, peak = _fuzz_audio.fuzz_audio(audio, seed)
        faulty |= _row("audio", found, _fuzz_audio.FAULTS, f"; at most {peak} MB")
    for parser in _fuzz_labels.PARSERS if labels else ():
        faulty |= _row(parser, _fuzz_labels.fuzz_labels(parser, labels, seed), _fuzz_labels.FAULTS)
    return int(faulty)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", type=int, default=2000, help="damaged audio files")
    parser.add_argument("--labels", type=int, default=500, help="damaged label files a parser")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    sys.exit(main(given.audio, given.labels, given.seed))
