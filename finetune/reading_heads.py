"""Give a new Llama heads that read: that find the sentence a question asks for, and copy it.

Copying needs an induction circuit: heads that carry each token's predecessors along, and a head that looks for the
place where the present tokens stood before and proposes what followed there (Olsson et al., "In-context Learning and
Induction Heads", 2022). Quoting needs a retrieval circuit besides: which sentence shares the question's words? Models
of this size form neither from the tokens that two CPU cores read in an hour. So both are set by hand before training:

    layer 0   carry the codes of the token before, and of the one before that
    layer 1   name the sentence that each token stands in, by where it begins
    layer 2   find each word where it stood before; take that sentence's name
    layer 3   gather the names that the question's words found: the votes
    layer 4   propose the token that goes on, in the sentence with most votes, or begins it; a second head without votes

Training goes on around them. Left to itself it wears such heads down, and drowns what they match by in what other heads
write, so their weights, the codes, and the parts of the residual stream that they read are held until they were read.
What follows layer 4 learns when to believe a proposal.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import LlamaForCausalLM

from finetune.corpus.values import WORDS

WIDTHS = {
    **{"code": 48, "previous": 32, "earlier": 14, "sentence": 13, "votes": 13},
    **dict.fromkeys(("one", "first", "ends", "breaks", "begins", "answers", "opens", "tells", "ballast"), 1),
    **dict.fromkeys(("after_end", "after_break", "in_passage", "found", "sure", "surer"), 1),
}
"""The held parts of the residual stream. The first 32 of a code are shared by a word's spellings with and without a
capital or a space. The flags are 1 for every token but the prompt's first, for that first, what ends a sentence, what
ends a line, what may begin a sentence, the assistant's mark, a passage's bracket, and words that tell. What has no code
has ballast, since the norm before a head would enlarge its flags. The heads write the rest; `in_passage` is 1 in a line
that begins with a bracket, but for its title."""
HELD = sum(WIDTHS.values())
FOLDED, CARRIED_EARLIER, NAMED = 32, 14, 13
HEADS = (2, 2, 1, 1, 2)
"""Heads set by hand in each of the first layers. From the last of them on, every part of the stream is free."""
READ_UNTIL = len(HEADS) - 1
MATCH = 30.0
"""Log-weight of an exact match, at a residual stream of rms 1; it falls with the square of the rms."""
UNMATCHED = 0.7
"""What stands in no place before is looked for at the prompt's first token, which says nothing: its share of MATCH."""
PROPOSAL = 8.0
"""Size of the proposed code, in embeddings."""
FINAL_SPREAD = 0.02
"""The final norm's weight: it keeps the logits of embeddings of size 1 as small as Llama's usual spread would."""
WINDOW = 40
"""Tokens before the present one whose votes count: about a question's length."""
ENDS = (".", "!", "?", ":", "\n")
SHARP = 8.0
"""Log-weight that each of the fast pairs gives the one distance that a carrying head looks at."""
RECENT, RECENT_REACH = 0.4, 40.0
"""How much less each token further back weighs, in nats, and how far back, for the head that finds where a sentence
began; for lines it is an eighth of that, eight times as far."""
BOTH = 22.0
"""Log-weight of each of two flags: one alone, however near, counts less than both anywhere."""


@dataclass(frozen=True)
class Head:
    """One head's place and its coordinates: slow pairs of the rotary embedding match codes, fast ones distances."""

    model: LlamaForCausalLM
    layer: int
    number: int

    @property
    def rows(self) -> slice:
        size = self.model.config.head_dim
        return slice(self.number * size, (self.number + 1) * size)

    @property
    def frequencies(self) -> Tensor:
        return self.model.model.rotary_emb.inv_freq

    @property
    def slow(self) -> list[int]:
        """Coordinates that turn by less than half a radian over the whole context."""
        half = len(self.frequencies)
        still = (self.frequencies * self.model.config.max_position_embeddings < 0.5).nonzero().flatten().tolist()
        return [*still, *(half + n for n in still)]


