"""Search for utterances of the same recording by their landmarks, all with all.

Two utterances of one recording share landmarks at one difference of time. Landmarks of some utterances at a time are in
a sorted list, 8 bytes each, in which those of all before them are looked up; how often each difference comes up is
counted for a block of these at a time. So what is held does not grow with the corpus, but for a number an utterance.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from serflow.audio.decode import SAMPLE_RATE
from serflow.audit.fingerprint import HOP, N_CODES, REACH_FRAMES, IntArray, Landmarks
from serflow.stores.groups import grouped

LEAST_VOTES = 7
LEAST_SHARE = 0.1
MOST_INDEXED = 1_000_000
"""Landmarks that are in the sorted list at a time; 8 bytes each."""
MOST_LOOKED_UP = 50_000
"""Landmarks that are looked up at a time; some 100 bytes each."""
MOST_ENTRIES = 50_000
"""Entries that are counted at a time; some 100 bytes each."""
MOST_OF_A_CODE = 2_000
"""A landmark that more utterances have (a hum, a tone) tells nothing, and is passed over."""

Int64Array = npt.NDArray[np.int64]


class Prints(Protocol):
    """Landmarks of each utterance, gone through several times: a list, or what reads them anew each time."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Landmarks]: ...


class Near(NamedTuple):
    """Two utterances, by place, whose landmarks agree at one difference of time.

    ``votes`` landmarks agree, of ``share`` of the shorter list (0 to 1); what is at t in ``first`` is at ``t +
    offset_s`` in ``second``.
    """

    first: int
    second: int
    votes: int
    share: float
    offset_s: float


def near_duplicates(prints: Prints, least_votes: int = LEAST_VOTES, least_share: float = LEAST_SHARE) -> list[Near]:
    """Return the pairs of utterances that are near-identical, each once, in order.

    Parameters
    ----------
    prints
        Landmarks of each utterance.
    least_votes, least_share
        How many landmarks must agree, and what share of the fewer of the two; of utterances with fewer landmarks than
        ``least_votes``, all must.
    """
    corpus = _Corpus.of(prints)
    blocks = _blocks(corpus.ends, MOST_INDEXED)
    # an index is let go of before the next is made
    return sorted(
        pair for block in blocks for pair in _Index(prints, block, corpus).near(prints, least_votes, least_share)
    )


def groups(n: int, pairs: Sequence[Near]) -> list[int]:
    """Return for each of ``n`` utterances the first of those that pairs connect it with; itself where there is none."""
    first = list(range(n))

    def root(place: int) -> int:
        while first[place] != place:
            first[place] = first[first[place]]
            place = first[place]
        return place

    for pair in pairs:
        low, high = sorted((root(pair.first), root(pair.second)))
        first[high] = low
    return [root(place) for place in range(n)]


class _Some(NamedTuple):
    """The landmarks of some utterances, ``first`` and those after it, one after the other; ``counts`` of each."""

    first: int
    counts: Int64Array
    codes: Int64Array
    frames: IntArray

    @property
    def owners(self) -> Int64Array:
        """Whose each landmark is."""
        return np.repeat(np.arange(self.first, self.first + len(self.counts)), self.counts)


class _Corpus(NamedTuple):
    """What a search knows of all utterances.

    ``counts`` are their landmarks, ``(n,)``, ``ends`` the sums of these up to each, from 0 on; ``n_frames`` has the
    longest. ``common`` says of each code whether it tells nothing, see `MOST_OF_A_CODE`.
    """

    counts: Int64Array
    ends: Int64Array
    n_frames: int
    common: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, prints: Prints) -> "_Corpus":
        counts = np.zeros(len(prints), dtype=np.int64)
        of_code = np.zeros(N_CODES, dtype=np.int32)
        last = 0
        for some in _joined(prints, 0, len(prints)):
            counts[some.first : some.first + len(some.counts)] = some.counts
            _add_to(of_code, some.codes)
            last = max(last, int(some.frames.max(initial=0)))
        return cls(counts, np.concatenate([[0], np.cumsum(counts)]), last + 1, of_code > MOST_OF_A_CODE)


class _Part(NamedTuple):
    """Landmarks of some utterances, ``(n_landmarks,)`` each, and what later utterances have with the same code.

    These entries of the sorted list begin at ``lows`` and are ``sizes`` many. With ``shifts`` added, an entry is made
    of both utterances and of the difference of frames, see `_Index`.
    """

    lows: Int64Array
    sizes: Int64Array
    shifts: Int64Array


