"""What the hosted services and TRL take for fine-tuning, as their documentation states it: one model for one line.

OpenAI: guides "Supervised fine-tuning" and "Direct preference optimization". Gemini: Vertex AI, "Prepare supervised
fine-tuning data". Claude and Llama: Amazon Bedrock, "Prepare data for fine-tuning text-to-text models". TRL: "Dataset
formats and types". Nothing here sends anything anywhere.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from data.models import Message, Pair, PreferencePair

Text = Annotated[str, StringConstraints(min_length=1, pattern=r"\S")]


class Strict(BaseModel):
    """One line; a key that the service does not know is an error."""

    model_config = ConfigDict(extra="forbid")


class Said(Strict):
    """A message as most services take it."""

    role: Literal["system", "user", "assistant"]
    content: Text


class OpenAiChat(Strict):
    """Messages that end with the assistant's."""

    messages: list[Said]

    @model_validator(mode="after")
    def _ends_with_the_assistant(self) -> "OpenAiChat":
        _expect_alternating([one.role for one in self.messages if one.role != "system"], last="assistant")
        return self


class OpenAiInput(Strict):
    """What stands before both answers; the last message is the user's."""

    messages: list[Said]
    tools: list[Any]
    parallel_tool_calls: bool

    @model_validator(mode="after")
    def _ends_with_the_user(self) -> "OpenAiInput":
        _expect_alternating([one.role for one in self.messages if one.role != "system"], last="user")
        return self


class OpenAiPreference(Strict):
    """One input, and one answer each."""

    input: OpenAiInput
    preferred_output: Annotated[list[Said], Field(min_length=1, max_length=1)]
    non_preferred_output: Annotated[list[Said], Field(min_length=1, max_length=1)]


class GeminiPart(Strict):
    """A piece of a message."""

    text: Text


class GeminiContent(Strict):
    """A message; the assistant is called model."""

    role: Literal["user", "model"]
    parts: Annotated[list[GeminiPart], Field(min_length=1)]


class GeminiInstruction(Strict):
    """The system message."""

    role: Literal["system"]
    parts: Annotated[list[GeminiPart], Field(min_length=1)]


class Gemini(Strict):
    """Contents that end with the model's."""

    systemInstruction: GeminiInstruction
    contents: list[GeminiContent]

    @model_validator(mode="after")
    def _ends_with_the_model(self) -> "Gemini":
        _expect_alternating([one.role for one in self.contents], last="model")
        return self


class ClaudeMessage(Strict):
    """A message; the system's stands beside the list."""

    role: Literal["user", "assistant"]
    content: Text


class ClaudeBedrock(Strict):
    """Messages from the user's to the assistant's."""

    system: Text
    messages: Annotated[list[ClaudeMessage], Field(min_length=2)]

    @model_validator(mode="after")
    def _ends_with_the_assistant(self) -> "ClaudeBedrock":
        _expect_alternating([one.role for one in self.messages], last="assistant")
        return self


class LlamaBedrock(Strict):
    """Plain text and its continuation."""

    prompt: Text
    completion: Text


class TrlSft(Strict):
    """Conversational prompt and completion: the loss falls on the completion alone."""

    prompt: Annotated[list[Said], Field(min_length=1)]
    completion: Annotated[list[Said], Field(min_length=1, max_length=1)]


class TrlPreference(Strict):
    """A conversational prompt with two completions."""

    prompt: Annotated[list[Said], Field(min_length=1)]
    chosen: Annotated[list[Said], Field(min_length=1, max_length=1)]
    rejected: Annotated[list[Said], Field(min_length=1, max_length=1)]


@dataclass(frozen=True)
class Format:
    """A format's line, what makes it, and how many lines the service takes in one file."""

    line: type[Strict]
    of_pair: Callable[[Pair], dict[str, Any]] | None = None
    of_preference: Callable[[PreferencePair], dict[str, Any]] | None = None
    least: int = 1
    most: int | None = None


def _answer(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def _gemini(pair: Pair) -> dict[str, Any]:
    turns = [*pair.messages[1:], Message(role="assistant", content=pair.target)]
    roles = {"user": "user", "assistant": "model"}
    return {
        "systemInstruction": {"role": "system", "parts": [{"text": pair.messages[0]["content"]}]},
        "contents": [{"role": roles[one["role"]], "parts": [{"text": one["content"]}]} for one in turns],
    }


def _plain(messages: Sequence[Message]) -> str:
    """A prompt as text, for models that are tuned on text: a heading for each speaker, the last for the answer."""
    heads = {"system": "", "user": "User:\n", "assistant": "Assistant:\n"}
    return "\n\n".join([*(heads[one["role"]] + one["content"] for one in messages), "Assistant:\n"])


FORMATS = {
    "openai-chat": Format(
        OpenAiChat, lambda pair: {"messages": [*pair.messages, *_answer(pair.target)]}, least=10
    ),
    "openai-preference": Format(
        OpenAiPreference,
        of_preference=lambda pair: {
            "input": {"messages": pair.messages, "tools": [], "parallel_tool_calls": True},
            "preferred_output": _answer(pair.chosen),
            "non_preferred_output": _answer(pair.rejected),
        },
        least=10,
    ),
    "gemini": Format(Gemini, _gemini),
    "claude-bedrock": Format(
        ClaudeBedrock,
        lambda pair: {
            "system": pair.messages[0]["content"],
            "messages": [*pair.messages[1:], *_answer(pair.target)],
        },
        least=32,
        most=10_000,
    ),
    "llama-bedrock": Format(
        LlamaBedrock, lambda pair: {"prompt": _plain(pair.messages), "completion": pair.target}, most=10_000
    ),
    "trl-sft": Format(TrlSft, lambda pair: {"prompt": pair.messages, "completion": _answer(pair.target)}),
    "trl-preference": Format(
        TrlPreference,
        of_preference=lambda pair: {
            "prompt": pair.messages, "chosen": _answer(pair.chosen), "rejected": _answer(pair.rejected)
        },
    ),
}  # fmt: skip


def _expect_alternating(roles: Sequence[str], *, last: str) -> None:
    if not roles or roles[0] != "user" or roles[-1] != last or any(a == b for a, b in pairwise(roles)):
        raise ValueError(f"roles must alternate from user to {last}, and are {', '.join(roles) or 'none'}")