@torch.no_grad()
def set_reading_heads(model: LlamaForCausalLM, tokens: Sequence[str], seed: int = 1) -> None:
    """Set eight heads of an untrained model by hand; all others write nothing until they are trained.

    `tokens` are the vocabulary's byte-level strings, in their order. Needs attention biases, more than five layers,
    heads of 64, and a rotary base of 1e8, whose slow half stands still over the context.
    """
    for layer in model.model.layers:
        for weight in (layer.self_attn.o_proj.weight, layer.mlp.down_proj.weight):
            weight.zero_()
    model.model.norm.weight.fill_(FINAL_SPREAD)
    embeddings = model.model.embed_tokens.weight
    embeddings /= embeddings[:, HELD:].square().mean(dim=1, keepdim=True).sqrt().clamp(min=1e-3)
    for number, layer in enumerate(model.model.layers[: len(HEADS)]):
        rows = slice(HEADS[number] * model.config.head_dim)
        for projection in (layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj):
            projection.weight[rows] = 0.0
            projection.bias[rows] = 0.0
    part = _parts()
    embeddings[:, :HELD] = 0.0
    for name, column in _codes(tokens, seed).items():
        embeddings[:, part[name]] = column
    head = Head(model, 0, 0)
    _look_back(head, 1)
    _move(head, part, {"previous": ("code", FOLDED), "after_end": ("ends", 1), "after_break": ("breaks", 1)})
    head = Head(model, 0, 1)
    _look_back(head, 2)
    _move(head, part, {"earlier": ("code", CARRIED_EARLIER)})
    head = Head(model, 1, 0)
    _look_within(head, steep=RECENT)
    _match(head, part, [("one", "after_end", 1, BOTH), ("one", "begins", 1, BOTH)])
    _name(head, part, seed)
    head = Head(model, 1, 1)
    _look_within(head, steep=RECENT / 8, span=8 * RECENT_REACH)
    _match(head, part, [("one", "after_break", 1, BOTH)])
    _move(head, part, {"in_passage": ("opens", 1)})
    head = Head(model, 2, 0)
    # By the token before: where a word stood, the next one knows; and the word itself, the last, finds not itself.
    _match(head, part, [("code", "previous", FOLDED, MATCH), ("one", "in_passage", 1, 0.7 * MATCH),
                        ("one", "first", 1, 0.7 * MATCH + UNMATCHED * MATCH)])  # fmt: skip
    _move(head, part, {"votes": ("sentence", NAMED), "found": ("one", 1)})
    head = Head(model, 3, 0)
    _look_within(head, WINDOW)
    _match(head, part, [("one", "tells", 1, 10.0), ("one", "found", 1, 8.0), ("one", "in_passage", 1, -MATCH)])
    _move(head, part, {"votes": ("votes", NAMED)}, size=1.5)
    head = Head(model, READ_UNTIL, 0)
    _match(head, part, [("code", "previous", 19, 1.4 * MATCH), ("votes", "sentence", NAMED - 1, 0.6 * MATCH),
                        ("answers", "after_end", 1, 1.5 * MATCH), ("answers", "begins", 1, 1.5 * MATCH),
                        ("one", "first", 1, UNMATCHED * 1.4 * MATCH)])  # fmt: skip
    _move(head, part, {"code": ("code", WIDTHS["code"]), "sure": ("one", 1)}, size=PROPOSAL)
    head = Head(model, READ_UNTIL, 1)
    _match(head, part, [("code", "previous", 18, MATCH), ("previous", "earlier", CARRIED_EARLIER, 0.8 * MATCH),
                        ("one", "first", 1, 1.35 * MATCH)])  # fmt: skip
    _move(head, part, {"code": ("code", WIDTHS["code"]), "surer": ("one", 1)}, size=PROPOSAL)


def keep_reading_heads(model: LlamaForCausalLM) -> None:
    """Let training leave the heads set by set_reading_heads, and what they read, as they are.

    Holds for optimizers that leave weights without gradient alone: no weight decay.
    """
    size = model.config.head_dim
    model.model.embed_tokens.weight.register_hook(lambda gradient: _without(gradient, 1, slice(HELD)))
    for number, layer in enumerate(model.model.layers[: len(HEADS)]):
        attention, heads = layer.self_attn, slice(HEADS[number] * size)
        for projection in (attention.q_proj, attention.k_proj, attention.v_proj):
            projection.weight.register_hook(lambda gradient, heads=heads: _without(gradient, 0, heads))
            projection.bias.register_hook(lambda gradient, heads=heads: _without(gradient, 0, heads))
        attention.o_proj.weight.register_hook(lambda gradient, heads=heads: _without(gradient, 1, heads))
        layer.input_layernorm.weight.register_hook(lambda gradient: _without(gradient, 0, slice(HELD)))
        if number < READ_UNTIL:
            for writing in (attention.o_proj.weight, layer.mlp.down_proj.weight):
                writing.register_hook(lambda gradient: _without(gradient, 0, slice(HELD)))


def _without(gradient: Tensor, dimension: int, held: slice) -> Tensor:
    left = gradient.clone()
    left.movedim(dimension, 0)[held] = 0.0
    return left


def _parts() -> dict[str, slice]:
    ends = torch.tensor(list(WIDTHS.values())).cumsum(0).tolist()
    return {name: slice(end - width, end) for (name, width), end in zip(WIDTHS.items(), ends, strict=True)}


