"""serflow: emotional-speech corpora, noise and pretrained networks into the tables of five papers.

Importing the package fixes one thread per process, before NumPy or torch can start their own pools:
two multi-threaded jobs on two cores run many times slower than two single-threaded ones, and a fixed
thread count keeps sums, and so the results, the same from run to run. Parallelism is Snakemake's.
"""

import os as _os

for _name in (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
):
    _os.environ[_name] = "1"

__version__ = "0.1.0"
