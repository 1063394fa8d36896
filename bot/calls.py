"""Slack's Web API, one call at a time: refusals become sentences."""

from typing import Any
from urllib.parse import urlsplit

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.errors import NotInChannel, SlackRefused, SlackUnreachable
from bot.installations import InstalledClient
from bot.slack import Json
from data.errors import DeskError
from data.readers.text import decoded

OK, SERVER_ERROR = 200, 500
MOST_BYTES = 5_000_000
"""Of a canvas that is downloaded."""
SLACK_HOST = ".slack.com"


class Answer(dict[str, Any]):
    """What Slack answered, which may lack anything: that is a refusal too, and no bug of ours."""

    def __init__(self, method: str, fields: Json) -> None:
        super().__init__(fields)
        self.method = method

    def __missing__(self, name: str) -> Any:
        raise SlackRefused(self.method, f"no {name} in the answer")


class Calls:
    """Holds the client."""

    def __init__(self, client: AsyncWebClient) -> None:
        self.client = client

    async def call(self, method: str, **arguments: object) -> Json:
        """One Web API call. Raises SlackRefused and SlackUnreachable."""
        try:
            answer = await getattr(self.client, method.replace(".", "_"))(**_given(arguments))
        except SlackApiError as error:
            if _status(error) >= SERVER_ERROR:
                raise SlackUnreachable(method) from error
            raise _refused(method, error, str(arguments.get("channel", ""))) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise SlackUnreachable(method) from error
        if not isinstance(answer.data, dict):
            raise SlackUnreachable(method)
        return Answer(method, answer.data)

    async def download(self, address: str) -> str:
        """The HTML at a file's private address. Raises SlackRefused, SlackUnreachable, DeskError."""
        if not self._is_slacks(address):
            raise DeskError("That canvas is kept outside of Slack, so I cannot read it.")
        token = self.client.token_here() if isinstance(self.client, InstalledClient) else self.client.token
        try:
            # Who may not read a file is sent to the page where people sign in, which must not be taken for it.
            async with (
                aiohttp.ClientSession() as session,
                session.get(address, headers={"Authorization": f"Bearer {token}"}, allow_redirects=False) as answer,
            ):
                if answer.status >= SERVER_ERROR:
                    raise SlackUnreachable("the download")
                if answer.status != OK or answer.content_type != "text/html":
                    raise SlackRefused("the download", "missing_scope")
                content = await answer.content.read(MOST_BYTES + 1)
                while len(content) <= MOST_BYTES and (more := await answer.content.read(MOST_BYTES)):
                    content += more
        except (aiohttp.ClientError, TimeoutError) as error:
            raise SlackUnreachable("the download") from error
        if len(content) > MOST_BYTES:
            raise DeskError(f"That canvas is longer than {MOST_BYTES // 1_000_000} MB of HTML: import it as a file.")
        return decoded(content, is_html=True)

    def _is_slacks(self, address: str) -> bool:
        """Our token goes to Slack alone, wherever a file says that it lies."""
        there, api = urlsplit(address), urlsplit(self.client.base_url)
        known = (there.hostname or "").endswith(SLACK_HOST) and there.scheme == "https"
        return known or (there.scheme, there.netloc) == (api.scheme, api.netloc)


def _given(arguments: Json) -> Json:
    return {name: value for name, value in arguments.items() if value is not None and value != ""}


def _status(error: SlackApiError) -> int:
    answer = error.response
    # An answer that is no JSON is given as aiohttp's own.
    return answer.status_code if isinstance(answer, AsyncSlackResponse) else getattr(answer, "status", 0)


def _refused(method: str, error: SlackApiError, channel_id: str) -> SlackRefused:
    answer = error.response
    reason = (
        str(answer.get("error", "unknown_error")) if isinstance(answer, AsyncSlackResponse) else "unreadable_answer"
    )
    # Of a private channel where the bot is no member, Slack only says channel_not_found.
    if reason in ("not_in_channel", "channel_not_found") and method != "chat.getPermalink":
        return NotInChannel(method, reason, channel_id)
    return SlackRefused(method, reason)
