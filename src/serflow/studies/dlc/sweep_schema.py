"""How what trained networks say in noise is kept."""

import pyarrow as pa

SWEEP_KIND = "noise_sweep"
SWEEP_SCHEMA = pa.schema(
    [
        ("run", pa.int32()),
        ("fold", pa.string()),
        ("utterance", pa.string()),
        ("condition", pa.string()),
        ("snr_db", pa.float64()),
        ("achieved_snr_db", pa.float64()),
        ("clip", pa.string()),
        ("target", pa.list_(pa.float64())),
        ("label", pa.string()),
        ("prediction", pa.string()),
        ("probabilities", pa.list_(pa.float64())),
        ("gate", pa.string()),
        ("oracle_prediction", pa.string()),
    ]
)
"""``condition`` is the kind of noise; ``snr_db`` is what was asked for, null where the clean audio was heard."""
