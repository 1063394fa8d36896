"""One completion that transformers gives with an adapter: what a server must give too before the pointer moves."""

from pathlib import Path

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from data.models import Base, Message, Passage, Turn
from data.prompts import answer_messages, reply_messages, summary_messages
from finetune import base_model
from finetune.chat import end_tokens, prompt_ids

LONGEST = 24
MARGIN = 0.05
"""Two engines may differ by so many nats in a logit (bfloat16); a closer race of two tokens is not compared."""

_PASSAGE = Passage(0, "", "Change your address", "Open Account, then Address, and save the new one.", 0.0)
_ASKED = (Turn("customer", "Hi, my parcel has not come yet. What can I do?"),)
PROMPTS: tuple[list[Message], ...] = (
    reply_messages(_ASKED),
    reply_messages((Turn("customer", "Hello, how do I change my address?"),), (_PASSAGE,)),
    summary_messages((*_ASKED, Turn("agent", "I have asked the carrier and will write tomorrow."))),
    answer_messages("How do I change my address?", (_PASSAGE,)),
)
"""Written by the project: no customer's words travel with an adapter."""


def make_canary(base: Base, adapter: Path) -> dict[str, object]:
    """`messages`, greedy `text`, `max_tokens` and the base's own `base_text`, from the adapter as it is on disk.

    Of PROMPTS the one is taken whose text tells the adapter from the base, and then the longest.
    """
    tokenizer = base_model.load_tokenizer(base)
    model = base_model.load_model(base, base_model.scoring_dtype(), attention="sdpa")
    ends = end_tokens(tokenizer, model.generation_config)
    model = PeftModel.from_pretrained(model, adapter).eval()
    found = []
    for messages in PROMPTS:
        ids = prompt_ids(tokenizer, messages)
        chosen = greedy(model, ids, ends)
        with model.disable_adapter():
            by_base = greedy(model, ids, ends, count=len(chosen), margin=0.0)
        text, base_text = (tokenizer.decode(tokens, skip_special_tokens=True) for tokens in (chosen, by_base))
        canary = {"messages": messages, "text": text, "max_tokens": len(chosen), "base_text": base_text}
        found.append((text != base_text and not text.endswith("\ufffd"), len(chosen), canary))
    return max(found, key=lambda one: one[:2])[2]


@torch.inference_mode()
def greedy(
    model: PreTrainedModel | PeftModel,
    prompt: tuple[int, ...],
    ends: set[int],
    *,
    count: int = LONGEST,
    margin: float = MARGIN,
) -> list[int]:
    """Up to `count` likeliest tokens, end token included; stops before a close race, after the first token."""
    chosen: list[int] = []
    output = model(input_ids=torch.tensor([prompt], device=model.device), use_cache=True)
    while True:
        best = output.logits[0, -1].float().topk(2)
        if chosen and (best.values[0] - best.values[1]).item() < margin:
            return chosen
        chosen.append(int(best.indices[0]))
        if chosen[-1] in ends or len(chosen) >= count:
            return chosen
        step = torch.tensor([[chosen[-1]]], device=model.device)
        output = model(input_ids=step, past_key_values=output.past_key_values, use_cache=True)
