"""The client of Slack's Web API: it waits where Slack asks it to, and says nothing twice."""

from slack_sdk.http_retry.async_handler import AsyncRetryHandler
from slack_sdk.http_retry.builtin_async_handlers import (
    AsyncConnectionErrorRetryHandler,
    AsyncRateLimitErrorRetryHandler,
    AsyncServerErrorRetryHandler,
)
from slack_sdk.http_retry.request import HttpRequest
from slack_sdk.http_retry.response import HttpResponse
from slack_sdk.http_retry.state import RetryState
from slack_sdk.web.async_client import AsyncWebClient
from sqlite_utils import Database

from bot.installations import InstalledClient
from bot.settings import BotSettings

RATE_LIMIT_RETRIES = 5
SAYING = ("chat.postMessage", "chat.startStream", "chat.appendStream")
"""Methods that would say something twice."""


class _SaidOnce(AsyncRetryHandler):
    """Tries again, except for what would then be said twice."""

    async def _can_retry_async(
        self,
        *,
        state: RetryState,
        request: HttpRequest,
        response: HttpResponse | None = None,
        error: Exception | None = None,
    ) -> bool:
        if str(request.url).endswith(SAYING):
            return False
        return await super()._can_retry_async(state=state, request=request, response=response, error=error)


class _ConnectionErrorRetryHandler(_SaidOnce, AsyncConnectionErrorRetryHandler):
    """When the connection broke."""


class _ServerErrorRetryHandler(_SaidOnce, AsyncServerErrorRetryHandler):
    """When Slack answered with status 500 or 503."""


def retry_handlers() -> list[AsyncRetryHandler]:
    """For every client of ours: wait out `Retry-After`, survive one broken connection and one error of Slack's own."""
    return [
        AsyncRateLimitErrorRetryHandler(max_retry_count=RATE_LIMIT_RETRIES),
        _ConnectionErrorRetryHandler(),
        _ServerErrorRetryHandler(),
    ]


def web_client(settings: BotSettings, db: Database) -> AsyncWebClient:
    """The Web API's client, for Bolt and for us: with one token, or with each workspace's own."""
    if settings.by_oauth:
        return InstalledClient(db, base_url=settings.slack_api_url, retry_handlers=retry_handlers())
    return AsyncWebClient(
        token=settings.slack_bot_token, base_url=settings.slack_api_url, retry_handlers=retry_handlers()
    )
