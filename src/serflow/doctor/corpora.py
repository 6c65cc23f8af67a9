"""A corpus against what its publisher counts, by the readers and the checks of the stages."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from serflow.audio.prepared import LOUD_SHARE, source_notes
from serflow.config import Config
from serflow.corpora._acceptance import SAMPLE_RATE_HZ, Prepared, accept
from serflow.corpora._completeness import require_nothing_rejected, require_utterances
from serflow.corpora._duplicates import Duplicate, duplicates_note, find_duplicates
from serflow.corpora._rejections import left_out_note, lost_note, share_to_allow, too_many_lost
from serflow.corpora._tables import listing_table
from serflow.corpora.base import CorpusInfo, Listing, counted, load_corpus, missing_from_published
from serflow.doctor.findings import Diagnosis
from serflow.doctor.recordings import DECODED, HEADERS, Sound, Sounds, look_at
from serflow.doctor.voices import hear
from serflow.downloads import SOURCES
from serflow.errors import MissingDependencyError, SerflowError
from serflow.features._praat import load_parselmouth
from serflow.inspection.description import Table, show_seconds, some
from serflow.reasons import by_reason
from serflow.settings.written import Written

INSTALL_PRAAT = "pip install 'serflow[praat]'"
_SHOWN = 3
_SHOWN_ROWS = 60
_GROUPS = ("emotion", "session", "speaker", "gender")


def diagnose_corpus(
    config: Config, corpus: str, documents: Sequence[Written] = (), *, needed: bool = False, decode: bool = False
) -> Diagnosis:
    """Return what is wrong with a corpus and what is missing of it.

    Parameters
    ----------
    config
        The configuration.
    corpus
        Name of the corpus.
    documents
        What the configuration was merged from; they give the line to change.
    needed
        Whether something is asked for that is made from it: a root of null is then wrong.
    decode
        Whether all audio is read, and not its headers alone.

    Raises
    ------
    SerflowError
        If the corpus cannot be read at all.
    """
    about = Diagnosis(corpus, stand_in=config.is_synthetic(corpus))
    if config.corpora[corpus].root is None and not needed:
        users = [plan.name for plan in config.plans().values() if corpus in plan.corpora()]
        about.note(f"not used (root: null){f', so nothing is made of {some(users)}' if users else ''}")
        return about
    if (absent := config.absent_corpus(corpus, documents)) is not None:
        where, source, *_ = absent.splitlines()
        about.wrong(f"{where}. {source.strip()}", *_fetch(corpus), _setting(corpus, "root: /path/to/it"))
        return about
    if config.is_synthetic(corpus) and not Path("resources/synthetic", f"{corpus}.json").is_file():
        _diagnose_unmade(about)
        return about
    listing = load_corpus(config.layout(corpus)).list(config.root(corpus), config.reader_options(corpus))
    require_utterances(listing, corpus, config.root(corpus))
    if about.stand_in:
        require_nothing_rejected(listing, corpus)
    _compare(about, config, listing, look_at(config, corpus, listing.utterances, decode=decode))
    if decode:
        _tell_voices(about, config, listing)
    return about


def _diagnose_unmade(about: Diagnosis) -> None:
    try:
        load_parselmouth()
    except SerflowError:
        about.wrong("a stand-in that is not made yet, and Praat, which speaks it, is not installed", INSTALL_PRAAT)
    else:
        about.note("a stand-in, which a run makes")


def _fetch(corpus: str) -> list[str]:
    return [f"serflow fetch {corpus} --into data"] if corpus in SOURCES else []


def _source(corpus: str, info: CorpusInfo) -> str:
    if corpus in SOURCES:
        return f"{SOURCES[corpus].page} ({SOURCES[corpus].licence})"
    return info.address if info.n_utterances is None else f"{info.address} ({info.licence})"


def _setting(corpus: str, line: str) -> str:
    return f"corpora: {{{corpus}: {{{line}}}}}"


def _compare(about: Diagnosis, config: Config, listing: Listing, sounds: Sounds) -> None:
    info = load_corpus(config.layout(about.name)).info
    if about.stand_in:
        about.note(f"a stand-in, spoken by a synthesiser: {_summary(listing, sounds)}")
        about.tables += _counts(about.name, listing, None)
    else:
        differences = missing_from_published(listing, info)
        about.audio_s = _seconds(sounds) if sounds.how in (HEADERS, DECODED) else 0.0
        known = listing.published_total or info.n_utterances or info.published
        about.ok(_summary(listing, sounds, " as published" if known and not differences else ""))
        about.tables += _counts(about.name, listing, info)
        if differences:
            _tell_differences(about, config, info, differences)
    _tell_rejected(about, config, listing, sounds)
    for note in listing.notes:
        about.note(note)
    _tell_genders(about, listing)
    _tell_formats(about, sounds)
    if sounds.how != HEADERS and sounds.accepted:
        _tell_clipped(about, sounds)
        _tell_duplicates(about, config, listing, sounds)


def _summary(listing: Listing, sounds: Sounds, as_published: str = "") -> str:
    n_speakers = len({entry.speaker for entry in listing.utterances})
    n_emotions = len({entry.emotion for entry in listing.utterances} - {None})
    formats = Counter(map(_format, sounds.accepted)).most_common(_SHOWN)
    how = "" if sounds.how == HEADERS else f" ({sounds.how})"
    return (
        f"{len(listing.utterances):,} utterances{as_published}, {_speakers(n_speakers)}, {n_emotions} emotions; "
        f"{show_seconds(_seconds(sounds))}, {', '.join(name for name, _ in formats) or 'no audio'}{how}"
    )


def _seconds(sounds: Sounds) -> float:
    return sum(sound.n_samples or 0 for sound in sounds.accepted) / SAMPLE_RATE_HZ


def _format(sound: Sound) -> str:
    return f"{_rate(sound)} {_channels(sound)}"


def _rate(sound: Sound) -> str:
    return f"{sound.rate / 1000:g} kHz"


def _channels(sound: Sound) -> str:
    return {1: "mono", 2: "stereo"}.get(sound.channels, f"{sound.channels} channels")


def _speakers(count: int) -> str:
    return f"{count:,} {'speaker' if count == 1 else 'speakers'}"


def _add(about: Diagnosis, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Add a table of details, unless it has no rows."""
    if rows:
        left = len(rows) - _SHOWN_ROWS
        more = f", the first {_SHOWN_ROWS} of {len(rows):,}" if left > 0 else ""
        about.tables.append(Table(f"{about.name}: {title}{more}", columns, rows[:_SHOWN_ROWS]))


