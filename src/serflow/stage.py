"""What every stage shares: its command line, its log and the way it fails.

A stage is a module with a ``main(arguments)`` that a rule calls as ``python -m serflow.<stage>`` and that a
person can call the same way by hand.
"""

import argparse
import atexit
import contextlib
import gc
import json
import logging
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, get_type_hints

import serflow
from serflow.errors import ConfigError, SerflowError
from serflow.files import NO_SPACE, explain_os_error

log = logging.getLogger("serflow")


def json_option(text: str) -> Any:
    """Parse a JSON command-line value, for ``argparse``'s ``type=``."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"not valid JSON: {error}") from error


def named_value(text: str) -> tuple[str, str]:
    """Parse ``name=value``, for ``argparse``'s ``type=``."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not name=value")
    return name, value


def named_path(text: str) -> tuple[str, Path]:
    """Parse ``name=path``, for ``argparse``'s ``type=``."""
    name, value = named_value(text)
    return name, Path(value)


def files_of(kind: Any, inputs: Sequence[tuple[str, Path]]) -> Any:
    """Return inputs as a NamedTuple of paths names them: one path, or several where it takes a tuple.

    Raises
    ------
    ConfigError
        If one is missing, unknown or given too often.
    """
    found: dict[str, list[Path]] = {}
    for name, path in inputs:
        found.setdefault(name, []).append(path)
    hints = get_type_hints(kind)
    unknown = sorted(found.keys() - hints.keys())
    if unknown:
        raise ConfigError(f"--inputs: no input {unknown[0]!r} of this study; known: {', '.join(hints)}")
    several = [name for name, paths in found.items() if len(paths) > 1 and hints[name] != tuple[Path, ...]]
    if several:
        raise ConfigError(f"--inputs: {several[0]} is given {len(found[several[0]])} times, and the study takes one")
    try:
        return kind(
            **{name: tuple(paths) if hints[name] == tuple[Path, ...] else paths[0] for name, paths in found.items()}
        )
    except TypeError as error:
        raise ConfigError(f"--inputs: {error}") from error


def stage_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options that all stages have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", type=Path, default=None, help="also write the log to this file")
    return parser


def _start_log(path: Path | None) -> None:
    handlers: list[logging.Handler] = []
    if path is None:
        handlers.append(logging.StreamHandler(sys.stderr))
    else:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handlers.append(logging.FileHandler(path, mode="w", encoding="utf-8", errors="backslashreplace"))
        except OSError as error:
            raise explain_os_error(error, path) from error
        console = logging.StreamHandler(sys.stderr)
        console.setLevel(logging.WARNING)
        handlers.append(console)
    # a log that a full disk cuts short is no reason to stop, nor to say more than once
    logging.raiseExceptions = False
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", handlers=handlers, force=True
    )
    logging.captureWarnings(True)


def run_stage(
    parser: argparse.ArgumentParser,
    main: Callable[[argparse.Namespace], None],
    argv: Sequence[str] | None = None,
) -> NoReturn:
    """Parse the command line, run ``main`` and end the process with status 0, or 1 after one clear sentence.

    An expected failure (`SerflowError`) is printed without a traceback; any other keeps it. Both also
    stand in the log file.
    """
    arguments = parser.parse_args(argv)
    # what the imports made stays to the end: no pass of the garbage collector need look at it
    gc.freeze()
    gc.enable()
    _hide_pandas()
    _leave(_attempt(main, arguments))


class _NoPandas:
    """A place where modules are looked for that has no pandas, nor lets it be looked for elsewhere."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name)


def _hide_pandas() -> None:
    """Let pyarrow find no pandas where it asks whether what it is given is one of its arrays, as each `array` does.

    It would import it to ask, a third of a second of processor time. It looks again where a table is to become a
    DataFrame. A stage that has imported pandas by itself keeps it.
    """
    pyarrow = sys.modules.get("pyarrow")
    if pyarrow is not None and "pandas" not in sys.modules:
        sys.meta_path.insert(0, _NoPandas)
        try:
            pyarrow.array([])
        finally:
            sys.meta_path.remove(_NoPandas)


def _attempt(main: Callable[[argparse.Namespace], None], arguments: argparse.Namespace) -> int:
    """Run ``main`` with a log, and return the status to leave with."""
    try:
        _start_log(arguments.log)
        log.info("serflow %s, Python %s: %s", serflow.__version__, platform.python_version(), " ".join(sys.argv))
        log.info("started in %.2f s of processor time", time.process_time())
        start = time.monotonic()
        main(arguments)
        # of this process, and of those that it started and that have ended
        all_s = sum(os.times()[:4])
        log.info("done in %.2f s; %.2f s of processor time in all", time.monotonic() - start, all_s)
    except SerflowError as error:
        log.error("%s", error)
    except OSError as error:
        if error.errno not in NO_SPACE:
            log.exception("an unexpected error: please report it with this log")
        else:
            log.error("%s", explain_os_error(error, Path(error.filename or tempfile.gettempdir())))
    except Exception:
        log.exception("an unexpected error: please report it with this log")
    else:
        return 0
    return 1


def _leave(status: int) -> NoReturn:
    """End this process as Python does, but leave what was imported to the system, which takes it back in one piece.

    Where torch is loaded, to take apart its modules and libraries one by one would be half a second of processor time.
    Threads are not waited for: no stage leaves any behind.
    """
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        # a reader that has gone needs nothing more
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(status)
