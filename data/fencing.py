"""Keep data in a prompt data: what imitates the prompt's form is bent, and orders to the machine are cut. Pure.

An article, a web page or a customer may write anything. Ordinary texts come out as they went in, so prompts that are
stored, trained on and served stay the same; only what looks like a turn, a heading, a numbered passage or a model's
control token is changed, by a space or a bracket.
"""

import base64
import binascii
import re
import unicodedata

from data.code import outside_code
from data.sentences import split_sentences

# Zero-width and bidirectional marks, soft hyphens and tag characters; not the joiners that some scripts and emoji need.
HIDDEN = re.compile(
    "[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\U000e0000-\U000e007f]"
)
_CONTROL = re.compile(
    r"<(?=[|\uff5c])|<(?=/?s>)|<(?=(?:start|end)_of_turn>)|<(?=</?SYS>>)"
    r"|<(?=/?(?:bos|eos|pad|unk|system|user|assistant)>)"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\])",
    re.IGNORECASE,
)
_HEADING = re.compile(
    r"^(\W*(?:customer|agent|assistant|system|user|human|tool|developer|conversation|question|help centre|earlier draft"
    r"|earlier in this thread|summary so far|part \d+))(?=:)",
    re.IGNORECASE | re.MULTILINE,
)
_PARAGRAPH = re.compile(r"\n\s*\n")
_NUMBERED = re.compile(r"\[(\d+)\]")
_STANDING_ALONE = re.compile(r"(?<![\w\])])\[(\d+)\]")
"""Not a place in a list, as in `argv[1]`."""

_SAY = "reply|respond|answer|say|print|output|repeat|write|reveal|show|list|append|include|add|insert|cite|tell"
_MACHINES = r"(?:(?:ai\s+)?(?:assistants?|chatbots?|bots?)|llms?|ais?|(?:ai\s+|large\s+|language\s+)+models?)"
_RULES = r"(?:instruction|prompt|rule|guideline|direction)s?\b"
_EARLIER = "your|previous|prior|earlier|above|preceding|system|safety"
_ORDERS = [
    re.compile(pattern, re.IGNORECASE | re.DOTALL)
    for pattern in (
        # "Override this rule" and "bypass the prompt" are said of programs; "your rules" are the machine's.
        rf"\b(?:ignore|disregard|forget|override|bypass)\b.{{0,30}}\b(?:{_EARLIER})\b.{{0,20}}\b{_RULES}",
        r"\b(?:ignore|disregard|forget)\s+(?:(?:all|any|every|these|those|the)\s+)*(?:instruction|guideline|direction)s?\b",
        rf"\b(?:ignore|disregard|forget|override|bypass)\b.{{0,30}}\b{_RULES}\s+(?:above|before|so\s+far|given)\b",
        r"\b(?:ignore|disregard|forget)\s+(?:(?:everything|all)\s+(?:you|above|before|of\s+the\s+above)\b|the\s+above\b)",
        r"\b(?:ignore|disregard|forget)\s+(?:everything|what|all)\b.{0,30}\b(?:told|said|above|before)\b",
        r"\byour\s+(?:system|developer|hidden|secret)\s+(?:prompt|message|instruction|rule)s?\b",
        r"\byour\s+(?:initial|original|own|real)\s+(?:prompt|instruction)s?\b",
        r"^\W*(?:system|developer|admin\w*)\s+(?:message|note|override|prompt|instruction)s?\s*[:\]>]",
        r"^\W*[\[<]\s*(?:system|developer|admin)\s*[\]>]|^\W*(?-i:SYSTEM|DEVELOPER|ADMIN)\s*:",
        r"\b(?:new|updated|real)\s+instructions?\s*:|\bnew\s+instructions?\s+(?:for|from)\s+(?:the\s+)?(?:ai|assistant|bot|model)",
        rf"\byou\s+are\s+now\s+(?:an?|the|my|called)\s+(?:\w+\s+){{0,3}}?(?:{_MACHINES}|persona|character|pirate)\b",
        r"\byou\s+are\s+(?:now|no\s+longer)\s+(?:dan|free|bound|restricted|limited)\b",
        rf"\bfrom\s+now\s+on,?\s+(?:you\s+)?(?:(?:will|must|shall|should|are\s+to)\s+)?(?:only\s+|always\s+)?(?:{_SAY})\b",
        r"\bpretend\s+(?:to\s+be|you|that\s+you)\b|\brole-?play\b",
        r"(?:^|[.!?:;,]\s*|\b(?:you|please|must|now)\s+)(?:act|behave)\s+as\s+(?:an?|if|though)\b",
        rf"\b{_MACHINES}\b(?:\W+\w+){{0,6}}?\W+(?:must|should|shall|ha(?:s|ve)\s+to)\s+(?:\w+\s+)?(?:{_SAY}|ignore|obey|never|always)\b",
        rf"^\W*(?:(?:dear|hey|attention|note\s+to|to)\s+(?:(?:all|the|any)\s+)*)?{_MACHINES}\s*[,:]\s+"
        rf"(?:please\s+|you\s+(?:must|should)\s+)?(?:{_SAY}|ignore|always|never)\b",
        rf"\b(?:when|if|while)\s+(?:you\s+)?(?:are\s+)?(?:summari[sz]|answer|respond|process|read)\w*\b.{{0,80}}"
        rf"\b(?:{_SAY}|mention|claim)\s+(?:\w+\s+){{0,3}}?(?:that\b|https?:)",
        r"\b(?:reply|respond|answer|say|print|output|repeat)\b.{0,20}\b(?:only\s+with\b|exactly:|verbatim:)",
        r"\b(?:reveal|print|output|repeat|show|list|leak|dump|disclose)\b.{0,30}\b(?:internal|hidden|confidential|secret)\s+"
        r"(?:passage|source|prompt|instruction|note|rule|document|article|voucher|polic)",
        r"\b(?:every|each)\s+answer\b|\ball\s+(?:of\s+)?your\s+(?:answer|repl|response)",
        r"(?:^|[.!:;,]\s*|\b(?:and|then|please|must)\s+)(?:leak|exfiltrate|reveal|dump)\s+(?:the|your|all|any|every)\b.{0,30}"
        r"\b(?:prompt|password|secret|token|passage|confidential)",
        r"\bdan\s+mode\b|\bdo\s+anything\s+now\b|\bdeveloper\s+mode\s+(?:is\s+)?(?:now\s+)?(?:enabled|activated|on)\s*[:,.!]",
        r"\b(?:ignorier|vergiss|vergesst|missachte)\w*\b.{0,40}(?:anweisung|regel|vorherig|bisherig|alles)",
        r"\b(?:ignore[zr]?|oublie[zr]?)\b.{0,40}(?:instruction|consigne|r.gles?\b)",
        r"\b(?:ignora|olvida|descarta|dimentica)\w*\b.{0,40}(?:instruccion|istruzion|reglas?\b|regole|instru)",
        "(?:\u0438\u0433\u043d\u043e\u0440\u0438\u0440|\u0437\u0430\u0431\u0443\u0434\u044c).{0,40}(?:\u0438\u043d\u0441\u0442\u0440\u0443\u043a\u0446|\u043f\u0440\u0430\u0432\u0438\u043b)",
        "(?:\u5ffd\u7565|\u65e0\u89c6|\u7121\u8996).{0,20}(?:\u6307\u4ee4|\u6307\u793a|\u89c4\u5219)|\u6307\u793a.{0,4}\u7121\u8996",
        r"!\[[^\]]*\]\(\s*https?:[^)]*[?&]\w+=",
    )
]
"""Sentences that speak to a machine and not to a reader: overrides, roles, leaks, and pictures fetched from the web."""
_ENCODED = re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{24,}={0,2}")


