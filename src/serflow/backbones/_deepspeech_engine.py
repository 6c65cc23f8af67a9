"""Mozilla's library for DeepSpeech 0.9 through its C interface (``deepspeech.h``); no package of Python is needed.

Three habits of the library are dealt with here. It reports some failures on standard error alone and then gives empty
text: standard error is kept while it works, and searched. It hangs in a process that was forked from one that used it:
such a process is refused. It starts a thread for every processor that it may use: it is shown only one.
"""

import ctypes
import functools
import logging
import os
import tempfile
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from serflow.errors import ConfigError, SerflowError, WeightsError

log = logging.getLogger(__name__)
VERSION = "0.9.3"
WEIGHTS_KEY = "backbones.deepspeech.weights"

_FAILURE = "error"
_stderr_lock = threading.Lock()
_used_by: int | None = None


class _Token(ctypes.Structure):
    _fields_ = (("text", ctypes.c_char_p), ("timestep", ctypes.c_uint), ("start_time", ctypes.c_float))


class _Candidate(ctypes.Structure):
    _fields_ = (("tokens", ctypes.POINTER(_Token)), ("num_tokens", ctypes.c_uint), ("confidence", ctypes.c_double))


class _Metadata(ctypes.Structure):
    _fields_ = (("transcripts", ctypes.POINTER(_Candidate)), ("num_transcripts", ctypes.c_uint))


_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "DS_Version": (ctypes.c_void_p, ()),
    "DS_ErrorCodeToErrorMessage": (ctypes.c_void_p, (ctypes.c_int,)),
    "DS_FreeString": (None, (ctypes.c_void_p,)),
    "DS_CreateModel": (ctypes.c_int, (ctypes.c_char_p, ctypes.POINTER(ctypes.c_void_p))),
    "DS_FreeModel": (None, (ctypes.c_void_p,)),
    "DS_GetModelSampleRate": (ctypes.c_int, (ctypes.c_void_p,)),
    "DS_GetModelBeamWidth": (ctypes.c_uint, (ctypes.c_void_p,)),
    "DS_SetModelBeamWidth": (ctypes.c_int, (ctypes.c_void_p, ctypes.c_uint)),
    "DS_EnableExternalScorer": (ctypes.c_int, (ctypes.c_void_p, ctypes.c_char_p)),
    "DS_SetScorerAlphaBeta": (ctypes.c_int, (ctypes.c_void_p, ctypes.c_float, ctypes.c_float)),
    "DS_SpeechToTextWithMetadata": (
        ctypes.POINTER(_Metadata),
        (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint),
    ),
    "DS_FreeMetadata": (None, (ctypes.POINTER(_Metadata),)),
}


class Decoded(NamedTuple):
    """What the library makes of an utterance: its text as it gives it, and its confidence (`Model.decode`)."""

    text: str
    confidence: float


@functools.cache
def open_engine(path: Path) -> ctypes.CDLL:
    """Load the library.

    Raises
    ------
    WeightsError
        If it is not there, cannot be loaded on this machine, or is of another version.
    """
    elsewhere = "or set dlc.asr to wav2vec2 or reference, which need no library"
    if not path.is_file():
        raise WeightsError(
            f"{path}: DeepSpeech's library is not there; `snakemake --cores 1 resources/deepspeech/libdeepspeech.so` "
            f"fetches it (Linux x86_64 only), {elsewhere}"
        )
    try:
        # a bare file name would be searched in the system's folders
        library = ctypes.CDLL(str(path.absolute()))
        for name, (result, parameters) in _FUNCTIONS.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, parameters
        version = _take_string(library, library.DS_Version())
    except (OSError, AttributeError) as error:
        raise WeightsError(
            f"{path}: not DeepSpeech's library for this machine ({error}); delete it and run "
            f"`snakemake --cores 1 resources/deepspeech/libdeepspeech.so` on Linux x86_64, {elsewhere}"
        ) from error
    if version != VERSION:
        raise WeightsError(
            f"{path}: DeepSpeech {version}, where {VERSION} is needed; delete it and run "
            "`snakemake --cores 1 resources/deepspeech/libdeepspeech.so`"
        )
    return library


