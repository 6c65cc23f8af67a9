"""Fold lists that were published with faults, and corpora that have recordings twice, made again from facts alone.

The counts are those that others and we took from the public files; names of utterances are made up where the count is
all that matters, in the form of the corpus. No audio, no text.
"""

from collections.abc import Iterator

Row = dict[str, str]

PREFIXES = {
    "Ses01F": 507, "Ses01M": 578, "Ses02F": 505, "Ses02M": 518, "Ses03F": 536,
    "Ses03M": 615, "Ses04F": 553, "Ses04M": 478, "Ses05F": 644, "Ses05M": 597,
}  # fmt: skip
"""Test utterances of the ten folds of TideDancer/interspeech21_emotion, by the prefix that they are named by."""
SPEAKERS = {
    "Ses01F": 528, "Ses01M": 557, "Ses02F": 481, "Ses02M": 542, "Ses03F": 522,
    "Ses03M": 629, "Ses04F": 528, "Ses04M": 503, "Ses05F": 590, "Ses05M": 651,
}  # fmt: skip
"""Utterances of IEMOCAP's four classes by who speaks them (Xia et al., 2021, section 3.3; the same files)."""
OF_01F_BY_01F = 237
"""Of the 507 of Ses01F those that 01F speaks; of other sessions half is taken, give or take."""
MIS_SEXED = {"3": 56, "5": 9}
"""Women's utterances of dialogues with a letter (``impro05b``) that speechbrain/speechbrain takes for men's."""
MSP_TRAINING, MSP_SESSION_6 = 5311, 1622
"""Utterances in the lists of felixbur/nkululeko (its log: train 1622, test 5311)."""
EMODB_FOLDS, EMODB_TESTED = 5, 107
"""Folds of emo-box/EmoBox, and how many of the 535 utterances each tests: those of all ten speakers."""
EMODB = {
    "03": 49, "08": 58, "09": 43, "10": 38, "11": 55, "12": 35, "13": 61, "14": 69, "15": 56, "16": 71,
}  # fmt: skip


def iemocap() -> Iterator[str]:
    """Yield 5,531 names: of each prefix and speaker as many as there are."""
    for session in "12345":
        woman, man = f"Ses0{session}F", f"Ses0{session}M"
        own = OF_01F_BY_01F if session == "1" else PREFIXES[woman] // 2
        counts = {
            (woman, "F"): own,
            (woman, "M"): PREFIXES[woman] - own,
            (man, "F"): SPEAKERS[woman] - own,
            (man, "M"): PREFIXES[man] - SPEAKERS[woman] + own,
        }
        lettered = MIS_SEXED.get(session, 0)
        for (prefix, speaker), count in counts.items():
            for place in range(count):
                scene = (
                    "impro05b" if (prefix, speaker) == (man, "F") and place < lettered else f"impro0{place // 900 + 1}"
                )
                yield f"{prefix}_{scene}_{speaker}{place % 900:03d}"


def prefix_folds() -> Iterator[Row]:
    """Yield the list whose folds test what is named by a prefix, which it takes for the speaker."""
    names = list(iemocap())
    for tested in PREFIXES:
        for name in names:
            yield {"utterance": name, "fold": tested, "role": "test" if name.startswith(tested) else "train",
                   "speaker": name[:6]}  # fmt: skip


def mis_sexed() -> Iterator[Row]:
    """Yield the list whose speakers are read at a fixed place: whoever has a letter before it is a man."""
    for name in iemocap():
        letter = name[15]
        speaker = f"Ses0{name[4]}{'F' if letter == 'F' else 'M'}"
        role = {"Ses05F": "valid", "Ses05M": "test"}.get(speaker, "train")
        yield {"utterance": f"/data/{name}.wav", "role": role, "speaker": speaker, "gender": speaker[-1]}


def emodb_folds() -> Iterator[Row]:
    """Yield the list whose folds test some utterances of every speaker."""
    names = [f"{speaker}{'ab'[place % 2]}0{place % 7 + 1}{'WLEAFTN'[place // 14]}{'abcdef'[place // 2 % 6]}"
             for speaker, count in EMODB.items() for place in range(count)]  # fmt: skip
    for fold in range(EMODB_FOLDS):
        for place, name in enumerate(names):
            yield {"utterance": f"emodb-{name}", "fold": f"fold_{fold + 1}",
                   "role": "test" if place % EMODB_FOLDS == fold else "train"}  # fmt: skip


def swapped_msp_improv() -> Iterator[Row]:
    """Yield the lists of which that of the five sessions is called the test."""
    for place in range(MSP_TRAINING + MSP_SESSION_6):
        session = 6 if place >= MSP_TRAINING else place % 5 + 1
        yield {"utterance": f"MSP-IMPROV-S{place % 20 + 1:02d}A-{'FM'[place % 2]}0{session}-S-FM{place:05d}",
               "role": "train" if session == 6 else "test"}  # fmt: skip


def ravdess() -> Iterator[Row]:
    """Yield RAVDESS, of which Actor_07 has a recording under two names, as published.

    First repetitions train and second ones are tested, as a split of utterances may have it.
    """
    for actor in range(1, 25):
        for emotion in range(1, 9):
            for sentence in (1, 2):
                for again in (1, 2):
                    name = f"03-01-{emotion:02d}-01-{sentence:02d}-{again:02d}-{actor:02d}"
                    role = "test" if again == 2 else "train"
                    copy = name == "03-01-03-01-02-02-07"
                    yield {"utterance": name, "role": role, "duplicate_of": "03-01-03-01-02-01-07" if copy else ""}


def baved() -> Iterator[Row]:
    """Yield two speakers of BAVED, 46 and 53, who are one: 21 pairs of files are the same audio.

    Counts from 40uf411/Basic-Arabic-Vocal-Emotions-Dataset, commit 6e3d51261a15. By the numbers of its speakers the
    list is speaker-independent.
    """
    for speaker, role in (("46", "train"), ("53", "test"), ("12", "train")):
        for place in range(21):
            name = f"{speaker}-m-20-{place % 7}-{place // 7}-{100 * int(speaker) + place}"
            first = f"46-m-20-{place % 7}-{place // 7}-{4600 + place}"
            yield {"utterance": name, "role": role, "duplicate_of": first if speaker == "53" else ""}