def _counts(corpus: str, listing: Listing, info: CorpusInfo | None) -> list[Table]:
    """Return utterances by emotion, session, speaker and gender, and whatever else is published, beside what is."""
    about = Diagnosis(corpus)
    published = {count.column: count for count in (info.published if info else ())}
    for column in dict.fromkeys((*_GROUPS, *published)):
        count = published.get(column)
        found = counted(listing, column, count.among if count else None)
        if count is None:
            if set(found) != {"None"}:
                _add(about, column, [column, "utterances"], [[value, n] for value, n in sorted(found.items())])
            continue
        among = f", of {', '.join(count.among)}" if count.among else ""
        rows = [[value, found[value], count.counts.get(value)] for value in sorted({*found, *count.counts})]
        _add(about, f"{column}{among}", [column, "utterances", "published"], rows)
    return about.tables


def _tell_differences(about: Diagnosis, config: Config, info: CorpusInfo, differences: Sequence[str]) -> None:
    left = len(differences) - _SHOWN
    told = "; ".join([*differences[:_SHOWN], *([f"{left} more differences"] if left > 0 else [])])
    _add(about, "differences from the published counts", ["difference"], [[line] for line in differences])
    if config.corpora[about.name].allow_partial:
        about.note(f"not as published, which allow_partial lets pass: {told}")
        return
    about.wrong(
        f"not as published: {told}. Complete it from {_source(about.name, info)}, or go on without what is missing:",
        *_fetch(about.name),
        _setting(about.name, "allow_partial: true"),
    )


def _tell_rejected(about: Diagnosis, config: Config, listing: Listing, sounds: Sounds) -> None:
    corpus, settings = about.name, config.corpora[about.name]
    rejected, n_accepted = [*listing.rejected, *sounds.rejected], len(sounds.accepted)
    too_many = too_many_lost(rejected, n_accepted, settings.max_rejected, allow_partial=settings.allow_partial)
    lost = lost_note(rejected, n_accepted)
    if not n_accepted:
        reasons = by_reason(entry.reason for entry in sounds.rejected)
        about.wrong(f"no utterance has usable audio ({reasons}); mend the files, or correct corpora.{corpus}.root")
    elif too_many:
        present = too_many_lost(rejected, n_accepted, settings.max_rejected, allow_partial=True)
        share = share_to_allow(len(present), n_accepted + len(present))
        about.wrong(
            f"{lost}, more than the {100 * settings.max_rejected:g} % of corpora.{corpus}.max_rejected; mend them, or "
            "go on without them:",
            _setting(corpus, f"max_rejected: {share:g}" if present else "allow_partial: true"),
        )
    elif lost is not None:
        about.note(lost)
    if left := left_out_note(rejected):
        about.note(left)
    rows = [[entry.utterance or "-", entry.path, entry.reason] for entry in rejected]
    _add(about, "rejected", ["utterance", "path", "reason"], rows)


