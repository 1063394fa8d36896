"""Non-inferiority of generated texts: rules with stated margins. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
from sacrebleu.metrics import CHRF

from finetune.scoring import Written
from serving.loops import repeats_itself

CHRF_MARGIN = 2.0
"""Points of chrF that the candidate's texts may lose against the incumbent's."""
LENGTH_RANGE = (0.8, 1.25)
"""Characters written per character that the human wrote: 20 % around one, or no further off than the incumbent."""
UNFINISHED_MARGIN = 0.1
"""Share of texts cut at the longest length that the candidate may have more than the incumbent."""

LOOP_LEVEL = 1 / 8
"""Of the sign test on loops: three texts to none are the fewest that refuse. Far laxer than the target's level: a
night refused by chance costs a day, an adapter that loops costs the agents' trust. Of 40 texts, a candidate that loops
in 15 % and follows an incumbent that never does is seen in 95 nights of 100; where both loop in 1 %, chance refuses one
night in 200. Both were simulated; see tests/test_gate.py."""


@dataclass(frozen=True)
class Check:
    """One non-inferiority rule: what was found, in words, and whether it holds."""

    name: str
    found: str
    passed: bool


def text_checks(candidate: Sequence[Written], incumbent: Sequence[Written], human: Sequence[str]) -> list[Check]:
    """Non-inferiority of generated texts: chrF, length, empty and unfinished ones, and loops."""
    chrf = CHRF()
    scores = [
        [chrf.sentence_score(w.text, [target]).score for w, target in zip(written, human, strict=True)]
        for written in (candidate, incumbent)
    ]
    points = [float(np.mean(s)) for s in scores]
    lengths = [sum(len(w.text) for w in written) / sum(map(len, human)) for written in (candidate, incumbent)]
    low, high = LENGTH_RANGE
    off = [abs(np.log(max(length, 1e-3))) for length in lengths]
    empty = [sum(not w.text for w in written) for written in (candidate, incumbent)]
    unfinished = [sum(not w.ended for w in written) / len(human) for written in (candidate, incumbent)]
    return [
        Check("chrF", f"{points[0]:.1f} against {points[1]:.1f}", points[0] >= points[1] - CHRF_MARGIN),
        Check(
            "length",
            f"{lengths[0]:.2f} of the humans' against {lengths[1]:.2f}",
            low <= lengths[0] <= high or bool(off[0] <= off[1]),
        ),
        Check("empty", f"{empty[0]} of {len(human)} against {empty[1]}", empty[0] <= empty[1]),
        Check(
            "unfinished",
            f"{unfinished[0]:.0%} against {unfinished[1]:.0%}",
            unfinished[0] <= unfinished[1] + UNFINISHED_MARGIN,
        ),
        loop_check(candidate, incumbent),
    ]


def loop_check(candidate: Sequence[Written], incumbent: Sequence[Written]) -> Check:
    """Texts that repeat themselves, by the rule that serving cuts them by.

    The exact one-sided sign test over the cases of which only one contender loops: McNemar (1947).
    """
    loops = [[repeats_itself(one.text) for one in written] for written in (candidate, incumbent)]
    worse, better = (sum(a and not b for a, b in zip(*order, strict=True)) for order in (loops, loops[::-1]))
    differing = worse + better
    p = sum(comb(differing, n) for n in range(worse, differing + 1)) / 2**differing
    found = f"in {sum(loops[0])} of {len(candidate)} texts, against {sum(loops[1])} of the incumbent's"
    return Check("loops", found, p > LOOP_LEVEL)
