"""How a search's time and memory grow with the help centre: `make bench`, or with sizes: bench_search.py 1000 100000.

The passages are invented: words by Zipf's law, lengths as in real manuals, vectors at random, so that ranking is not
measured here and everything else is. Each size runs in a process of its own.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from data import store, store_vectors
from data.embedding import DEFAULT_MODEL, embed
from data.search import search
from data.store_vectors import Vector

SIZES = (1_000, 10_000, 100_000)
VOCABULARY = 60_000
WORDS = 84
QUESTION_WORDS = 10
QUESTIONS = 200
DIMENSIONS = 384
BATCH = 5_000


def main() -> None:
    if sys.argv[1:2] == ["one"]:
        print(json.dumps(measure(int(sys.argv[2]))))
        return
    sizes = [int(size) for size in sys.argv[1:]] or SIZES
    print("| passages | median ms | p95 ms | processor's p95 | its vector, median | database MB | memory MB |")
    print("|---|---|---|---|---|---|---|")
    for size in sizes:
        command = [sys.executable, __file__, "one", str(size)]
        found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        print(
            f"| {size:,} | {found['median']:.1f} | {found['p95']:.1f} | {found['processor']:.1f} "
            f"| {found['embedding']:.1f} "
            f"| {found['database_mb']:.0f} | {found['memory_mb']:.0f} |",
            flush=True,
        )


def measure(size: int) -> dict[str, float]:
    """Times of a search with its question's vector, in ms; memory is what the process grew by over the model's.

    On a busy machine the processor's time says more than the clock's; threads add up in it.
    """
    random = np.random.default_rng(0)
    embed(["warm"])
    before = psutil.Process().memory_info().rss
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.db"
        with store.connect(path) as db:
            fill(db, size, random)
            asked = [" ".join(said(random, QUESTION_WORDS)) for _ in range(QUESTIONS)]
            search(db, "warm")
            took, processor, embedding = [], [], []
            for question in asked:
                started = time.perf_counter()
                embed([question])
                embedding.append(1000 * (time.perf_counter() - started))
                started, worked = time.perf_counter(), time.process_time()
                search(db, question)
                took.append(1000 * (time.perf_counter() - started))
                processor.append(1000 * (time.process_time() - worked))
            return {
                "median": float(np.median(took)),
                "p95": float(np.quantile(took, 0.95)),
                "processor": float(np.quantile(processor, 0.95)),
                "embedding": float(np.median(embedding)),
                "database_mb": db.execute(
                    "select page_count * page_size from pragma_page_count, pragma_page_size"
                ).fetchone()[0]
                / 1e6,
                "memory_mb": (psutil.Process().memory_info().rss - before) / 1e6,
            }


def fill(db, size: int, random: np.random.Generator) -> None:
    """Documents of five passages each, with their vectors."""
    store_vectors.begin_vectors(db, DEFAULT_MODEL)
    for start in range(0, size, BATCH):
        with store.immediate(db):
            for document in range(start, min(size, start + BATCH), 5):
                lengths = random.integers(WORDS // 2, WORDS * 3 // 2, 5)
                chunks = [store.Chunk(" ".join(said(random, 5)), " ".join(said(random, n))) for n in lengths]
                name = f"d{document}"
                store.put_document(db, source=name, title=name, text="", sha256="", chunks=chunks, document_id=name)
            missing = store_vectors.unembedded(db, limit=BATCH)
            made = random.standard_normal((len(missing), DIMENSIONS)).astype(np.float32)
            made /= np.linalg.norm(made, axis=1, keepdims=True)
            bits, halves = np.packbits(made > 0, axis=1), made.astype(np.float16)
            vectors = [Vector(one.chunk_id, bits[n].tobytes(), halves[n].tobytes()) for n, one in enumerate(missing)]
            store_vectors.put_vectors(db, DEFAULT_MODEL, vectors)


def said(random: np.random.Generator, words: int) -> list[str]:
    """So many words by Zipf's law."""
    ranks = np.exp(random.random(words) * np.log(VOCABULARY)).astype(int)
    return [f"w{rank}" for rank in ranks]


if __name__ == "__main__":
    main()
