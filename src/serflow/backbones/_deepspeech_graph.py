"""Writing an acoustic model as a graph that DeepSpeech 0.9's library reads, without TensorFlow.

A ``.pb`` is a ``GraphDef`` in the wire format of Protocol Buffers; a ``.pbmm`` is the same followed by a directory of
what may be mapped into memory. Names of nodes, metadata and topology are those that the library looks for
(``native_client/tfmodelstate.cc`` of DeepSpeech 0.9.3, MPL-2.0); field numbers are those of TensorFlow's ``.proto``
files.
"""

import struct
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from serflow.backbones._deepspeech_frontend import (
    CONTEXT,
    HOP_MS,
    LOW_HZ,
    N_BANDS,
    N_CEPSTRA,
    N_INPUTS,
    SAMPLE_RATE,
    WINDOW_MS,
)

FloatArray = npt.NDArray[np.float32]

ALPHABET = (" ", *"abcdefghijklmnopqrstuvwxyz", "'")
"""Symbols in the order of the output's columns; the blank of CTC comes after them."""
BLANK = len(ALPHABET)
RELU_CLIP = 20.0

_GRAPH_VERSION = 6
_TF_GRAPH_VERSION = 440
_N_STEPS = 16

# of enum DataType in types.proto
_FLOAT, _INT32, _STRING, _INT64 = 1, 3, 7, 9
_TYPES = {"float32": _FLOAT, "int32": _INT32}


class Affine(NamedTuple):
    """A layer: ``weights`` is ``(n_in, n_out)``, ``bias`` is ``(n_out,)``."""

    weights: FloatArray
    bias: FloatArray


class AcousticModel(NamedTuple):
    """DeepSpeech's topology: three dense layers, an LSTM, a dense layer, the output.

    Dense layers end in a ReLU clipped at 20. The LSTM's weights are ``(n_in + n_hidden, 4 * n_hidden)``, its gates in
    the order input, cell, forget, output. The first layer takes the 494 values of `in_context`, the output has a column
    per symbol of ``ALPHABET`` and one for the blank.
    """

    dense1: Affine
    dense2: Affine
    dense3: Affine
    lstm: Affine
    dense5: Affine
    output: Affine


def _varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _integer(field: int, number: int) -> bytes:
    return _varint(field << 3) + _varint(number)


def _message(field: int, content: bytes | str) -> bytes:
    content = content.encode() if isinstance(content, str) else content
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _shape(dims: Sequence[int]) -> bytes:
    return b"".join(_message(2, _integer(1, dim)) for dim in dims)


# AttrValue: each is one of its fields
def _type(kind: int) -> bytes:
    return _integer(6, kind)


def _int(number: int) -> bytes:
    return _integer(3, number)


def _real(number: float) -> bytes:
    return _varint(4 << 3 | 5) + struct.pack("<f", number)


def _flag(value: bool) -> bytes:
    return _integer(5, int(value))