def fenced(text: str) -> str:
    """What somebody wrote, so that nothing in it passes for a turn, a heading or a control token of the prompt."""
    text = HIDDEN.sub("", text)
    text = _CONTROL.sub(lambda found: found[0] + " ", text)
    return _HEADING.sub(r"\1 ", text)


def fenced_passage(text: str) -> str:
    """A passage of the help centre: fenced, without numbers that pass for other passages, and without orders."""
    return fenced(_STANDING_ALONE.sub(r"(\1)", quotable(text)))


def quotable(text: str) -> str:
    """A passage as it may be quoted to a reader: without orders, and without numbers that pass for citations.

    Code stays as it is.
    """
    return without_orders(outside_code(HIDDEN.sub("", text), lambda part: _NUMBERED.sub(r"(\1)", part)))


def without_orders(text: str) -> str:
    """The text without sentences that tell a machine what to do, and without what follows them in their paragraph.

    A reader of the article loses nothing.
    """
    kept = [_until_order(paragraph) for paragraph in _PARAGRAPH.split(text)]
    return text if all(whole for _, whole in kept) else "\n\n".join(part for part, _ in kept if part)


def _until_order(paragraph: str) -> tuple[str, bool]:
    """The beginning of a paragraph up to the first order, and whether that is all of it."""
    beginning = ""
    for piece in split_sentences(paragraph):
        if is_order(piece):
            return beginning.strip(), False
        beginning += piece
    return beginning, True


def is_order(sentence: str) -> bool:
    """Does it speak to a machine? Also where it is spelled in other letters, or encoded."""
    folded = unicodedata.normalize("NFKC", HIDDEN.sub("", sentence))
    texts = [folded, *map(_decoded, _ENCODED.findall(folded))]
    return any(pattern.search(text) for pattern in _ORDERS for text in texts)


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return ""