def _tell_genders(about: Diagnosis, listing: Listing) -> None:
    """Name the speakers of whom the labels say more than one gender."""
    genders: dict[str, Counter[str]] = defaultdict(Counter)
    for entry in listing.utterances:
        if entry.gender is not None:
            genders[entry.speaker][entry.gender] += 1
    rows = [
        [speaker, ", ".join(f"{gender} {n:,}" for gender, n in found.most_common())]
        for speaker, found in sorted(genders.items())
        if len(found) > 1
    ]
    if rows:
        told = some([f"{speaker} ({found})" for speaker, found in rows], _SHOWN)
        about.note(f"{_speakers(len(rows))} with more than one gender: {told}; correct the labels")
    _add(about, "speakers with more than one gender", ["speaker", "utterances"], rows)


def _tell_voices(about: Diagnosis, config: Config, listing: Listing) -> None:
    """Name the speakers whose pitch is one of the other gender."""
    try:
        voices = hear(config, about.name, listing.utterances)
    except MissingDependencyError:
        about.note("voices are not held against genders, for Praat is not installed (GPL-3)", INSTALL_PRAAT)
        return
    odd = [f"{voice.speaker} ({voice.gender}, {voice.pitch_hz:.0f} Hz)" for voice in voices if voice.is_odd()]
    if odd:
        about.note(
            f"{_speakers(len(odd))} with the pitch of another gender than their label's: {some(odd, _SHOWN)}; listen, "
            "and correct the labels"
        )
    rows = [[voice.speaker, voice.gender, round(voice.pitch_hz)] for voice in voices]
    _add(about, "pitch of calm utterances", ["speaker", "gender", "Hz"], rows)


def _tell_formats(about: Diagnosis, sounds: Sounds) -> None:
    """Name the files that differ from most in rate or channels, and what was sampled below 16 kHz."""
    _tell_odd(about, sounds, "at another rate than most", _rate)
    _tell_odd(about, sounds, "with other channels than most", _channels)
    slow = [sound for sound in sounds.accepted if sound.rate < SAMPLE_RATE_HZ]
    if slow:
        rates = some(sorted({_rate(sound) for sound in slow}), _SHOWN)
        about.note(
            f"{len(slow):,} of {len(sounds.accepted):,} were sampled at {rates}: above half of that there is nothing, "
            "where features have bands up to 8 kHz"
        )
    for note in source_notes([(sound.utterance, sound.subtype, 0.0) for sound in sounds.accepted]):
        about.note(note)
    formats = Counter((sound.rate, sound.channels, sound.subtype) for sound in sounds.accepted)
    rows = [[rate, channels, subtype, n] for (rate, channels, subtype), n in formats.most_common()]
    _add(about, "audio files", ["rate (Hz)", "channels", "format", "utterances"], rows)


def _tell_odd(about: Diagnosis, sounds: Sounds, what: str, kind: Callable[[Sound], str]) -> None:
    kinds = Counter(map(kind, sounds.accepted))
    if len(kinds) < 2:
        return
    ((common, _),) = kinds.most_common(1)
    odd = [f"{sound.utterance} ({kind(sound)})" for sound in sounds.accepted if kind(sound) != common]
    about.note(f"{len(odd):,} of {len(sounds.accepted):,} {what}, {common}: {some(odd, _SHOWN)}")


def _tell_clipped(about: Diagnosis, sounds: Sounds) -> None:
    clipped = [
        (share, sound.utterance) for sound in sounds.accepted if (share := sound.clipped_share or 0) > LOUD_SHARE
    ]
    rows = [[name, round(100 * share, 2)] for share, name in sorted(clipped, reverse=True)]
    if rows:
        about.note(
            f"{len(rows):,} of {len(sounds.accepted):,} clipped, with more than {100 * LOUD_SHARE:g} % of their "
            f"samples at full scale: {some([f'{name} ({share:g} %)' for name, share in rows], _SHOWN)}"
        )
    _add(about, "clipped", ["utterance", "% at full scale"], rows)


def _tell_duplicates(about: Diagnosis, config: Config, listing: Listing, sounds: Sounds) -> None:
    prepared = [
        (sound.utterance, Prepared(sound.n_samples or 0, "", sound.sha256 or "", sound.subtype, 0.0))
        for sound in sounds.accepted
    ]
    accepted = accept(listing_table(listing.utterances), prepared, sounds.rejected, about.name)
    duplicates = find_duplicates(accepted)
    said = duplicates_note(duplicates, accepted.num_rows)
    if said is not None:
        dropped = config.corpora[about.name].duplicates == "drop"
        how = "studies drop them" if dropped else "studies keep them, as papers do, unless you drop all but the first:"
        line = () if dropped else (_setting(about.name, "duplicates: drop"),)
        about.note(f"{said}; {how}", *line)
    rows = [[*entry[:-1], "; ".join(entry.differs)] for entry in duplicates]
    _add(about, "the same audio", Duplicate._fields, rows)