class _Graph:
    """Nodes in the order in which they were added."""

    def __init__(self) -> None:
        self._nodes: list[bytes] = []

    def node(self, name: str, op: str, inputs: Sequence[str] = (), **attributes: bytes) -> str:
        """Add a node and return its name."""
        parts = [_message(1, name), _message(2, op), *(_message(3, each) for each in inputs)]
        for key, value in sorted(attributes.items()):
            parts.append(_message(5, _message(1, key) + _message(2, value)))
        self._nodes.append(_message(1, b"".join(parts)))
        return name

    def constant(self, name: str, value: npt.NDArray[np.generic] | bytes) -> str:
        """Add a tensor, or a vector of one string."""
        if isinstance(value, bytes):
            kind = _STRING
            tensor = _integer(1, kind) + _message(2, _shape([1])) + _message(8, value)
        else:
            kind = _TYPES[value.dtype.name]
            content = value.astype(value.dtype.newbyteorder("<")).tobytes()
            tensor = _integer(1, kind) + _message(2, _shape(value.shape)) + _message(4, content)
        return self.node(name, "Const", dtype=_type(kind), value=_message(8, tensor))

    def integers(self, name: str, *values: int) -> str:
        """Add a vector of 32-bit integers."""
        return self.constant(name, np.array(values, np.int32))

    def integer(self, name: str, value: int) -> str:
        """Add a scalar, which is another shape than a vector of one."""
        return self.constant(name, np.array(value, np.int32))

    def placeholder(self, name: str, kind: int, *dims: int) -> str:
        """Add a tensor that the library fills in."""
        return self.node(name, "Placeholder", dtype=_type(kind), shape=_message(7, _shape(dims)))

    def reshape(self, name: str, tensor: str, *dims: int) -> str:
        """Add a change of shape."""
        wanted = self.integers(f"{name}/shape", *dims)
        return self.node(name, "Reshape", [tensor, wanted], T=_type(_FLOAT), Tshape=_type(_INT32))

    def expand(self, name: str, tensor: str, axis: int) -> str:
        """Add a new axis of length 1."""
        where = self.integer(f"{name}/axis", axis)
        return self.node(name, "ExpandDims", [tensor, where], T=_type(_FLOAT), Tdim=_type(_INT32))

    def dense(self, name: str, tensor: str, layer: Affine) -> str:
        """Add a layer without its non-linearity."""
        weights = self.constant(f"{name}/weights", layer.weights)
        bias = self.constant(f"{name}/bias", layer.bias)
        factors = {"transpose_a": _flag(False), "transpose_b": _flag(False)}
        product = self.node(f"{name}/MatMul", "MatMul", [tensor, weights], T=_type(_FLOAT), **factors)
        return self.node(f"{name}/BiasAdd", "BiasAdd", [product, bias], T=_type(_FLOAT))

    def clipped(self, tensor: str) -> str:
        """Add a ReLU with an upper limit; its constant is ``clip``."""
        positive = self.node(f"{tensor}/Relu", "Relu", [tensor], T=_type(_FLOAT))
        return self.node(f"{tensor}/Minimum", "Minimum", [positive, "clip"], T=_type(_FLOAT))

    def serialise(self) -> bytes:
        """Return the ``GraphDef``."""
        return b"".join(self._nodes) + _message(4, _integer(1, _TF_GRAPH_VERSION))


def _alphabet() -> bytes:
    """Return the alphabet as the library stores it: a count, then number, length and UTF-8 of each symbol."""
    encoded = struct.pack("<H", len(ALPHABET))
    for number, symbol in enumerate(ALPHABET):
        text = symbol.encode()
        encoded += struct.pack("<HH", number, len(text)) + text
    return encoded


def _add_front_end(graph: _Graph) -> None:
    """From ``input_samples``, a window, to ``mfccs``."""
    length, hop = SAMPLE_RATE * WINDOW_MS // 1000, SAMPLE_RATE * HOP_MS // 1000
    graph.placeholder("input_samples", _FLOAT, length)
    column = graph.expand("samples", "input_samples", -1)
    options = {"window_size": _int(length), "stride": _int(hop), "magnitude_squared": _flag(True)}
    spectrum = graph.node("spectrogram", "AudioSpectrogram", [column], **options)
    graph.integer("sample_rate", SAMPLE_RATE)
    cepstra = graph.node(
        "mfcc",
        "Mfcc",
        [spectrum, "sample_rate"],
        upper_frequency_limit=_real(SAMPLE_RATE / 2),
        lower_frequency_limit=_real(LOW_HZ),
        filterbank_channel_count=_int(N_BANDS),
        dct_coefficient_count=_int(N_CEPSTRA),
    )
    graph.node("mfccs", "Identity", [graph.reshape("frames", cepstra, -1, N_CEPSTRA)], T=_type(_FLOAT))


