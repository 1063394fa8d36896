"""The app's Messages tab: assistant.threads.*, and what a person looks at beside it."""

from bot.sandbox import people, rules
from bot.sandbox.interactions import person
from bot.sandbox.sandbox import Sandbox
from bot.sandbox.values import WrongInput
from bot.sandbox.workspace import Channel, Json, SlackError

STATUS_SECONDS = 120
"""A status disappears after two minutes (facts: slack.md 11)."""


def assistant_channel(sandbox: Sandbox, args: Json) -> Channel:
    """The channel of an assistant.threads.* call."""
    return sandbox.workspace.channel_for_bot(args.get("channel_id"))


def set_status(sandbox: Sandbox, args: Json) -> Json:
    """assistant.threads.setStatus: shown under the thread until the app posts, or for two minutes."""
    channel = assistant_channel(sandbox, args)
    if args.get("thread_ts") not in channel.messages:
        raise SlackError("invalid_thread_ts")
    if not isinstance(args.get("status"), str):
        raise SlackError("invalid_arguments", ["missing required field: status"])
    if len(args.get("loading_messages") or []) > rules.LIMIT["loading_messages"]:
        raise SlackError("invalid_arguments", [f"no more than {rules.LIMIT['loading_messages']} items allowed"])
    key = f"status:{args['thread_ts']}"
    if args.get("status"):
        channel.assistant[key] = {"text": args["status"], "until": sandbox.workspace.clock() + STATUS_SECONDS}
    else:
        channel.assistant.pop(key, None)
    sandbox.workspace.changed()
    return {}


def set_suggested_prompts(sandbox: Sandbox, args: Json) -> Json:
    """assistant.threads.setSuggestedPrompts: at most four. With thread_ts nothing is shown, silently (slack.md 11)."""
    channel = assistant_channel(sandbox, args)
    prompts = args.get("prompts")
    if not isinstance(prompts, list) or not 1 <= len(prompts) <= rules.LIMIT["prompts"]:
        raise SlackError("invalid_arguments", [f"no more than {rules.LIMIT['prompts']} items allowed"])
    if not channel.is_im:
        # Not documented; prompts stand in the app's own messages, which are a direct message.
        raise SlackError("channel_type_not_supported")
    for prompt in prompts:
        if not isinstance(prompt, dict) or set(prompt) != {"title", "message"}:
            raise SlackError("invalid_arguments", ["a prompt has a title and a message"])
        if not all(isinstance(text, str) and text.strip() for text in prompt.values()):
            raise SlackError("invalid_arguments", ["missing required field: title or message"])
    if not args.get("thread_ts"):
        channel.assistant["prompts"] = {"title": args.get("title", ""), "prompts": prompts}
        sandbox.workspace.changed()
    return {}


def set_title(sandbox: Sandbox, args: Json) -> Json:
    """assistant.threads.setTitle."""
    channel = assistant_channel(sandbox, args)
    if not args.get("title"):
        raise SlackError("invalid_arguments", ["missing required field: title"])
    channel.assistant[f"title:{args.get('thread_ts', '')}"] = args["title"]
    sandbox.workspace.changed()
    return {}


def look_at(sandbox: Sandbox, body: Json) -> Json:
    """A person looks at a channel or a thread, or at nothing: app_context_changed, and what later events carry.

    A public channel can be looked at without being in it, as Slack's preview of channels lets everybody do.
    """
    user = person(sandbox, body.get("user"))
    context: Json = {}
    if body.get("channel"):
        try:
            channel = sandbox.workspace.channel(str(body["channel"]))
        except SlackError as error:
            raise WrongInput(f"no channel {body['channel']!r} here; see GET /sandbox/state?user={user.id}") from error
        if channel.is_private and user.id not in channel.members:
            raise WrongInput(f"{user.id} cannot look at {channel.id}")
        context = {"entities": entities(channel, body.get("message_ts"))}
    sandbox.workspace.viewing[user.id] = context
    sandbox.workspace.changed()
    app = sandbox.workspace.channels[people.dm_id(user.id)]
    # Slack's example names neither user nor channel; its own type declarations do.
    event = {"type": "app_context_changed", "user": user.id, "channel": app.id, "context": context,
             "event_ts": sandbox.workspace.new_ts()}  # fmt: skip
    sandbox.announce(app, event)
    return {"ok": True, "context": context}


def entities(channel: Channel, message_ts: object) -> list[Json]:
    """What is in view, most relevant first."""
    seen: Json = {"type": "slack#/types/channel_id", "value": channel.id, "team_id": people.TEAM_ID}
    if not message_ts:
        return [seen]
    if str(message_ts) not in channel.messages:
        raise WrongInput(f"no message {message_ts!r} in {channel.id}")
    where = {"channel_id": channel.id, "message_ts": message_ts}
    return [{"type": "slack#/types/message_context", "value": where, "team_id": people.TEAM_ID}, seen]


def folded(sandbox: Sandbox, user: people.User, channel: Channel) -> Json:
    """The context that Slack adds to a direct message to the app."""
    viewing = sandbox.workspace.viewing.get(user.id)
    return {"app_context": viewing} if channel.is_im and viewing else {}
