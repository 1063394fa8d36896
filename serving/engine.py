"""Speak to vLLM: whole completions or a clear error, token counts, what is being served."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import openai
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

from data.errors import BadSetting, BrokenAdapter, ContextTooLong, EngineFailed, EngineUnreachable, UnknownAdapter
from data.models import BASE, Message
from serving.loops import FREQUENCY_PENALTY, without_loop

log = logging.getLogger(__name__)

Stream = openai.AsyncStream[ChatCompletionChunk]

ANOTHER_TEMPERATURE = 0.7
"""Of another draft, which must not be the same again; any first one is the likeliest text."""


@dataclass(frozen=True)
class Timeouts:
    """In seconds."""

    connect: float = 5.0
    between_tokens: float = 60.0
    """Also until the first token: a request may wait for its turn, and for its adapter to be read."""
    whole: float = 180.0
    """For one call with all its retries."""


@dataclass(frozen=True)
class Completion:
    """A whole completion.

    `finish_reason` is `stop`, `length` when `max_tokens` cut it, or `loop` when it was read no further than to where
    it began to repeat itself, with the penalty too: `text` then ends with the first instance.
    """

    text: str
    finish_reason: str
    model: str


@dataclass(frozen=True)
class Served:
    """What the server says about its base model. `root` is the string that adapters must name as their base."""

    root: str
    max_tokens: int


@dataclass(frozen=True)
class _Piece:
    text: str
    finish_reason: str | None


class StreamCut(EngineFailed):
    """A stream that stopped before its end."""


class Engine:
    """Holds the connections to one vLLM server. Every method may raise EngineUnreachable and EngineFailed."""

    def __init__(self, base_url: str, api_key: str = "", timeouts: Timeouts | None = None) -> None:
        self.base_url = base_url.rstrip("/")
        self.name = f"vLLM at {self.base_url}"
        self._timeouts = timeouts or Timeouts()
        self._client = openai.AsyncOpenAI(
            base_url=self.base_url,
            # The client insists on a key; a server that was started without one ignores it.
            api_key=api_key or "none",
            # Of the client's own retries: refused connections, 408, 409, 429 and 5xx, before the first token.
            max_retries=2,
            timeout=openai.Timeout(self._timeouts.between_tokens, connect=self._timeouts.connect),
        )

    async def close(self) -> None:
        await self._client.close()

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        model: str,
        max_tokens: int,
        temperature: float = 0.0,
        on_text: Callable[[str], None] | None = None,
        cut_loops: bool = True,
    ) -> Completion:
        """The answer of adapter `model` (`base` for none), at most `max_tokens` long.

        `on_text` is called with the text so far whenever more of it has come. A stream that ends without its end is
        asked for once more, and the text then begins anew; so does a text that begins to repeat itself, with a
        penalty on what it said before. Raises UnknownAdapter, BrokenAdapter and ContextTooLong too.
        """
        whole = partial(
            self._whole, messages, model, on_text, cut_loops, max_tokens=max_tokens, temperature=temperature
        )
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._timeouts.whole):
                try:
                    completion = await whole()
                except StreamCut:
                    log.warning(
                        "the answer of %s was cut off after %.1f s; asking again", model, time.monotonic() - started
                    )
                    completion = await whole()
                if completion.finish_reason == "loop":
                    # What was cut is still an answer where the second try fails.
                    with suppress(StreamCut):
                        again = await whole(frequency_penalty=FREQUENCY_PENALTY)
                        completion = completion if again.finish_reason == "loop" else again
        except TimeoutError:
            raise EngineFailed(
                f"{self.name} did not finish within {self._timeouts.whole:.0f} s: try again, "
                "or give it more processors."
            ) from None
        log.info("completion by %s in %.2f s, ended by %s", model, time.monotonic() - started, completion.finish_reason)
        return completion

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        """How many tokens the prompt takes, chat template included."""
        address = self.base_url.removesuffix("/v1") + "/tokenize"
        body = {"model": BASE, "messages": list(messages), "add_generation_prompt": True}
        try:
            answer = await self._client.post(address, cast_to=object, body=body)
        except openai.OpenAIError as error:
            raise self._translated(error, BASE) from error
        return cast(dict[str, int], answer)["count"]

    async def served(self) -> Served:
        """The base model's root and context length, from /v1/models."""
        try:
            page = await self._client.models.list()
        except openai.OpenAIError as error:
            raise self._translated(error, BASE) from error
        for card in page.data:
            facts = card.model_extra or {}
            if card.id == BASE and "root" in facts and "max_model_len" in facts:
                return Served(root=str(facts["root"]), max_tokens=int(facts["max_model_len"]))
        raise EngineFailed(
            f"The server at {self.base_url} serves no model named {BASE}: start it with `python -m serving up`."
        )

    async def root(self) -> str:
        """The string that adapters must name as their base."""
        return (await self.served()).root

    async def max_tokens(self) -> int:
        """The context length: prompt and answer together."""
        return (await self.served()).max_tokens

    async def ready(self, model: str = BASE) -> bool:
        """Whether `model` answers now: one token is asked for. Raises UnknownAdapter when it never will."""
        try:
            await self._client.with_options(max_retries=0).chat.completions.create(
                model=model, messages=[{"role": "user", "content": "Hello"}], max_tokens=1
            )
        except openai.OpenAIError as error:
            translated = self._translated(error, model)
            if isinstance(translated, EngineUnreachable | EngineFailed):
                return False
            raise translated from error
        return True

    async def _whole(
        self,
        messages: Sequence[Message],
        model: str,
        on_text: Callable[[str], None] | None,
        cut_loops: bool,
        **limits: float,
    ) -> Completion:
        text, finish_reason = "", ""
        # Closed at once when it is left early: the server then writes no more.
        async with aclosing(self._pieces(messages, model, **limits)) as pieces:
            async for piece in pieces:
                text += piece.text
                finish_reason = piece.finish_reason or finish_reason
                if cut_loops and (cut := without_loop(text)) is not None:
                    return Completion(cut, "loop", model)
                if piece.text and on_text is not None:
                    on_text(text)
        return Completion(text, finish_reason, model)

    async def _pieces(self, messages: Sequence[Message], model: str, **limits: float) -> AsyncGenerator[_Piece, None]:
        ended = False
        try:
            stream = await self._stream(messages, model, **limits)
        except openai.OpenAIError as error:
            raise self._translated(error, model) from error
        async with stream:
            try:
                async for chunk in stream:
                    for choice in chunk.choices:
                        ended = ended or choice.finish_reason is not None
                        yield _Piece(choice.delta.content or "", choice.finish_reason)
            except (openai.OpenAIError, ValueError) as error:
                # ValueError: the connection was cut inside an event, so its JSON is cut too.
                raise StreamCut(f"The answer was cut off ({self.name}): try again.") from error
        if not ended:
            raise StreamCut(f"The answer stopped before its end ({self.name}): try again.")

    async def _stream(self, messages: Sequence[Message], model: str, **limits: Any) -> Stream:
        return await self._client.chat.completions.create(
            model=model, messages=cast(list[ChatCompletionMessageParam], list(messages)), stream=True, **limits
        )

    def _translated(self, error: openai.OpenAIError, model: str) -> Exception:
        """Our sentence for what the client met before the first token."""
        match error:
            case openai.APITimeoutError():
                return EngineFailed(
                    f"{self.name} accepts requests and does not answer within "
                    f"{self._timeouts.between_tokens:.0f} s: see its log, or restart `python -m serving up`."
                )
            case openai.APIConnectionError():
                return EngineUnreachable(
                    f"Nothing answers at LLM_BASE_URL {self.base_url}: start vLLM with `python -m serving up`."
                )
            case openai.NotFoundError() if "does not exist" in error.message and model != BASE:
                return UnknownAdapter(model, f"the server at {self.base_url} does not find it in its ADAPTER_STORE")
            case openai.NotFoundError():
                return EngineFailed(
                    f"The server at LLM_BASE_URL {self.base_url} does not serve what was asked of it: "
                    "check that the address ends in /v1 and that `python -m serving up` started the server."
                )
            case openai.AuthenticationError() | openai.PermissionDeniedError():
                return BadSetting(
                    f"The server at {self.base_url} refuses LLM_API_KEY: set the key that it was started with."
                )
            case openai.BadRequestError() if "maximum context length" in error.message:
                return ContextTooLong(
                    "The thread is longer than the model's context: shorten it, or ask on a part of it."
                )
            case openai.BadRequestError() if "could not be loaded" in error.message and model != BASE:
                return BrokenAdapter(f"{self.name} cannot read the adapter {model}: roll back, or adopt it anew.")
            case openai.APIStatusError():
                return EngineFailed(f"{self.name} answered with status {error.status_code}: see its log.")
        return EngineFailed(f"{self.name} did not answer as expected ({type(error).__name__}): see its log.")
