"""Slack's Web API, one call at a time: refusals become sentences."""

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.errors import NotInChannel, SlackRefused, SlackUnreachable
from bot.slack import Json

SERVER_ERROR = 500


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
        return answer.data


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
