"""What became of the store's decisions on the way into a dataset, as JSON and as lines that a person reads."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from sqlite_utils import Database

from data import store_circumstances
from data.edits import edit_of
from data.store_circumstances import Circumstances
from finetune.filters import language_of
from finetune.links import hosts
from finetune.weighing import Weighed

DISPUTED_SHOWN = 5
HOSTS_SHOWN = 20
HOST_THREADS = 3
"""A host to which fewer threads link is not named: it may be somebody's own, and would outlive their erasure."""
QUARTERS = {"least": 0.0, "median": 0.5, "greatest": 1.0}


def told(
    db: Database,
    weighed: Weighed,
    circumstances: Mapping[str, Circumstances],
    masked: Mapping[str, int],
    known: Collection[str],
) -> dict[str, Any]:
    """The facts: what was not learned from and why, what was masked, languages, lengths and links, how much agents
    edit, who only accepts, where raters disagree. `known` are the pairs of the last finished run."""
    weights = [p.weight for p in weighed.pairs]
    targets = {p.id: p.target for p in weighed.pairs}
    edits = Counter(
        edit_of(c.draft, targets[c.pair_id])
        for c in circumstances.values()
        if c.kind == "edited" and c.draft is not None and c.pair_id in targets
    )
    languages = Counter(language_of(p.target) or "not told" for p in weighed.pairs)
    linking = {(host, p.thread_id) for p in weighed.pairs for host in hosts(p.target)}
    linked_before = {host for p in weighed.pairs if p.id in known for host in hosts(p.target)}
    linked = Counter(host for host, _ in sorted(linking)).most_common()
    named = {host: threads for host, threads in linked if threads >= HOST_THREADS}
    words = sorted(len(p.target.split()) for p in weighed.pairs)
    disputed = store_circumstances.disagreements(db)
    return {
        "not_learned": store_circumstances.unlearned(db),
        "masked": dict(sorted(masked.items())),
        "languages": dict(languages.most_common()),
        "words": {name: words[int(share * (len(words) - 1))] for name, share in QUARTERS.items()} if words else {},
        "hosts": named,
        "new_hosts": [host for host in named if known and host not in linked_before],
        "edits": dict(edits),
        "weights": {
            "sum": round(sum(weights), 2),
            "least": round(min(weights, default=0.0), 3),
            "greatest": round(max(weights, default=0.0), 3),
            "touched": weighed.touched,
        },
        "always_accept": weighed.always_accept,
        "rated_by_several": store_circumstances.rated_by_several(db),
        "disagreements": len(disputed),
        "most_disputed": [asdict(one) for one in disputed[:DISPUTED_SHOWN]],
    }


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The same for a person; nothing for what did not occur."""
    if not found:
        return
    yield from _counted("Decisions not learned from", found["not_learned"])
    yield from _counted("Rated texts not learned from", found.get("thumbs_left_out", {}))
    yield from _counted("Personal data masked (different values)", found["masked"])
    yield from _counted("Languages of the targets", found["languages"])
    if found["words"]:
        yield "Words of a target: {least} to {greatest}, {median} in the middle.".format(**found["words"])
    if named := found.get("hosts"):
        new = {host: f"{host} (new)" for host in found["new_hosts"]}
        # New ones first, however rare: what leads where nobody linked before is worth a look.
        shown = sorted(named, key=lambda host: host not in new)[:HOSTS_SHOWN]
        yield from _counted("Hosts that targets link to (threads)", {host: named[host] for host in shown}, names=new)
    yield from _counted("Edits", found["edits"], names={"none": "of nothing", "touch": "touches (10 % or less)"})
    weights = found["weights"]
    yield f"Weights: {weights['least']:.3g} to {weights['greatest']:.3g}, {weights['sum']:,.1f} together."
    yield from _counted("Pairs whose weight was changed", weights["touched"])
    if found["always_accept"]:
        yield (
            f"Nearly every draft is accepted as it is by {', '.join(found['always_accept'])}: "
            "each such pair weighs half."
        )
    if found["rated_by_several"]:
        yield f"Raters disagree on {found['disagreements']} of {found['rated_by_several']} texts that several rated."
    for one in found["most_disputed"]:
        where = f"{one['channel_id']}/{one['thread_ts']}" if one["thread_ts"] else one["channel_id"]
        yield f"  {one['up']} up, {one['down']} down: suggestion {one['suggestion_id']} in {where}"


def _counted(title: str, counts: Mapping[str, int], *, names: Mapping[str, str] | None = None) -> Iterator[str]:
    if counts:
        named = names or {}
        yield f"{title}: {', '.join(f'{count:,} {named.get(name, name)}' for name, count in counts.items())}."
