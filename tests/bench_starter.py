"""How well the starter quotes a help centre that it has never seen: `make bench`.

Questions are made of one to three words of a sentence in the demo's help centre (or its article's title), the sentence
is what should be answered; the article stands among up to two others. Greedy, in transformers.
"""

import json
import random
import re
import sys
from collections import Counter
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from data.models import Message, Passage, Turn
from data.prompts import answer_messages, reply_messages
from finetune.corpus.phrases import QUOTE_QUESTIONS
from finetune.corpus.reworded import sentences, telling_words
from serving.loops import repeats_itself
from serving.settings import STARTER

HELP_CENTRE = Path(__file__).parent.parent / "bot" / "demo" / "company" / "help_centre"
QUESTIONS, LONGEST = 100, 90


def main() -> int:
    where = sys.argv[1] if len(sys.argv) > 1 else str(STARTER)
    tokenizer = AutoTokenizer.from_pretrained(where)
    model = AutoModelForCausalLM.from_pretrained(where, dtype=torch.float32).eval()
    found: dict[str, Counter] = {"answer": Counter(), "reply": Counter()}
    rng = random.Random(7)
    articles = [_article(path) for path in sorted(HELP_CENTRE.glob("*.md"))]
    for _ in range(QUESTIONS):
        question, sentence, passages = _asked(rng, articles)
        prompts = {
            "answer": answer_messages(question, passages),
            "reply": reply_messages([Turn("customer", question)], passages),
        }
        for task, messages in prompts.items():
            text, ended = _written(model, tokenizer, messages)
            found[task].update(_measured(text, ended, sentence, passages))
    report = {
        task: {name: round(count / QUESTIONS, 3) for name, count in counts.items()} for task, counts in found.items()
    }
    print(json.dumps({"questions": QUESTIONS, **report}, indent=1))
    return 0


def _article(path: Path) -> tuple[str, str]:
    text = path.read_text()
    return text.splitlines()[0].strip("# "), " ".join(re.sub(r"^#.*$", "", text, flags=re.MULTILINE).split())


def _asked(rng: random.Random, articles: list[tuple[str, str]]) -> tuple[str, str, list[Passage]]:
    """A question, the sentence that answers it, and the passages that the prompt shows."""
    title, text = rng.choice(articles)
    sentence = rng.choice(sentences(text))
    about = telling_words(sentence) or telling_words(text)
    keys = [rng.choice(about) for _ in range(rng.randint(1, 3))]
    question = rng.choice(QUOTE_QUESTIONS).format(*keys, keys=" ".join(dict.fromkeys(keys)), title=title.lower())
    others = rng.sample([one for one in articles if one[0] != title], rng.randint(0, 2))
    shown = [(title, text), *others]
    rng.shuffle(shown)
    return question, sentence, [Passage(n, "article", name, body, 0.0) for n, (name, body) in enumerate(shown)]


def _written(model, tokenizer, messages: list[Message]) -> tuple[str, bool]:
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    with torch.no_grad():
        out = model.generate(**prompt, max_new_tokens=LONGEST, do_sample=False, pad_token_id=tokenizer.pad_token_id)
    tokens = out[0, prompt["input_ids"].shape[1] :]
    return tokenizer.decode(tokens, skip_special_tokens=True), tokens[-1].item() == tokenizer.eos_token_id


def _measured(text: str, ended: bool, sentence: str, passages: list[Passage]) -> dict[str, bool]:
    read = " ".join(passage.text for passage in passages)
    quoted = [part for part in sentences(re.sub(r" ?\[\d+\]", "", text)) if len(part) > 12]
    return {
        "the sentence": sentence in text,
        "some sentence, word for word": any(part.strip() in read for part in quoted),
        "all numbers from the passages": set(re.findall(r"\d+", re.sub(r"\[\d+\]", "", text)))
        <= set(re.findall(r"\d+", read)),
        "ended": ended,
        "repeats itself": bool(repeats_itself(text)),
    }


if __name__ == "__main__":
    sys.exit(main())
