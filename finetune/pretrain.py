"""Train the embedded base model ("starter") from scratch: tokenizer, model, resumable loop, files for serving.

    python -m finetune pretrain --tokens 20000000
    python -m finetune pretrain --from serving/starter --tokens 20000000    # go on with a trained one, on new rows

A checkpoint is written every few minutes; the same command goes on from it. The rows of a step depend on the seed and
the step alone, so a resumed run sees what an unbroken one would have seen.
"""

import argparse
import copy
import hashlib
import itertools
import json
import math
import os
import time
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from tqdm import tqdm
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from data.errors import BadFile
from data.models import Message
from finetune.base_model import training_dtype
from finetune.corpus.rows import Corpus, Row, load, rows
from finetune.reading_heads import keep_reading_heads, set_reading_heads

SPECIAL = ["<|pad|>", "<|start|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
# An answer begins with a space, so that its first word is the token that it is inside a passage.
CHAT_TEMPLATE = (
    "<|start|>{% for message in messages %}<|{{ message['role'] }}|>{{ ' ' if message['role'] == 'assistant' else '' }}"
    "{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
VOCABULARY = 6144
PROMPT_WEIGHT = 0.25
"""Loss weight of a thread's own words: they teach the language; the target, at weight 1, teaches the task."""
PASSAGE_WEIGHT = 0.05
"""Of passages and the fixed words before them: mostly numbers drawn at random, which nothing predicts."""
FIRST_WEIGHT, FIRST = 3.0, 2
"""Of a target's first tokens, and how many: they choose the sentence, what follows only goes on with it."""
LONG_SHARE = 0.08
"""The last share of the tokens is read in lines of 2,048, the context that serving offers; before that of 512."""


def train_tokenizer(corpus: Corpus) -> PreTrainedTokenizerFast:
    """Byte-level BPE; every digit is a token of its own, so that numbers are copied digit by digit."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    drawn = itertools.islice(rows(corpus, seed=-1), 12_000)
    texts = (text for messages, target in drawn for text in (*(m["content"] for m in messages), target))
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<|pad|>", bos_token="<|start|>", eos_token="<|end|>",
        clean_up_tokenization_spaces=False, model_max_length=2048,
    )  # fmt: skip
    fast.chat_template = CHAT_TEMPLATE
    return fast


def trained_model(where: Path) -> LlamaForCausalLM:
    """A model that `save` wrote, in float32, to go on with."""
    model = LlamaForCausalLM.from_pretrained(where, dtype=torch.float32).train()
    model.config.use_cache = False
    keep_reading_heads(model)
    return model


def new_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """About 15 million parameters; 64 per head, since vLLM's attention kernels want it."""
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY, hidden_size=384, intermediate_size=832, num_hidden_layers=8, num_attention_heads=6,
            num_key_value_heads=6, head_dim=64, max_position_embeddings=2048, tie_word_embeddings=True,
            pad_token_id=0, bos_token_id=1, eos_token_id=2, rms_norm_eps=1e-5, use_cache=False,
            attention_bias=True, rope_parameters={"rope_type": "default", "rope_theta": 1e8},
        )
    )  # fmt: skip
    set_reading_heads(model, tokenizer.convert_ids_to_tokens(list(range(VOCABULARY))))
    keep_reading_heads(model)
    return model


