"""Measure what redact.py finds on texts with labelled personal data."""

from collections import defaultdict
from pathlib import Path
from typing import Any

from data.errors import BadFile
from data.jsonlines import BadLine, objects, read_lines
from data.redact import KINDS, Kind, personal_data

LABELS: dict[Kind, frozenset[str]] = {
    "SECRET": frozenset({"PASSWORD", "SECRET"}),
    "EMAIL": frozenset({"EMAIL_ADDRESS"}),
    "IBAN": frozenset({"IBAN_CODE"}),
    "CARD": frozenset({"CREDIT_CARD"}),
    "ID": frozenset({"US_SSN", "US_DRIVER_LICENSE", "ES_NIF", "IT_FISCAL_CODE"}),
    "IP": frozenset({"IP_ADDRESS"}),
    "PHONE": frozenset({"PHONE_NUMBER"}),
    "ADDRESS": frozenset({"STREET_ADDRESS", "ZIP_CODE"}),
    "NAME": frozenset({"PERSON", "TITLE"}),
}
"""The labels that a found kind may stand on. TITLE: Mr. and Dr. belong to a name."""
SOUGHT: dict[Kind, frozenset[str]] = LABELS | {"ADDRESS": frozenset({"STREET_ADDRESS"}), "NAME": frozenset({"PERSON"})}
"""The labels that a kind is meant to find."""


def evaluate_redaction(path: Path) -> dict[str, Any]:
    """Precision and recall by kind, on JSON lines of {"text", "spans": [{"type", "start", "end"}]}.

    A found piece is right when it touches a label of its kind; a label is found when some piece of whatever kind covers
    it whole, for then it is masked. Labels that nothing seeks are counted apart. Raises BadFile.
    """
    right: dict[Kind, int] = defaultdict(int)
    found_count: dict[Kind, int] = defaultdict(int)
    covered: dict[str, int] = defaultdict(int)
    labelled: dict[str, int] = defaultdict(int)
    texts = 0
    for line in objects(read_lines(path)):
        number, value = (line.number, {}) if isinstance(line, BadLine) else line
        text, spans = value.get("text"), value.get("spans")
        if not isinstance(text, str) or not isinstance(spans, list):
            raise BadFile(f'{path} is not JSON lines of {{"text", "spans"}}: look at line {number}.')
        texts += 1
        pieces = personal_data(text)
        for piece in pieces:
            found_count[piece.kind] += 1
            right[piece.kind] += any(
                piece.start < span["end"] and piece.end > span["start"] and span["type"] in LABELS[piece.kind]
                for span in spans
            )
        for span in spans:
            labelled[span["type"]] += 1
            covered[span["type"]] += any(p.start <= span["start"] and p.end >= span["end"] for p in pieces)
    if not texts:
        raise BadFile(f"{path} holds no text.")
    kinds: dict[str, Any] = {}
    for kind in KINDS:
        sought = sum(labelled[label] for label in SOUGHT[kind])
        if sought or found_count[kind]:
            kinds[kind] = {
                "found": found_count[kind],
                "precision": round(right[kind] / found_count[kind], 3) if found_count[kind] else None,
                "labelled": sought,
                "recall": round(sum(covered[label] for label in SOUGHT[kind]) / sought, 3) if sought else None,
            }
    seeking = frozenset().union(*SOUGHT.values())
    unsought = {label: count for label, count in sorted(labelled.items()) if label not in seeking}
    return {"texts": texts, "kinds": kinds, "not_sought": unsought}
