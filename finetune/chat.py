"""Messages → tokens, with the base's own chat template, cut to length the way serving would cut them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from transformers import GenerationConfig, PreTrainedTokenizerBase

from data.errors import TrainingFailed
from data.models import Message
from data.prompts import without_examples

CONVERSATION = "Conversation:\n"


@dataclass(frozen=True)
class Tokens:
    """Token ids of one prompt and of the text that follows it, end token included."""

    prompt: tuple[int, ...]
    target: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.target)


def end_tokens(tokenizer: PreTrainedTokenizerBase, generation: GenerationConfig | None) -> set[int]:
    """The tokens that end an answer: the generation config's, and the tokenizer's own."""
    configured = generation.eos_token_id if generation is not None else None
    listed = configured if isinstance(configured, list) else [configured]
    return {token for token in (*listed, tokenizer.eos_token_id) if token is not None}


def prompt_ids(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> tuple[int, ...]:
    """The tokens that vLLM would read for these messages."""
    text = tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])


def encode(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], target: str, *, limit: int, ends: Iterable[int]
) -> Tokens | None:
    """Prompt and target within `limit` tokens. None when the target and one turn alone do not fit.

    Examples are cut first, then the oldest turns, then the passages; never the target.
    """
    whole = _encode(tokenizer, messages, target, set(ends))
    if len(whole) <= limit:
        return whole
    messages = without_examples(messages)
    for cut in ever_shorter(messages[-1]["content"], tokenizer, limit - len(whole.target)):
        shorter = [messages[0], Message(role="user", content=cut)]
        tokens = _encode(tokenizer, shorter, target, set(ends))
        if len(tokens) <= limit:
            return tokens
    return None


def _encode(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], target: str, ends: set[int]) -> Tokens:
    prompt = tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
    answered = [*messages, Message(role="assistant", content=target)]
    whole = tokenizer.apply_chat_template(answered, tokenize=False)
    if not whole.startswith(prompt):
        raise TrainingFailed(
            "The chat template of BASE_MODEL does not put an answer after its own generation prompt: "
            "choose an instruct model whose template does."
        )
    before = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    both = tokenizer(whole, add_special_tokens=False)["input_ids"]
    # In serving the prompt is tokenised alone: where the border would merge into one token, so must it be here.
    after = both[len(before) :] if both[: len(before)] == before else _alone(tokenizer, whole[len(prompt) :])
    last = max((at for at, token in enumerate(after) if token in ends), default=None)
    if last is None:
        raise TrainingFailed(
            "The chat template of BASE_MODEL ends an answer with a token that does not end generation: "
            "set eos_token_id in its generation_config.json."
        )
    return Tokens(tuple(before), tuple(after[: last + 1]))


def _alone(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def ever_shorter(content: str, tokenizer: PreTrainedTokenizerBase, room: int) -> Iterable[str]:
    """The asked text with fewer and fewer of its oldest turns, and at last without its passages."""
    yield content
    head, mark, thread = content.rpartition(CONVERSATION)
    lines = thread.split("\n") if mark else [thread]
    counts = [len(_alone(tokenizer, line)) for line in lines]
    first = 0
    for kept_head in (head, ""):
        over = len(_alone(tokenizer, kept_head)) + sum(counts[first:]) - room
        while first < len(lines) - 1:
            # Some at once while far over, then one by one: every yield costs a tokenisation.
            while over > 0 and first < len(lines) - 2:
                over -= counts[first]
                first += 1
            first += 1
            yield kept_head + mark + "\n".join(lines[first:])
        yield kept_head + mark + "\n".join(lines[first:])
