"""Names of noise conditions: a profile, or a profile whose clips follow a split.

``h1`` has the clips that the configuration gives it; ``h1@partners-0`` is the same profile, each utterance in the same
kind of noise at the same level, with other clips in training, validation and test of the split ``partners-0``. No
profile of ``config.yaml`` can be named so, and conditions of two splits are two.
"""

_BY = "@"


def of_split(profile: str, split: str) -> str:
    """Return the condition of a profile whose clips follow a split: ``h1@partners-0``."""
    return f"{profile}{_BY}{split}"


def profile_of(condition: str) -> str:
    """Return the profile of a condition, whichever split its clips follow."""
    return condition.partition(_BY)[0]


def split_of(condition: str) -> str | None:
    """Return the split that the clips of a condition follow; None where its name has none."""
    return condition.partition(_BY)[2] or None