def optimizers_for(model: LlamaForCausalLM) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices, AdamW for the rest. The embeddings are large, so their rate is too."""
    embeddings = model.get_input_embeddings().weight
    others = [p for p in model.parameters() if p is not embeddings]
    matrices, vectors = [p for p in others if p.ndim == 2], [p for p in others if p.ndim != 2]
    groups = [{"params": vectors, "lr": 2e-3}, {"params": [embeddings], "lr": 2e-2}]
    return [
        torch.optim.Muon(matrices, lr=8e-3, weight_decay=0.0, momentum=0.95, adjust_lr_fn="original"),
        torch.optim.AdamW(groups, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def encode(tokenizer: PreTrainedTokenizerFast, row: Row) -> tuple[list[int], list[float]]:
    """Token ids of prompt and target, and the loss weight of each: see PROMPT_WEIGHT and PASSAGE_WEIGHT."""
    messages, target = row
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    thread_at = max(prompt.rfind("Conversation:\n"), prompt.rfind("Question: "))
    before = tokenizer(prompt, add_special_tokens=False, return_offsets_mapping=True)
    whole = tokenizer.apply_chat_template([*messages, Message(role="assistant", content=target)], tokenize=False)
    after = tokenizer(whole[len(prompt) :], add_special_tokens=False)["input_ids"]
    weights = [PROMPT_WEIGHT if start >= thread_at else PASSAGE_WEIGHT for start, _ in before["offset_mapping"]]
    first = min(FIRST, len(after))
    return before["input_ids"] + after, weights + [FIRST_WEIGHT] * first + [1.0] * (len(after) - first)


def batch(tokenizer, corpus: Corpus, step: int, count: int, length: int) -> tuple[torch.Tensor, ...]:
    """`count` lines of `length` tokens, each filled with whole rows, first fit; padding where none fits any more.

    Token ids, loss weights, and positions, which begin at 0 in every row: by them the model keeps rows apart.
    """
    ids: list[list[int]] = [[] for _ in range(count)]
    weights: list[list[float]] = [[] for _ in range(count)]
    places: list[list[int]] = [[] for _ in range(count)]
    misses = 0
    for row in rows(corpus, seed=step):
        more, more_weights = encode(tokenizer, row)
        line = next((n for n in range(count) if len(ids[n]) + len(more) <= length), None)
        if line is None:
            misses += 1
            if misses > 2 * count:
                break
            continue
        ids[line] += more
        weights[line] += [0.0, *more_weights[1:]]
        places[line] += range(len(more))
    pad = [length - len(line) for line in ids]
    return (
        torch.tensor([line + [0] * n for line, n in zip(ids, pad, strict=True)]),
        torch.tensor([line + [0.0] * n for line, n in zip(weights, pad, strict=True)]),
        torch.tensor([line + list(range(n)) for line, n in zip(places, pad, strict=True)]),
    )


def loss_of(model, ids: torch.Tensor, weights: torch.Tensor, places: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Weighted mean loss to train on, and the plain mean loss over the targets alone (nats per token)."""
    # The heavier half alone: the logits of passages' words cost as much as any, and hardly count.
    weight, kept = weights[:, 1:].flatten().topk(weights.numel() // 2, sorted=False)
    # With AVX2 alone forth and back takes 9.6 s in bfloat16 and .9 in float32. Muon computes in bfloat16 everywhere.
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=training_dtype() == torch.bfloat16):
        hidden = model.model(input_ids=ids, position_ids=places).last_hidden_state[:, :-1].flatten(0, 1)
        logits = model.lm_head(hidden[kept])
    each = torch.nn.functional.cross_entropy(logits.float(), ids[:, 1:].flatten()[kept], reduction="none")
    target = weight >= 1.0
    return (each * weight).sum() / weight.sum(), each[target].sum() / target.sum()


def rate(done: float) -> float:
    """Warm-up, flat, then a fall over the last 35%, as a share of the top rate; `done` is the share of tokens seen."""
    return min(1.0, done / 0.015, max(0.0, (1 - done) / 0.35))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m finetune pretrain", description=__doc__.splitlines()[0])
    parser.add_argument("--dialogues", type=Path, default=Path("../shared/data/dialogues/star.train.jsonl.gz"))
    parser.add_argument("--dev", type=Path, default=Path("../shared/data/dialogues/star.dev.jsonl.gz"))
    parser.add_argument("--work", type=Path, default=Path("var/pretrain"), help="checkpoints and the loss log")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "serving" / "starter")
    parser.add_argument("--from", dest="begun", type=Path, metavar="DIR", help="go on with this model, not a new one")
    parser.add_argument("--tokens", type=int, default=20_000_000, help="tokens to see, those before --from not counted")
    parser.add_argument("--tokens-per-step", type=int, default=4096)
    parser.add_argument("--checkpoint-seconds", type=float, default=240)
    parser.add_argument("--compile", action="store_true", help="needs a C++ compiler; much faster")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    pretrain(arguments)
    return 0


