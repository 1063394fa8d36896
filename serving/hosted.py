"""A model that somebody else serves, behind any OpenAI-compatible endpoint: spoken to as `base`, never trained here."""

import asyncio
import hashlib
import json
import math
import signal
import time
from collections.abc import Sequence
from typing import Any

import openai
from sqlite_utils import Database

from data import store
from data.errors import BadSetting, ContextTooLong, EngineFailed, EngineUnreachable, UnknownAdapter
from data.models import BASE, Base, Message
from serving.base import identify
from serving.engine import Engine, Served, Stream, Timeouts
from serving.settings import ServingSettings

CONTEXT = 8192
"""Tokens of prompt and answer where MAX_MODEL_LEN is 0: an endpoint does not say how many its model takes."""
BYTES_PER_TOKEN = 3
"""Of UTF-8. English has four or more in a token and Chinese about three, so a prompt is rather thought too long."""
FRAME_TOKENS = 8
"""Around each message."""
CHECK_TOKENS = 16
"""Some endpoints refuse to end a first answer sooner."""
CHOICES = ("temperature", "frequency_penalty")
"""How a token is chosen: what some models refuse to be told."""
HELLO = [Message(role="user", content="Hello")]


class HostedEngine(Engine):
    """Holds the connections to one endpoint. Its model answers as `base`, and there is no adapter.

    Beside the engine's errors every method that asks the endpoint may raise BadSetting, for a key or a model that it
    does not take.
    """

    def __init__(
        self, base_url: str, api_key: str, *, model: str, context: int = 0, timeouts: Timeouts | None = None
    ) -> None:
        super().__init__(base_url, api_key, timeouts)
        self.name = f"The endpoint at {self.base_url}"
        self._model = model
        self._context = context or CONTEXT
        self._has_key = bool(api_key)
        # What newer models refuse is found out by their refusal, once.
        self._limit = "max_tokens"
        self._refused: set[str] = set()

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        """An estimate that is rather too high: no endpoint but vLLM's counts tokens."""
        return estimated_tokens(messages)

    async def served(self) -> Served:
        """The model's name and the context that is set. The endpoint is asked for a few tokens: that tells a wrong key
        or name, where a list of models would not."""
        await self.complete(HELLO, model=BASE, max_tokens=CHECK_TOKENS)
        return Served(self._model, self._context)

    async def max_tokens(self) -> int:
        return self._context

    async def ready(self, model: str = BASE) -> bool:
        try:
            await self.complete(HELLO, model=model, max_tokens=CHECK_TOKENS)
        except (EngineUnreachable, EngineFailed):
            return False
        return True

    async def _stream(self, messages: Sequence[Message], model: str, **limits: Any) -> Stream:
        if model != BASE:
            raise UnknownAdapter(model, f"{self._model} is a hosted model and has none")
        while True:
            wanted = {self._limit: limits["max_tokens"]}
            wanted |= {name: limits[name] for name in CHOICES if name in limits and name not in self._refused}
            try:
                return await super()._stream(messages, self._model, **wanted)
            except openai.BadRequestError as error:
                if error.param == "max_tokens" and error.param in wanted:
                    self._limit = "max_completion_tokens"
                elif error.param in CHOICES and error.param in wanted:
                    self._refused.add(error.param)
                else:
                    raise

    def _translated(self, error: openai.OpenAIError, model: str) -> Exception:
        """Our sentence. Never the endpoint's own: it may repeat the key or the prompt."""
        match error:
            case openai.APITimeoutError():
                return EngineFailed(
                    f"{self.name} accepts requests and does not answer within "
                    f"{self._timeouts.between_tokens:.0f} s: try again, or see whether the service is in trouble."
                )
            case openai.APIConnectionError():
                return EngineUnreachable(
                    f"Nothing answers at LLM_BASE_URL {self.base_url}: check the address, and this machine's way to it."
                )
            case openai.AuthenticationError() | openai.PermissionDeniedError() if not self._has_key:
                return BadSetting(f"{self.name} wants a key: set LLM_API_KEY.")
            case openai.AuthenticationError() | openai.PermissionDeniedError():
                return BadSetting(
                    f"{self.name} refuses LLM_API_KEY (status {error.status_code}): set one that may use {self._model}."
                )
            case openai.RateLimitError():
                return EngineFailed(
                    f"{self.name} takes no more requests for now (status 429): try again, or raise the key's quota."
                )
            case openai.BadRequestError() if _too_long(error):
                return ContextTooLong(
                    "The thread is longer than the model's context: shorten it, or ask on a part of it."
                )
            case openai.NotFoundError() | openai.BadRequestError() if _names_model(error, self._model):
                return BadSetting(f"{self.name} has no model {self._model}: set HOSTED_MODEL to one that it has.")
            case openai.NotFoundError():
                return BadSetting(
                    f"{self.name} has no chat completions: LLM_BASE_URL is the address before /chat/completions."
                )
            case openai.APIStatusError() if error.param and error.param.isidentifier():
                return EngineFailed(f"{self.name} does not take {error.param} (status {error.status_code}).")
            case openai.APIStatusError():
                return EngineFailed(f"{self.name} answered with status {error.status_code}: try again.")
        return EngineFailed(f"{self.name} did not answer as expected ({type(error).__name__}): try again.")


