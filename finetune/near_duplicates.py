"""Texts that nearly repeat each other: MinHash (rensa) finds candidates, Jaccard's index of word triples decides."""

import re

from rensa import RMinHash, RMinHashLSH

THRESHOLD = 0.8
"""finetuning.md: MinHash (0.8)."""
PERMUTATIONS, BANDS = 128, 16
"""Sixteen bands of eight rows find a pair at 0.8 with probability 0.95, one at 0.9 with more than 0.999."""
SHINGLE = 3
WORD = re.compile(r"\w+|[^\w\s]")


def shingles(text: str) -> frozenset[str]:
    """The word triples of a text; of a shorter text, the text."""
    words = WORD.findall(text.casefold())
    if len(words) <= SHINGLE:
        return frozenset([" ".join(words)])
    return frozenset(" ".join(words[at : at + SHINGLE]) for at in range(len(words) - SHINGLE + 1))


class Index:
    """Holds texts, and finds one that nearly repeats another. Texts of one group are not compared with each other."""

    def __init__(self) -> None:
        self._lsh = RMinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS, num_bands=BANDS)
        self._texts: list[tuple[frozenset[str], str | None]] = []

    def add(self, text: str, *, group: str | None = None) -> None:
        """Put a text into the index."""
        found = shingles(text)
        self._lsh.insert(len(self._texts), _minhash(found))
        self._texts.append((found, group))

    def near(self, text: str, *, but: str | None = None) -> int | None:
        """The number of a text (from 0, as they were added) that this one nearly repeats, none of the group `but`."""
        found = shingles(text)
        for candidate in sorted(self._lsh.query(_minhash(found))):
            other, group = self._texts[candidate]
            if (but is None or group != but) and len(found & other) >= THRESHOLD * len(found | other):
                return candidate
        return None


def _minhash(found: frozenset[str]) -> RMinHash:
    signature = RMinHash(num_perm=PERMUTATIONS, seed=1)
    signature.update(sorted(found))
    return signature
