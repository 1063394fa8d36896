"""Sequences that begin alike, such as the turns of one conversation: what they share is computed once.

Of a family, each token stands in the row once, and sees those before it in its own sequences: losses and gradients are
those of every sequence by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from finetune.chat import Tokens

ALIKE = 0.5
"""The share of a sequence that must stand in its neighbour for the two to be of one family."""
LARGEST = 1024
"""Different tokens of a family at most: its mask is their square."""


@dataclass(frozen=True)
class Family:
    """Sequences, by their `places` in what they were taken from, as one tree of tokens.

    `ids` and `depths` (tokens) are the tree's, each token after those it sees; `paths` says, for each place, where in
    the tree its tokens stand.
    """

    places: list[int]
    ids: list[int]
    depths: list[int]
    paths: list[list[int]]

    def seen(self) -> torch.Tensor:
        """(tokens, tokens), True where the row's token sees the column's."""
        found = torch.zeros(len(self.ids), len(self.ids), dtype=torch.bool)
        for path in map(torch.tensor, self.paths):
            found[path[:, None], path] = torch.ones(len(path), len(path), dtype=torch.bool).tril()
        return found


def families(sequences: Sequence[Tokens]) -> list[Family]:
    """All sequences, in families; in the order of the first sequence of each."""
    ids = [(*one.prompt, *one.target) for one in sequences]
    groups: list[list[int]] = []
    size = 0
    # Sorted, the one that shares most with a sequence stands right before it.
    for place in sorted(range(len(ids)), key=ids.__getitem__):
        new = len(ids[place]) - (shared(ids[groups[-1][-1]], ids[place]) if groups else 0)
        if groups and new <= (1 - ALIKE) * len(ids[place]) and size + new <= LARGEST:
            groups[-1].append(place)
            size += new
        else:
            groups.append([place])
            size = len(ids[place])
    return [_family(group, ids) for group in sorted(groups, key=min)]


def shared(one: Sequence[int], other: Sequence[int]) -> int:
    """With how many tokens do both begin?"""
    return next(
        (at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), min(len(one), len(other))
    )


def _family(places: list[int], ids: Sequence[Sequence[int]]) -> Family:
    tree: list[int] = []
    depths: list[int] = []
    paths: list[list[int]] = []
    for place in places:
        common = shared(ids[places[len(paths) - 1]], ids[place]) if paths else 0
        new = range(common, len(ids[place]))
        paths.append([*(paths[-1][:common] if paths else []), *range(len(tree), len(tree) + len(new))])
        tree += ids[place][common:]
        depths += new
    return Family(places, tree, depths, paths)
