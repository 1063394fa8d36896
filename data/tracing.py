"""An embedding model as one call: the same vectors, without Python between its layers.

A question's vector is half of a search's time, and a third of that is Python, for which the thread that reads the index
would wait. TorchScript, since torch.compile wants a C++ compiler.
"""

import logging
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

log = logging.getLogger(__name__)

TRIED = (["Is it late?"], ["", "Is it late?"], ["one word " * 40, "a b c d e", "Is 7 too late?"])
"""Texts of several numbers and lengths: for them a traced model must give what the model gives."""
SAME = 1e-6


def untraced(embedder: "SentenceTransformer", texts: list[str]) -> Tensor:
    """[texts, dimensions], as the model's last part leaves them."""
    return embedder(embedder.preprocess(texts))["sentence_embedding"]


def traced(embedder: "SentenceTransformer") -> Callable[[list[str]], Tensor]:
    """A faster `untraced` of this model; `untraced` itself where tracing fails, or fixes what depends on the texts."""
    with warnings.catch_warnings(), torch.inference_mode():
        # TorchScript says of each branch that it is fixed; whether that matters is tried here.
        warnings.simplefilter("ignore")
        try:
            faster = _traced(embedder)
            same = all((faster(texts) - untraced(embedder, texts)).abs().max() < SAME for texts in TRIED)
        except (RuntimeError, TypeError, ValueError, KeyError) as error:
            log.info("questions are embedded untraced, which takes a third longer: %s", error)
            same = False
    return faster if same else lambda texts: untraced(embedder, texts)


def _traced(embedder: "SentenceTransformer") -> Callable[[list[str]], Tensor]:
    example = embedder.preprocess(TRIED[0])
    names = [name for name, value in example.items() if isinstance(value, Tensor)]
    rest = {name: value for name, value in example.items() if name not in names}

    def whole(*tensors: Tensor) -> Tensor:
        return embedder(rest | dict(zip(names, tensors, strict=True)))["sentence_embedding"]

    embedder.requires_grad_(False)
    call = torch.jit.trace(whole, tuple(example[name] for name in names), check_trace=False)

    def faster(texts: list[str]) -> Tensor:
        features = embedder.preprocess(texts)
        return call(*(features[name] for name in names))

    return faster
