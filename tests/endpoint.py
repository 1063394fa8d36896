"""An endpoint that speaks OpenAI's chat API over HTTP as its reference says, errors too, and wants a key.

It stands for a network peer; PYTEST_DONT_REWRITE: test modules import from here.
"""

import json
from collections.abc import Callable
from typing import Any

from aiohttp import web
from bot_fixtures import ThreadedServer

Json = dict[str, Any]
KEY = "sk-loopback-5f7a1c"
MODEL = "vendor/chat-large"


class Endpoint(ThreadedServer):
    """`asked` holds the bodies that were answered, `keys` what each request showed.

    `newer`: as models that take max_completion_tokens, no temperature and no penalty. `wants_key` False: as a server of
    one's own.
    """

    def __init__(self, *, newer: bool = False, wants_key: bool = True) -> None:
        self.answer: Callable[[list[Json]], str] = lambda messages: "We will look into it today."
        self.newer, self.wants_key = newer, wants_key
        self.status = 200
        self.context = 100_000
        self.asked: list[Json] = []
        self.keys: list[str] = []
        super().__init__(web.post("/v1/chat/completions", self._complete))

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        key = request.headers.get("Authorization", "").removeprefix("Bearer ")
        self.keys.append(key)
        if self.wants_key and key != KEY:
            # Some endpoints do repeat the key that they refuse.
            return _error(401, f"Incorrect API key provided: {key}.", code="invalid_api_key")
        if self.status != 200:
            return _error(self.status, "Not now.", code="trouble")
        body = await request.json()
        if body["model"] != MODEL:
            told = f"The model `{body['model']}` does not exist or you do not have access to it."
            return _error(404, told, code="model_not_found")
        refused = {"max_tokens", "temperature", "frequency_penalty"} if self.newer else {"max_completion_tokens"}
        if found := sorted(refused & body.keys()):
            return _error(400, f"Unsupported: '{found[0]}'.", code="unsupported_parameter", param=found[0])
        if sum(len(one["content"]) for one in body["messages"]) > self.context:
            return _error(400, "Too long.", code="context_length_exceeded", param="messages")
        self.asked.append(body)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for word in self.answer(body["messages"]).split(" "):
            await _event(response, [{"index": 0, "delta": {"content": word + " "}, "finish_reason": None}])
        await _event(response, [{"index": 0, "delta": {}, "finish_reason": "stop"}])
        # The last chunk may hold the usage and no choice.
        await _event(response, [])
        await response.write(b"data: [DONE]\n\n")
        return response


async def _event(response: web.StreamResponse, choices: list[Json]) -> None:
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": MODEL, "choices": choices}
    await response.write(f"data: {json.dumps(chunk)}\n\n".encode())


def _error(status: int, message: str, *, code: str, param: str | None = None) -> web.Response:
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return web.json_response({"error": error}, status=status)
