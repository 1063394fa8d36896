"""What contenders say to held-out cases: the nats of human targets, and texts of their own. In transformers."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import PeftModel
from transformers import LogitsProcessor, LogitsProcessorList, PreTrainedModel, PreTrainedTokenizerBase

from data.models import BASE, Base
from finetune import base_model
from finetune.attention import ATTENTION
from finetune.chat import Tokens, end_tokens
from finetune.growing_cache import growing_cache
from finetune.packing import pack, rows_of, target_nats
from serving.loops import FREQUENCY_PENALTY, repeats_itself

WRITING_BATCH = 16
"""Of prompts about as long as one another. In batches of 40 the demo's texts took a fifth longer on the CPU."""


@dataclass(frozen=True)
class Written:
    """A contender's own text. `ended` says whether it stopped by itself."""

    text: str
    ended: bool


class FrequencyPenalty(LogitsProcessor):
    """vLLM's `frequency_penalty`, which transformers lacks: `penalty` times the count of each token written after the
    first `width` is taken from its logit."""

    def __init__(self, penalty: float, width: int) -> None:
        self._penalty, self._width = penalty, width

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """`input_ids` (batch, tokens), `scores` (batch, vocabulary); returns new scores."""
        said = input_ids[:, self._width :]
        return scores.scatter_add(1, said, scores.new_full(said.shape, -self._penalty))


class Stage:
    """One copy of the base in memory, with every contender's adapter on it."""

    def __init__(self, base: Base, adapters: Mapping[str, Path]) -> None:
        self.tokenizer: PreTrainedTokenizerBase = base_model.load_tokenizer(base)
        self.model: PreTrainedModel | PeftModel = base_model.load_model(base, base_model.scoring_dtype())
        self.ends = end_tokens(self.tokenizer, self.model.generation_config)
        self.context = int(self.model.config.get_text_config().max_position_embeddings)
        for name, directory in adapters.items():
            if isinstance(self.model, PeftModel):
                self.model.load_adapter(directory, adapter_name=name)
            else:
                self.model = PeftModel.from_pretrained(self.model, directory, adapter_name=name)
        self.model.eval()

    @contextmanager
    def _with(self, name: str, attention: str) -> Iterator[PreTrainedModel | PeftModel]:
        base = self.model.get_base_model() if isinstance(self.model, PeftModel) else self.model
        base.set_attn_implementation(attention)
        if not isinstance(self.model, PeftModel):
            yield self.model
        elif name == BASE:
            with self.model.disable_adapter():
                yield self.model
        else:
            self.model.set_adapter(name)
            yield self.model

    def _fast_products(self) -> torch.autocast:
        """Matrix products in bfloat16 where the machine has them: three times faster, for both contenders alike."""
        return torch.autocast(
            self.model.device.type, torch.bfloat16, enabled=base_model.training_dtype() == torch.bfloat16
        )

    def nats(self, name: str, sequences: Sequence[Tokens], *, tokens_per_pass: int) -> list[float]:
        """Negative log likelihood of each target under a contender, summed over its tokens, in nats."""
        found = [0.0] * len(sequences)
        with torch.inference_mode(), self._with(name, ATTENTION) as model, self._fast_products():
            for places in rows_of(sequences, tokens_per_pass):
                row = pack([sequences[at] for at in places], self.model.device)
                sums = torch.zeros(len(places), device=self.model.device).index_add_(
                    0, row.owners, target_nats(model, row)
                )
                for at, nats in zip(places, sums.tolist(), strict=True):
                    found[at] = nats
        return found

    def draw(self, name: str, prompts: Sequence[tuple[int, ...]], *, longest: int, temperature: float) -> list[Written]:
        """A contender's answers drawn at random; the same ones whenever this is repeated."""
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return self._write(name, prompts, longest=longest, temperature=temperature)

    def write(self, name: str, prompts: Sequence[tuple[int, ...]], *, longest: int) -> list[Written]:
        """A contender's greedy answers of at most `longest` tokens, as the engine would give them: one that begins to
        repeat itself is written again with a penalty on what it said before."""
        found = self._write(name, prompts, longest=longest)
        looping = [at for at, written in enumerate(found) if repeats_itself(written.text)]
        again = self._write(name, [prompts[at] for at in looping], longest=longest, penalty=FREQUENCY_PENALTY)
        for at, written in zip(looping, again, strict=True):
            if not repeats_itself(written.text):
                found[at] = written
        return found

    def _write(
        self,
        name: str,
        prompts: Sequence[tuple[int, ...]],
        *,
        longest: int,
        penalty: float = 0.0,
        temperature: float = 0.0,
    ) -> list[Written]:
        """In batches padded on the left."""
        sampled = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
        how = sampled if temperature else {"do_sample": False}
        pad = self.tokenizer.pad_token_id if self.tokenizer.pad_token_id is not None else min(self.ends)
        order = sorted(range(len(prompts)), key=lambda at: len(prompts[at]))
        found: dict[int, Written] = {}
        with torch.inference_mode(), self._with(name, "sdpa") as model:
            for first in range(0, len(order), WRITING_BATCH):
                places = order[first : first + WRITING_BATCH]
                width = max(len(prompts[at]) for at in places)
                ids = torch.tensor([[pad] * (width - len(prompts[at])) + list(prompts[at]) for at in places])
                mask = torch.tensor([[0] * (width - len(prompts[at])) + [1] * len(prompts[at]) for at in places])
                written = model.generate(
                    input_ids=ids.to(self.model.device),
                    attention_mask=mask.to(self.model.device),
                    max_new_tokens=longest,
                    **how,
                    past_key_values=growing_cache(self.model),
                    logits_processor=LogitsProcessorList([FrequencyPenalty(penalty, width)] if penalty else []),
                    pad_token_id=pad,
                    eos_token_id=sorted(self.ends),
                )
                for at, answer in zip(places, written[:, width:].tolist(), strict=True):
                    found[at] = self._written(answer)
        return [found[at] for at in range(len(prompts))]

    def _written(self, answer: list[int]) -> Written:
        ended = next((at for at, token in enumerate(answer) if token in self.ends), None)
        text = self.tokenizer.decode(answer[:ended], skip_special_tokens=True)
        return Written(text.strip(), ended is not None)