def _add_network(graph: _Graph, model: AcousticModel) -> None:
    """From ``input_node``, 16 frames in context, and the LSTM's state to ``logits`` and the state after them."""
    n_hidden = model.lstm.weights.shape[1] // 4
    graph.placeholder("input_node", _FLOAT, 1, _N_STEPS, 2 * CONTEXT + 1, N_CEPSTRA)
    graph.placeholder("input_lengths", _INT32, 1)
    for state in ("c", "h"):
        graph.placeholder(f"previous_state_{state}", _FLOAT, 1, n_hidden)
    graph.constant("clip", np.array(RELU_CLIP, np.float32))
    order = graph.integers("time_first/order", 1, 0, 2, 3)
    tensor = graph.node("time_first", "Transpose", ["input_node", order], T=_type(_FLOAT), Tperm=_type(_INT32))
    tensor = graph.reshape("inputs", tensor, -1, N_INPUTS)
    for name, layer in (("dense1", model.dense1), ("dense2", model.dense2), ("dense3", model.dense3)):
        tensor = graph.clipped(graph.dense(name, tensor, layer))
    tensor = graph.reshape("steps", tensor, -1, 1, model.dense3.bias.shape[0])
    first = graph.integers("length/axis", 0)
    length = graph.node(
        "length", "Max", ["input_lengths", first], T=_type(_INT32), Tidx=_type(_INT32), keep_dims=_flag(False)
    )
    length = graph.node("length64", "Cast", [length], SrcT=_type(_INT32), DstT=_type(_INT64))
    kernel, bias = graph.constant("lstm/weights", model.lstm.weights), graph.constant("lstm/bias", model.lstm.bias)
    peephole = graph.constant("lstm/no_peephole", np.zeros(n_hidden, np.float32))
    graph.node(
        "lstm",
        "BlockLSTM",
        [length, tensor, "previous_state_c", "previous_state_h", kernel, peephole, peephole, peephole, bias],
        T=_type(_FLOAT),
        forget_bias=_real(0.0),
        cell_clip=_real(-1.0),
        use_peephole=_flag(False),
    )
    _add_states(graph)
    tensor = graph.reshape("states", "lstm:6", -1, n_hidden)
    tensor = graph.clipped(graph.dense("dense5", tensor, model.dense5))
    tensor = graph.reshape("raw_logits", graph.dense("output", tensor, model.output), -1, 1, BLANK + 1)
    graph.node("logits", "Softmax", [tensor], T=_type(_FLOAT))


def _add_states(graph: _Graph) -> None:
    """Add the state after the last of ``input_lengths`` steps; it is the one before them where that is 0."""
    batch = graph.integers("last/batch", 0)
    last = graph.node("last", "Pack", ["input_lengths", batch], N=_int(2), T=_type(_INT32), axis=_int(1))
    axis = graph.integer("history/axis", 0)
    for state, output in (("c", "lstm:1"), ("h", "lstm:6")):
        before = graph.expand(f"before_{state}", f"previous_state_{state}", 0)
        history = graph.node(
            f"history_{state}", "ConcatV2", [before, output, axis], N=_int(2), T=_type(_FLOAT), Tidx=_type(_INT32)
        )
        after = graph.node(f"after_{state}", "GatherNd", [history, last], Tparams=_type(_FLOAT), Tindices=_type(_INT32))
        graph.node(f"new_state_{state}", "Identity", [after], T=_type(_FLOAT))


def write_pb(model: AcousticModel, beam_width: int) -> bytes:
    """Return an acoustic model as a ``.pb``.

    Parameters
    ----------
    model
        Its layers.
    beam_width
        Prefixes that the decoder keeps unless told otherwise.
    """
    graph = _Graph()
    _add_front_end(graph)
    _add_network(graph, model)
    metadata = {
        "version": _GRAPH_VERSION,
        "sample_rate": SAMPLE_RATE,
        "feature_win_len": WINDOW_MS,
        "feature_win_step": HOP_MS,
        "beam_width": beam_width,
    }
    for key, value in metadata.items():
        graph.integers(f"metadata_{key}", value)
    graph.constant("metadata_alphabet", _alphabet())
    graph.constant("metadata_language", b"en-US")
    return graph.serialise()


def map_pb(pb: bytes) -> bytes:
    """Return a ``.pb`` as a ``.pbmm``: followed by a directory that names it, and that directory's place."""
    element = _integer(1, 0) + _message(2, "memmapped_package://.") + _integer(3, len(pb))
    return pb + _message(1, element) + struct.pack("<Q", len(pb))