def _codes(tokens: Sequence[str], seed: int) -> dict[str, Tensor]:
    """What each token of the vocabulary says in the held parts: its code and its flags."""
    generator = torch.Generator().manual_seed(seed)
    plain = set(WORDS["plain_words"])
    words = [token.replace("\u0120", " ").replace("\u010a", "\n") for token in tokens]
    folded = {word: n for n, word in enumerate(dict.fromkeys(word.strip(" ").lower() or word for word in words))}
    alike = torch.tensor([folded[word.strip(" ").lower() or word] for word in words])
    shared = _signs(len(folded), FOLDED, generator)[alike]
    own = _signs(len(words), WIDTHS["code"] - FOLDED, generator)
    first = torch.tensor([word == "<|start|>" for word in words])
    uncoded = torch.tensor([word in ("<|start|>", "<|assistant|>") for word in words])[:, None]

    def flag(said: list[bool]) -> Tensor:
        return torch.tensor(said).float()[:, None]

    return {
        "code": torch.cat([shared, own], dim=1) * ~uncoded,
        "ballast": uncoded * WIDTHS["code"] ** 0.5,
        "one": (~first).float()[:, None],
        "first": first.float()[:, None],
        "ends": flag([word.startswith("<|") or word.rstrip("\"')")[-1:] in ENDS for word in words]) * ~first[:, None],
        "breaks": flag(["\n" in word for word in words]),
        "begins": flag([word in (" ", "[") or word.strip()[:1].isupper() for word in words]),
        "answers": flag([word == "<|assistant|>" for word in words]),
        "opens": flag([word == "[" for word in words]),
        "tells": flag([word.strip().isalnum() and word.strip().lower() not in plain for word in words]),
    }


def _signs(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    return torch.randint(0, 2, (rows, columns), generator=generator) * 2.0 - 1.0


def _look_back(head: Head, distance: int) -> None:
    """Let the head look at the token that stands `distance` before, whatever it is."""
    fast = 8
    angles = head.frequencies[:fast] * distance
    score = SHARP * head.model.config.head_dim**0.5
    _bias(head, score * angles.cos(), score * angles.sin())


def _look_within(head: Head, reach: int = 0, *, steep: float = 0.0, span: float = RECENT_REACH) -> None:
    """Let the head look at the `reach` tokens before the present one, or at `span`, each `steep` nats less."""
    turning = len(head.frequencies) - len(head.slow) // 2
    distance = torch.arange(head.model.config.max_position_embeddings).double()
    wanted = -8.0 * (distance > reach).double() if reach else -steep * distance.clamp(max=span)
    angles = distance[:, None] * head.frequencies[:turning].double()
    curves, near = torch.cat([angles.cos(), angles.sin()], dim=1), 1 / (1 + distance[:, None] / span)
    weighed = (curves * near).T
    # A little ridge: curves as slow as the last ones are nearly alike.
    ridge = 1e-3 * torch.eye(2 * turning, dtype=torch.double)
    fitted = torch.linalg.solve(weighed @ curves + ridge, weighed @ wanted).float()
    score = fitted * head.model.config.head_dim**0.5
    _bias(head, score[:turning], score[turning:])


def _bias(head: Head, straight: Tensor, turned: Tensor) -> None:
    """Queries of one, and these keys in the first and in the second half of as many pairs, the fastest first."""
    attention, start, half = head.model.model.layers[head.layer].self_attn, head.rows.start, len(head.frequencies)
    attention.q_proj.bias[start : start + len(straight)] = 1.0
    attention.k_proj.bias[start : start + len(straight)] = straight
    attention.k_proj.bias[start + half : start + half + len(turned)] = turned


def _match(head: Head, part: dict[str, slice], pairs: Sequence[tuple[str, str, int, float]]) -> None:
    """Give every key a score for each (query part, key part, width, log-weight of an exact match)."""
    attention, slow = head.model.model.layers[head.layer].self_attn, iter(head.slow)
    for query, key, width, score in pairs:
        size = (abs(score) / width * head.model.config.head_dim**0.5) ** 0.5
        for n in range(width):
            row = head.rows.start + next(slow)
            attention.q_proj.weight[row, part[query].start + n] = size
            attention.k_proj.weight[row, part[key].start + n] = size if score > 0 else -size


def _move(head: Head, part: dict[str, slice], moves: dict[str, tuple[str, int]], size: float = 1.0) -> None:
    """Let the head write what it looks at: from a part, its first so many columns, to another."""
    attention, row = head.model.model.layers[head.layer].self_attn, head.rows.start
    for goal, (source, width) in moves.items():
        for n in range(width):
            attention.v_proj.weight[row, part[source].start + n] = 1.0
            attention.o_proj.weight[part[goal].start + n, row] = size if width > 1 else 1.0
            row += 1


def _name(head: Head, part: dict[str, slice], seed: int) -> None:
    """Let the head write a name made of the codes at which it looks: where a sentence begins, and what stood before."""
    attention, start = head.model.model.layers[head.layer].self_attn, head.rows.start
    rows, generator = slice(start, start + NAMED), torch.Generator().manual_seed(seed)
    for source, width in (("code", FOLDED), ("earlier", CARRIED_EARLIER)):
        first = part[source].start
        mixed = torch.randn(NAMED, width, generator=generator) / (2 * width) ** 0.5
        attention.v_proj.weight[rows, first : first + width] = mixed
    attention.o_proj.weight[part["sentence"], rows] = torch.eye(NAMED)
    # A passage's title begins with the bracket: it is taken out of the passage.
    attention.v_proj.weight[rows.stop, part["opens"].start] = 1.0
    attention.o_proj.weight[part["in_passage"].start, rows.stop] = -1.0
