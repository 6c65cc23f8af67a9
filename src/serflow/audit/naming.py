"""What the publishers' file names tell of an utterance, read by rules of the audit's own.

That a list of folds names speakers is no proof that they are who speaks: lists of IEMOCAP in public take the actor who
wore the markers (``Ses01F_...``) for the speaker, or read the speaker's letter at a fixed place.
"""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import NamedTuple

from serflow.errors import ConfigError


class Naming(NamedTuple):
    """A name's ``pattern``, to be found anywhere in it, and what its groups make of each fact."""

    pattern: re.Pattern[str]
    facts: Mapping[str, str]


NAMINGS = {
    "iemocap": Naming(
        re.compile(r"(?P<dialogue>Ses(?P<session>0[1-5])[FM]_[a-z]+\d\d[ab]?(?:_\d[ab]?)?)_(?P<gender>[FM])[X\d]{2}\d"),
        {"speaker": "Ses{session}{gender}", "session": "{session}", "dialogue": "{dialogue}", "gender": "{gender}"},
    ),
    "msp_improv": Naming(
        re.compile(
            r"(?P<scene>(?P<sentence>S\d\d)[AHNS])-(?P<gender>[FM])0(?P<session>[1-6])-(?P<kind>[PRST])-[FM]{2}\d+"
        ),
        {
            "speaker": "{gender}0{session}",
            "session": "{session}",
            "dialogue": "{session}-{scene}-{kind}",
            "sentence": "{sentence}",
            "gender": "{gender}",
        },
    ),
    "emodb": Naming(
        re.compile(r"(?<![a-z\d])(?P<speaker>03|08|09|1[0-6])(?P<sentence>[ab]\d\d)[WLEAFTN][a-f](?![a-z])"),
        {"speaker": "{speaker}", "sentence": "{sentence}"},
    ),
    "ravdess": Naming(
        re.compile(r"0[123]-0[12]-0[1-8]-0[12]-(?P<sentence>0[12])-0[12]-(?P<speaker>\d\d)"),
        {"speaker": "{speaker}", "sentence": "{sentence}"},
    ),
    "crema_d": Naming(
        re.compile(r"(?P<speaker>1\d{3})_(?P<sentence>[A-Z]{3})_[A-Z]{3}_[A-Z]{2}"),
        {"speaker": "{speaker}", "sentence": "{sentence}"},
    ),
    "nemo": Naming(
        re.compile(r"(?<![A-Z])(?P<speaker>[A-Z]{2}\d)_[a-z]+_(?P<sentence>\d+)"),
        {"speaker": "{speaker}", "sentence": "{sentence}"},
    ),
    "baved": Naming(
        re.compile(r"(?<!\d)(?P<speaker>\d+)-(?P<gender>[mf])-\d+-(?P<word>[0-6])-[0-2]-\d+"),
        {"speaker": "{speaker}", "sentence": "{word}", "gender": "{gender}"},
    ),
}


def naming_of(corpus: str) -> Naming:
    """Return the naming of a corpus.

    Raises
    ------
    ConfigError
        If there is none.
    """
    if corpus not in NAMINGS:
        raise ConfigError(f"--names {corpus}: no such naming; known: {', '.join(NAMINGS)}")
    return NAMINGS[corpus]


def read_name(naming: Naming, utterance: str) -> dict[str, str]:
    """Return the facts that a name or path tells; none of one that does not follow the naming."""
    match = naming.pattern.search(PurePosixPath(utterance.replace("\\", "/")).name)
    if match is None:
        return {}
    return {fact: form.format(**match.groupdict()) for fact, form in naming.facts.items()}