class Model:
    """A graph that the library has loaded, with a language model if there is one.

    Parameters
    ----------
    engine
        The library, ``libdeepspeech.so``.
    graph
        File of the acoustic model: ``.pbmm`` or ``.pb``.
    scorer
        File of the language model.
    alpha, beta
        Weight of the language model and of the number of words; both None leaves them as the scorer's file says.
    beam_width
        Prefixes that the decoder keeps; None leaves it as the graph says.

    Attributes
    ----------
    sample_rate
        Of the samples that it takes (Hz); the library never resamples.
    beam_width
        Prefixes that the decoder keeps.

    Raises
    ------
    WeightsError
        If the library or a file cannot be used.
    ConfigError
        If the language model is to be weighted and there is none, only one of ``alpha`` and ``beta`` is given, or the
        beam has no width.
    SerflowError
        If a process that forked this one has used the library.
    """

    def __init__(
        self,
        engine: Path,
        graph: Path,
        scorer: Path | None = None,
        *,
        alpha: float | None = None,
        beta: float | None = None,
        beam_width: int | None = None,
    ) -> None:
        _check_settings(graph, scorer, alpha, beta, beam_width)
        self.graph = graph
        self._library = open_engine(engine)
        _claim_library()
        handle = ctypes.c_void_p()
        with _standard_error() as said, _one_processor():
            code = self._library.DS_CreateModel(os.fsencode(graph), ctypes.byref(handle))
        self._raise_for(code, graph, said)
        self._handle: ctypes.c_void_p | None = handle
        self._finalizer = weakref.finalize(self, _free_model, self._library, handle, os.getpid())
        if scorer is not None:
            with _standard_error() as said:
                code = self._library.DS_EnableExternalScorer(handle, os.fsencode(scorer))
            self._raise_for(code, scorer, said)
            if alpha is not None and beta is not None:
                self._raise_for(self._library.DS_SetScorerAlphaBeta(handle, alpha, beta), scorer, [])
        if beam_width is not None:
            self._raise_for(self._library.DS_SetModelBeamWidth(handle, beam_width), graph, [])
        self.sample_rate = int(self._library.DS_GetModelSampleRate(handle))
        self.beam_width = int(self._library.DS_GetModelBeamWidth(handle))

    def decode(self, pcm16: npt.NDArray[np.int16]) -> Decoded:
        """Recognise an utterance.

        Parameters
        ----------
        pcm16
            Samples ``(n_samples,)`` at ``sample_rate``.

        Returns
        -------
        The best text. Its confidence is the natural logarithm of its probability, summed over the alignments that the
        beam kept, and with a language model that model's weighted score as well.

        Raises
        ------
        WeightsError
            If the graph fails; the library itself then gives empty text.
        SerflowError
            If a process that forked this one has used the library, or the model is closed.
        """
        if self._handle is None:
            raise SerflowError(f"{self.graph}: this model is closed; load it anew")
        _claim_library()
        samples = np.ascontiguousarray(pcm16, np.int16)
        with _standard_error() as said:
            result = self._library.DS_SpeechToTextWithMetadata(self._handle, samples.ctypes.data, len(samples), 1)
        try:
            failures = [line for line in said if _FAILURE in line.lower()]
            if failures or not result or not result.contents.num_transcripts:
                fault = failures[0] if failures else "no result"
                raise WeightsError(
                    f"{self.graph}: the library cannot run this graph ({fault}); give {WEIGHTS_KEY} the complete .pbmm "
                    "files of DeepSpeech 0.9, or set it to stand-in"
                )
            best = result.contents.transcripts[0]
            text = b"".join(best.tokens[position].text for position in range(best.num_tokens))
            return Decoded(text.decode(), float(best.confidence))
        finally:
            if result:
                self._library.DS_FreeMetadata(result)

    def close(self) -> None:
        """Free the model's memory; a second time does nothing."""
        self._handle = None
        self._finalizer()

    def __enter__(self) -> "Model":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _raise_for(self, code: int, path: Path, said: list[str]) -> None:
        """Turn an error code of the library into an error that names the file."""
        if code == 0:
            return
        meaning = _take_string(self._library, self._library.DS_ErrorCodeToErrorMessage(code))
        details = "; ".join([meaning, *(line for line in said if _FAILURE in line.lower())])
        raise WeightsError(
            f"{path}: refused by DeepSpeech {VERSION} (code 0x{code:04x}: {details}); give {WEIGHTS_KEY} complete "
            "files of DeepSpeech 0.9, or set it to stand-in"
        )


def _check_settings(
    graph: Path, scorer: Path | None, alpha: float | None, beta: float | None, beam_width: int | None
) -> None:
    for path in (graph, scorer):
        if path is not None and not path.is_file():
            raise WeightsError(f"{path}: no file there; give {WEIGHTS_KEY} a .pbmm, or a folder with one")
    if (alpha is None) != (beta is None):
        raise ConfigError("backbones.deepspeech: give lm_alpha and lm_beta both, or set both to null")
    if alpha is not None and scorer is None:
        raise ConfigError(
            f"backbones.deepspeech.lm_alpha: there is no .scorer beside {graph} to be weighted; put one there, or set "
            "lm_alpha and lm_beta to null"
        )
    if beam_width is not None and beam_width < 1:
        raise ConfigError(f"backbones.deepspeech.beam_width: {beam_width} is not at least 1")


def _take_string(library: ctypes.CDLL, address: int | None) -> str:
    """Copy a string of the library's, and free its own."""
    if not address:
        return ""
    text = ctypes.string_at(address).decode("utf-8", "replace")
    library.DS_FreeString(address)
    return text


def _claim_library() -> None:
    """Refuse to go on where a parent process has used the library before it forked."""
    global _used_by
    if _used_by is None:
        _used_by = os.getpid()
    if _used_by != os.getpid():
        raise SerflowError(
            "DeepSpeech was used before this process was forked, and would hang in it; start processes with "
            "multiprocessing's method spawn, or load the model in the forked ones only"
        )


def _free_model(library: ctypes.CDLL, handle: ctypes.c_void_p, owner: int) -> None:
    if os.getpid() == owner:
        library.DS_FreeModel(handle)


@contextmanager
def _standard_error() -> Iterator[list[str]]:
    """Keep what the library writes on standard error; the list has its lines once the block is left."""
    said: list[str] = []
    with _stderr_lock, tempfile.TemporaryFile() as kept:
        original = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield said
        finally:
            os.dup2(original, 2)
            os.close(original)
            kept.seek(0)
            said.extend(line.strip() for line in kept.read().decode("utf-8", "replace").splitlines() if line.strip())
    for line in said:
        log.debug("libdeepspeech: %s", line)


@contextmanager
def _one_processor() -> Iterator[None]:
    """Let the library start its threads for one processor; afterwards these may run on any of this process's."""
    allowed, before = os.sched_getaffinity(0), _threads()
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        for thread in {0, *(_threads() - before)}:
            try:
                os.sched_setaffinity(thread, allowed)
            except ProcessLookupError:
                log.debug("thread %d of the library has ended", thread)


def _threads() -> set[int]:
    return {int(entry.name) for entry in Path("/proc/self/task").iterdir()}