def engine_for(settings: ServingSettings, timeouts: Timeouts | None = None) -> Engine:
    """The engine of what the settings name: our vLLM, or an endpoint."""
    if not settings.hosted_model:
        return Engine(settings.llm_base_url, settings.llm_api_key, timeouts)
    return HostedEngine(
        settings.llm_base_url,
        settings.llm_api_key,
        model=settings.hosted_model,
        context=settings.max_model_len,
        timeouts=timeouts,
    )


def base_for(settings: ServingSettings) -> Base:
    """The base that the settings name. A hosted model's weights are not ours to read: it is its name and address.

    Raises ModelMissing.
    """
    if not settings.hosted_model:
        return identify(settings.base_model)
    said = f"{settings.hosted_model}\n{settings.llm_base_url}"
    name = settings.base_name
    return Base(hash=hashlib.sha256(said.encode()).hexdigest(), model=name, root=name)


def expect_own_base(settings: ServingSettings, verb: str) -> None:
    """Raise BadSetting where a command needs a base whose weights are here."""
    if settings.hosted_model:
        raise BadSetting(f"HOSTED_MODEL is set, and `{verb}` needs a base of your own: unset it, and set BASE_MODEL.")


async def stay(settings: ServingSettings, db: Database, *, as_json: bool) -> int:
    """Ask the endpoint once, record its model as the base, and stay until a signal comes (0): nothing is to be started.

    Raises the engine's errors and BadSetting.
    """
    started = time.monotonic()
    stop = asyncio.Event()
    for one in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(one, stop.set)
    engine = engine_for(settings)
    try:
        await engine.served()
    finally:
        await engine.close()
    base = base_for(settings)
    store.record_base(db, base)
    seconds = time.monotonic() - started
    if as_json:
        document = {"ready": True, "base_url": settings.llm_base_url, "model": base.model, "base": base.hash}
        print(json.dumps(document | {"root": base.root, "live": {}, "seconds": round(seconds, 1)}), flush=True)
    else:
        print(f"ready after {seconds:.0f} s: {base.model}; nothing is trained, each night writes a file", flush=True)
    await stop.wait()
    return 0


def estimated_tokens(messages: Sequence[Message]) -> int:
    """How many tokens a prompt takes, from its bytes."""
    return sum(FRAME_TOKENS + math.ceil(len(one["content"].encode()) / BYTES_PER_TOKEN) for one in messages)


def _too_long(error: openai.BadRequestError) -> bool:
    return error.code == "context_length_exceeded" or "maximum context length" in error.message


def _names_model(error: openai.APIStatusError, model: str) -> bool:
    return error.code in ("model_not_found", "invalid_model") or error.param == "model" or model in error.message
