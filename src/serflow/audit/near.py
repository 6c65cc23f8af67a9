"""Search for utterances of the same recording by their landmarks, all with all.

Two utterances of one recording share landmarks at one difference of time. Landmarks are looked up in a sorted list,
which grows with the corpus: 16 bytes a landmark, 8 more of the fingerprints themselves. How often each difference comes
up is counted for a block of utterances at a time, so that nothing else grows.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from serflow.audio.decode import SAMPLE_RATE
from serflow.audit.fingerprint import HOP, N_CODES, REACH_FRAMES, Landmarks

LEAST_VOTES = 7
LEAST_SHARE = 0.1
MOST_ENTRIES = 500_000
"""Entries that are counted at a time; some 100 bytes each."""
MOST_LOOKED_UP = 500_000
"""Landmarks that are looked up at a time; some 50 bytes each."""
MOST_OF_A_CODE = 2_000
"""A landmark that more utterances have (a hum, a tone) tells nothing, and is passed over."""

Int64Array = npt.NDArray[np.int64]


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


def near_duplicates(
    prints: Sequence[Landmarks], least_votes: int = LEAST_VOTES, least_share: float = LEAST_SHARE
) -> list[Near]:
    """Return the pairs of utterances that are near-identical, each once, in order.

    Parameters
    ----------
    prints
        Landmarks of each utterance.
    least_votes, least_share
        How many landmarks must agree, and what share of the fewer of the two; of utterances with fewer landmarks than
        ``least_votes``, all must.
    """
    index = _Index(prints)
    found = [pair for part in index.parts() for pair in index.agreeing(part, least_votes, least_share)]
    return sorted(found)


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


class _Part(NamedTuple):
    """Some utterances, and where later utterances with the code of each of their landmarks begin and end."""

    block: range
    lows: Int64Array
    highs: Int64Array


class _Index:
    """All landmarks, in one sorted array of numbers made of code, then utterance, then frame."""

    def __init__(self, prints: Sequence[Landmarks]) -> None:
        self.n = len(prints)
        self.counts = np.array([len(of_one.codes) for of_one in prints], dtype=np.int64)
        self.starts = np.concatenate([[0], np.cumsum(self.counts)])
        empty = np.empty(0, dtype=np.int32)
        self.codes = np.concatenate([empty, *(of_one.codes for of_one in prints)])
        self.frames = np.concatenate([empty, *(of_one.frames for of_one in prints)])
        self.n_frames = int(self.frames.max(initial=0)) + 1
        self.common = np.bincount(self.codes, minlength=N_CODES) > MOST_OF_A_CODE
        # 2 ** 42 utterances times frames fit: a million utterances of 19 hours
        self.sorted = self.codes.astype(np.int64)
        self.sorted *= self.n
        self.sorted += np.repeat(np.arange(self.n, dtype=np.int32), self.counts)
        self.sorted *= self.n_frames
        self.sorted += self.frames
        self.sorted.sort()
        # differences of frames, and room for the next one
        self.span = 2 * (self.n_frames - 1) + REACH_FRAMES

    def parts(self) -> Iterator[_Part]:
        """Yield utterances that make up to `MOST_ENTRIES` entries together, one at least."""
        for block in _blocks(self.starts, MOST_LOOKED_UP):
            lows, highs = self._found(block)
            entries = np.concatenate([[0], np.cumsum(highs - lows)])
            starts = self.starts[block.start : block.stop + 1] - self.starts[block.start]
            for part in _blocks(entries[starts], MOST_ENTRIES):
                of_part = slice(starts[part.start], starts[part.stop])
                whole = range(block.start + part.start, block.start + part.stop)
                yield _Part(whole, lows[of_part], highs[of_part])

    def _found(self, block: range) -> tuple[Int64Array, Int64Array]:
        """Return where later utterances with the same code begin and end, for each landmark of some utterances."""
        codes = self.codes[self.starts[block.start] : self.starts[block.stop]].astype(np.int64)
        owners = np.repeat(np.arange(block.start, block.stop), self.counts[block.start : block.stop])
        lows = np.searchsorted(self.sorted, (codes * self.n + owners + 1) * self.n_frames)
        highs = np.searchsorted(self.sorted, (codes + 1) * self.n * self.n_frames)
        return lows, np.where(self.common[codes], lows, highs)

    def agreeing(self, part: _Part, least_votes: int, least_share: float) -> Iterator[Near]:
        """Yield the near duplicates of the utterances of a part among those after them."""
        block, lows, sizes = part.block, part.lows, part.highs - part.lows
        landmark = np.repeat(np.arange(len(lows)), sizes)
        place = np.arange(len(landmark)) - np.repeat(np.cumsum(sizes) - sizes, sizes) + lows[landmark]
        others, other_frames = np.divmod(self.sorted[place], self.n_frames)
        others %= self.n
        owner = np.repeat(np.arange(len(block)), self.counts[block.start : block.stop])[landmark]
        own_frames = self.frames[self.starts[block.start] : self.starts[block.stop]]
        difference = other_frames - own_frames[landmark] + self.span // 2
        pair = owner.astype(np.int64) * self.n + others
        values, votes = np.unique(pair * self.span + difference, return_counts=True)
        if not len(values):
            return
        # what lies between two frames agrees with the one or the other
        beside = np.append(np.where(np.diff(values) == 1, votes[1:], 0), 0)
        votes = votes + beside
        pairs, first = np.unique(values // self.span, return_index=True)
        best = np.maximum.reduceat(votes, first)
        enough = self._needed(pairs, block.start, least_votes, least_share)
        for at in np.flatnonzero(best >= enough):
            stop = first[at + 1] if at + 1 < len(first) else len(votes)
            where = first[at] + int(votes[first[at] : stop].argmax())
            one, other = block.start + int(pairs[at] // self.n), int(pairs[at] % self.n)
            frames = int(values[where] % self.span) - self.span // 2
            fewer = min(self.counts[one], self.counts[other])
            yield Near(one, other, int(best[at]), float(min(best[at] / fewer, 1.0)), frames * HOP / SAMPLE_RATE)

    def _needed(self, pairs: Int64Array, start: int, least_votes: int, least_share: float) -> npt.NDArray[np.float64]:
        fewer = np.minimum(self.counts[start + pairs // self.n], self.counts[pairs % self.n])
        needed: npt.NDArray[np.float64] = np.minimum(np.maximum(least_votes, np.ceil(least_share * fewer)), fewer)
        return needed


def _blocks(ends: Int64Array, most: int) -> Iterator[range]:
    """Yield ranges that add up to ``most``, one at least; ``ends`` are the sums up to each, from 0 on."""
    first, n = 0, len(ends) - 1
    while first < n:
        last = int(np.searchsorted(ends, ends[first] + most, side="right")) - 1
        last = min(max(last, first + 1), n)
        yield range(first, last)
        first = last