class _Index:
    """Landmarks of a block of utterances, as one sorted array of numbers made of code, then utterance, then frame."""

    def __init__(self, prints: Prints, block: range, corpus: _Corpus) -> None:
        self.block = block
        self.n = len(corpus.counts)
        self.counts, self.ends, self.common = corpus.counts, corpus.ends, corpus.common
        # differences of frames, and room for the next one; 2 ** 42 utterances times these fit: a million of 9 hours
        self.span = 2 * (corpus.n_frames - 1) + REACH_FRAMES
        self.sorted = np.empty(corpus.ends[block.stop] - corpus.ends[block.start], dtype=np.int64)
        filled = 0
        for some in _joined(prints, block.start, block.stop):
            keys = (some.codes * self.n + some.owners) * self.span + some.frames
            self.sorted[filled : filled + len(keys)] = keys
            filled += len(keys)
        self.sorted.sort()

    def near(self, prints: Prints, least_votes: int, least_share: float) -> Iterator[Near]:
        """Yield the near duplicates of all utterances among those of the block that come after them."""
        for part in self._parts(prints):
            yield from self._agreeing(part, least_votes, least_share)

    def _parts(self, prints: Prints) -> Iterator[_Part]:
        """Yield utterances up to the end of the block that make up to `MOST_ENTRIES` entries together, one at least."""
        for some in _joined(prints, 0, self.block.stop):
            found = self._found(some)
            starts = np.concatenate([[0], np.cumsum(some.counts)])
            entries = np.concatenate([[0], np.cumsum(found.sizes)])
            for part in _blocks(entries[starts], MOST_ENTRIES):
                yield _Part(*(values[starts[part.start] : starts[part.stop]] for values in found))

    def _found(self, some: _Some) -> _Part:
        codes, owners = some.codes, some.owners
        after = (codes * self.n + owners + 1) * self.span
        # in their order, which is one through memory as well
        order = np.argsort(after)
        lows, highs = np.empty_like(order), np.empty_like(order)
        lows[order] = np.searchsorted(self.sorted, after[order])
        highs[order] = np.searchsorted(self.sorted, (codes[order] + 1) * self.n * self.span)
        sizes = np.where(self.common[codes], 0, highs - lows)
        return _Part(lows, sizes, (owners - codes) * self.n * self.span + self.span // 2 - some.frames)

    def _agreeing(self, part: _Part, least_votes: int, least_share: float) -> Iterator[Near]:
        """Yield the near duplicates of the utterances of a part."""
        values = self._entries(part)
        pairs = values // self.span
        # of nearly all pairs so few landmarks are the same that not enough can agree
        first = _starts(pairs)
        same = np.diff(first, append=len(pairs))
        values = values[np.repeat(same >= self._needed(pairs[first], least_votes, least_share), same)]
        if not len(values):
            return
        at = _starts(values)
        votes, values = np.diff(at, append=len(values)), values[at]
        # what lies between two frames agrees with the one or the other
        votes[:-1] += np.where(np.diff(values) == 1, votes[1:], 0)
        pairs = values // self.span
        first = _starts(pairs)
        best = np.maximum.reduceat(votes, first)
        ends = np.append(first[1:], len(votes))
        for place in np.flatnonzero(best >= self._needed(pairs[first], least_votes, least_share)):
            where = first[place] + int(votes[first[place] : ends[place]].argmax())
            one, other = divmod(int(pairs[where]), self.n)
            frames = int(values[where] % self.span) - self.span // 2
            fewer = min(self.counts[one], self.counts[other])
            share = float(min(best[place] / fewer, 1.0))
            yield Near(one, other, int(best[place]), share, frames * HOP / SAMPLE_RATE)

    def _entries(self, part: _Part) -> Int64Array:
        """Return numbers made of both utterances, then of how much later a landmark is in the second, sorted."""
        before = np.cumsum(part.sizes) - part.sizes
        places = np.repeat(part.lows - before, part.sizes)
        places += np.arange(len(places))
        values: Int64Array = self.sorted[places]
        del places
        values += np.repeat(part.shifts, part.sizes)
        values.sort()
        return values

    def _needed(self, pairs: Int64Array, least_votes: int, least_share: float) -> npt.NDArray[np.float64]:
        ones, others = np.divmod(pairs, self.n)
        fewer = np.minimum(self.counts[ones], self.counts[others])
        needed: npt.NDArray[np.float64] = np.minimum(np.maximum(least_votes, np.ceil(least_share * fewer)), fewer)
        return needed


def _joined(prints: Prints, start: int, stop: int) -> Iterator[_Some]:
    """Yield the landmarks of some utterances, about `MOST_LOOKED_UP` at a time."""
    first = start
    for group in grouped(islice(prints, start, stop), MOST_LOOKED_UP, lambda one: len(one.codes), MOST_LOOKED_UP):
        codes, frames = (np.concatenate(values) for values in zip(*group, strict=True))
        yield _Some(first, np.array([len(one.codes) for one in group]), codes.astype(np.int64), frames)
        first += len(group)


def _add_to(counts: npt.NDArray[np.int32], codes: Int64Array) -> None:
    """Count codes; ``counts`` has a place for each."""
    found, n = np.unique(codes, return_counts=True)
    counts[found] += n.astype(np.int32)


def _starts(values: Int64Array) -> Int64Array:
    """Return where each number of a sorted array comes first."""
    if not len(values):
        return np.empty(0, dtype=np.int64)
    return np.concatenate([[0], np.flatnonzero(values[1:] != values[:-1]) + 1])


def _blocks(ends: Int64Array, most: int) -> Iterator[range]:
    """Yield ranges that add up to ``most``, one at least; ``ends`` are the sums up to each, from 0 on."""
    first, n = 0, len(ends) - 1
    while first < n:
        last = int(np.searchsorted(ends, ends[first] + most, side="right")) - 1
        last = min(max(last, first + 1), n)
        yield range(first, last)
        first = last