def pretrain(arguments: argparse.Namespace) -> None:
    """Train until `tokens` were seen, then write model, tokenizer and card to `out`. Raises BadFile."""
    arguments.work.mkdir(parents=True, exist_ok=True)
    corpus, dev = load(arguments.dialogues), load(arguments.dev)
    tokenizer_at = arguments.work / "tokenizer"
    if not tokenizer_at.exists():
        known = PreTrainedTokenizerFast.from_pretrained(arguments.begun) if arguments.begun else train_tokenizer(corpus)
        known.save_pretrained(tokenizer_at)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(tokenizer_at)
    model = trained_model(arguments.begun) if arguments.begun else new_model(tokenizer)
    before = getattr(model.config, "tokens_seen", 0)
    begun = _digest(arguments.begun / "model.safetensors") if arguments.begun else None
    optimizers = optimizers_for(model)
    tops = [group["lr"] for optimizer in optimizers for group in optimizer.param_groups]
    train_loss = torch.compile(loss_of) if arguments.compile else loss_of
    lines = max(1, arguments.tokens_per_step // 512)
    checkpoint = arguments.work / "checkpoint.pt"
    step = seen = 0
    spent = 0.0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        if saved.get("begun") != begun:
            raise BadFile(
                f"{arguments.work} holds a training that did not begin with what --from says now: name another --work, "
                "or remove that folder."
            )
        model.load_state_dict(saved["model"])
        for optimizer, state in zip(optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        step, seen, spent = saved["step"], saved["seen"], saved["spent"]
    started = last_saved = time.monotonic()
    average = None
    log = (arguments.work / "loss.jsonl").open("a")
    with tqdm(total=arguments.tokens, initial=seen, unit="tok", unit_scale=True, desc="pretrain", mininterval=5) as bar:
        while seen < arguments.tokens:
            length = 512 if seen < (1 - LONG_SHARE) * arguments.tokens else 2048
            ids, *rest = batch(tokenizer, corpus, before + step, max(1, arguments.tokens_per_step // length), length)
            share = rate(seen / arguments.tokens)
            for group, top in zip((g for o in optimizers for g in o.param_groups), tops, strict=True):
                group["lr"] = top * max(share, 0.01)
            loss, target_loss = train_loss(model, ids, *rest)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            step += 1
            seen += ids.numel()
            average = target_loss.item() if average is None else 0.95 * average + 0.05 * target_loss.item()
            bar.update(ids.numel())
            bar.set_postfix(loss=f"{average:.3f}", refresh=False)
            if step % 20 == 0:
                log.write(
                    json.dumps(
                        {
                            "step": step,
                            "seen": seen,
                            "loss": round(average, 4),
                            "s": round(time.monotonic() - started + spent),
                        }
                    )
                    + "\n"
                )
                log.flush()
            if time.monotonic() - last_saved > arguments.checkpoint_seconds or seen >= arguments.tokens:
                last_saved = time.monotonic()
                beside = checkpoint.with_suffix(".tmp")
                states = [optimizer.state_dict() for optimizer in optimizers]
                torch.save({"model": model.state_dict(), "optimizers": states, "step": step, "seen": seen,
                            "begun": begun, "spent": spent + last_saved - started}, beside)  # fmt: skip
                beside.replace(checkpoint)
                (arguments.work / "dev.jsonl").open("a").write(
                    json.dumps({"seen": seen, "dev_loss": round(dev_loss(model, tokenizer, dev, lines), 4)}) + "\n"
                )
    model.config.tokens_seen = before + seen
    save(model, tokenizer, arguments.out)
    loss = dev_loss(model, tokenizer, dev, lines, steps=5 * lines)
    card = (Path(__file__).parent / "corpus" / "card.md").read_text()
    shape = model.config
    (arguments.out / "README.md").write_text(
        card.format(
            parameters=model.num_parameters(),
            layers=shape.num_hidden_layers,
            width=shape.hidden_size,
            heads=shape.num_attention_heads,
            context=shape.max_position_embeddings,
            vocabulary=shape.vocab_size,
            seen=before + seen,
            begun_with=" --from DIR" if before else "",
            begun=f", going on with a model that had seen {before:,}" if before else "",
            loss=f"{loss:.2f}",
            tokens=arguments.tokens,
            tokens_per_step=arguments.tokens_per_step,
            hours=(spent + time.monotonic() - started) / 3600,
            dialogues=len(corpus.dialogues),
            domains=len(corpus.domains),
            facts=sum(len(d["facts"]) for d in corpus.domains),
        )
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@torch.no_grad()
def dev_loss(model, tokenizer, dev: Corpus, lines: int, steps: int = 6) -> float:
    """Mean loss on targets of `lines` times `steps` lines of rows drawn from the dev split, nats per token."""
    model.eval()
    losses = [loss_of(model, *batch(tokenizer, dev, 10_000_000 + n, lines, 512))[1].item() for n in range(steps)]
    model.train()
    return math.fsum(losses) / steps


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    """Write weights in bfloat16 (half the size) with tokenizer, chat template and generation settings."""
    out.mkdir(parents=True, exist_ok=True)
    copied = LlamaForCausalLM(copy.deepcopy(model.config))
    copied.load_state_dict(model.state_dict())
    copied = copied.to(torch.bfloat16)
    copied.config.use_cache = copied.generation_config.use_cache = True
    copied.generation_config.do_sample = False
    copied.generation_config.eos_token_id = 2
    copied.save_pretrained(out)
    tokenizer.save_pretrained(out)
