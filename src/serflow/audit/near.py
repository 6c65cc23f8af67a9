"""Search for utterances of the same recording by their landmarks, all with all.

Two utterances of one recording share landmarks at one difference of time. Landmarks are looked up in a sorted list;
how often each difference comes up is counted for a block of utterances at a time, so that memory is bounded.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from serflow.audio.decode import SAMPLE_RATE
from serflow.audit.fingerprint import HOP, N_CODES, REACH_FRAMES, Landmarks

LEAST_VOTES = 7
LEAST_SHARE = 0.1
MOST_ENTRIES = 4_000_000
"""Entries that are counted at a time; some 100 bytes each."""
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
    found = [pair for block in index.blocks() for pair in index.agreeing(block, least_votes, least_share)]
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


class _Index:
    """All landmarks, sorted by code and then by utterance."""

    def __init__(self, prints: Sequence[Landmarks]) -> None:
        self.n = len(prints)
        self.counts = np.array([len(of_one.codes) for of_one in prints], dtype=np.int64)
        self.starts = np.concatenate([[0], np.cumsum(self.counts)])
        empty = np.empty(0, dtype=np.int32)
        codes = np.concatenate([empty, *(of_one.codes for of_one in prints)]).astype(np.int64)
        frames = np.concatenate([empty, *(of_one.frames for of_one in prints)])
        self.frames = frames
        owners = np.repeat(np.arange(self.n, dtype=np.int64), self.counts)
        keys = codes * self.n + owners
        order = np.argsort(keys, kind="stable")
        self.keys = keys[order]
        self.sorted_owners = owners[order].astype(np.int32)
        self.sorted_frames = frames[order]
        # where later utterances with the same code begin and end, for each landmark
        self.lows = np.searchsorted(self.keys, keys, side="right")
        self.highs = np.searchsorted(self.keys, (codes + 1) * self.n, side="left")
        of_code = np.bincount(codes, minlength=N_CODES)[codes] if len(codes) else codes
        self.highs = np.where(of_code > MOST_OF_A_CODE, self.lows, self.highs)
        # differences of frames, and room for the next one
        self.span = 2 * int(frames.max(initial=0)) + REACH_FRAMES

    def blocks(self) -> Iterator[range]:
        """Yield utterances that make up to `MOST_ENTRIES` entries together, one at least."""
        entries = np.concatenate([[0], np.cumsum(self.highs - self.lows)])[self.starts]
        first = 0
        while first < self.n:
            last = int(np.searchsorted(entries, entries[first] + MOST_ENTRIES, side="right")) - 1
            last = min(max(last, first + 1), self.n)
            yield range(first, last)
            first = last

    def agreeing(self, block: range, least_votes: int, least_share: float) -> Iterator[Near]:
        """Yield the near duplicates of the utterances of a block among those after them."""
        part = slice(self.starts[block.start], self.starts[block.stop])
        lows, sizes = self.lows[part], (self.highs - self.lows)[part]
        landmark = np.repeat(np.arange(len(lows)), sizes)
        place = np.arange(len(landmark)) - np.repeat(np.cumsum(sizes) - sizes, sizes) + lows[landmark]
        owner = np.repeat(np.arange(len(block)), self.counts[block.start : block.stop])[landmark]
        difference = self.sorted_frames[place] - self.frames[part][landmark] + self.span // 2
        pair = owner.astype(np.int64) * self.n + self.sorted_owners[place]
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
