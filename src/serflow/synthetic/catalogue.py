"""Which stand-in corpora there are: their names, and the layout that each is written in.

The stand-in ``name`` is written by ``serflow.synthetic.name``. This module imports nothing: the configuration asks it.
"""

LAYOUTS = {
    "iemocap": "iemocap",
    "msp_improv": "msp_improv",
    "mosei": "mosei",
    "emodb": "emodb",
    "cafe": "cafe",
    "ravdess": "ravdess",
    "crema_d": "crema_d",
    "mandarin": "table",
}
