"""chat.postMessage, postEphemeral, update, delete and getPermalink, and posts to a response_url."""

from bot.sandbox import events, people, rules
from bot.sandbox.sandbox import Sandbox
from bot.sandbox.workspace import Channel, Json, SlackError

RESPONSE_URL_USES = 5
RESPONSE_URL_SECONDS = 30 * 60
"""Facts: slack.md 3."""

_numbers = iter(range(10**9))


def with_block_ids(blocks: list[Json]) -> list[Json]:
    """Blocks as Slack stores them: each has a block_id, and each button without an action_id gets one."""
    stored = []
    for block in blocks:
        block = {**block, "block_id": block.get("block_id") or f"b{next(_numbers):x}"}
        for key in ("accessory", "element"):
            if key in block and block[key]["type"] != "image":
                block[key] = {**block[key], "action_id": block[key].get("action_id") or f"a{next(_numbers):x}"}
        if block["type"] in ("actions", "context_actions"):
            block["elements"] = [{**e, "action_id": e.get("action_id") or f"a{next(_numbers):x}"}
                                 for e in block["elements"]]  # fmt: skip
        stored.append(block)
    return stored


def content(args: Json, *, text_limit: int = rules.LIMIT["text_argument"]) -> Json:
    """text, blocks and metadata of a call, checked and as Slack stores them; no_text when there is nothing."""
    text, blocks = args.get("text"), args.get("blocks")
    if text is not None and not isinstance(text, str):
        raise SlackError("invalid_arguments", ["text must be a string"])
    if args.get("attachments"):
        # The app sends blocks alone; the sandbox does not draw attachments, so it does not pretend to.
        raise SlackError("invalid_attachments", ["the sandbox does not take attachments"])
    if text and len(text) > text_limit:
        raise SlackError("msg_too_long")
    if not (text or "").strip() and not blocks:
        raise SlackError("no_text")
    stored: Json = {"text": events.escape(text or "", keep_entities=True)}
    if blocks is not None:
        stored["blocks"] = with_block_ids(rules.check_blocks(blocks))
    if args.get("metadata"):
        stored["metadata"] = rules.check_metadata(args["metadata"])
    return stored


def thread_of(channel: Channel, thread_ts: object) -> Json:
    """{"thread_ts": …} of the thread that a reply goes to; a reply to a reply goes to the thread's first message.

    Whether Slack refuses a thread that does not exist is not certain; nobody would ever see what was posted there.
    """
    if not thread_ts:
        return {}
    message = channel.messages.get(str(thread_ts))
    if message is None:
        raise SlackError("thread_not_found")
    return {"thread_ts": message.get("thread_ts", message["ts"])}


def post_as_app(sandbox: Sandbox, channel: Channel, stored: Json) -> Json:
    """Post a message of the app's and tell the app about it, as Slack does."""
    message = sandbox.workspace.post(channel, {**events.bot_author(), **stored})
    # Slack clears the status when the app posts (slack.md 11).
    channel.assistant.pop(f"status:{message.get('thread_ts', message['ts'])}", None)
    sandbox.announce(channel, events.message_event(channel, message))
    return message


def post_message(sandbox: Sandbox, args: Json) -> Json:
    """chat.postMessage."""
    channel = sandbox.workspace.channel_for_bot(args.get("channel"))
    stored = {**content(args), **thread_of(channel, args.get("thread_ts"))}
    if args.get("reply_broadcast") and "thread_ts" in stored:
        stored["subtype"] = "thread_broadcast"
    message = post_as_app(sandbox, channel, stored)
    return {"channel": channel.id, "ts": message["ts"], "message": events.public(message)}


def show_ephemeral(sandbox: Sandbox, channel: Channel, user: str, stored: Json) -> Json:
    """Show a message to one person. It is no message of the channel: no event, no history, no chat.update."""
    shown = {
        "type": "message", "subtype": "ephemeral", "is_ephemeral": True, **events.bot_author(), **stored,
        "ts": sandbox.workspace.new_ts(), "channel": channel.id, "_for": user,
    }  # fmt: skip
    sandbox.workspace.ephemerals.append(shown)
    sandbox.workspace.changed()
    return shown


def post_ephemeral(sandbox: Sandbox, args: Json) -> Json:
    """chat.postEphemeral."""
    channel = sandbox.workspace.channel_for_bot(args.get("channel"))
    user = args.get("user")
    if user not in sandbox.workspace.users:
        raise SlackError("user_not_found" if user else "invalid_arguments")
    if user not in channel.members:
        raise SlackError("user_not_in_channel")
    stored = {**content(args), **thread_of(channel, args.get("thread_ts"))}
    return {"message_ts": show_ephemeral(sandbox, channel, str(user), stored)["ts"]}


def own_message(sandbox: Sandbox, args: Json, refused: str) -> tuple[Channel, Json]:
    """The app's message at channel and ts. An ephemeral is message_not_found, somebody else's `refused`."""
    channel = sandbox.workspace.channel_for_bot(args.get("channel"))
    message = channel.messages.get(str(args.get("ts", "")))
    if message is None or message.get("subtype") == "tombstone":
        raise SlackError("message_not_found")
    if message.get("bot_id") != people.BOT_ID:
        raise SlackError(refused)
    return channel, message


def edit(sandbox: Sandbox, channel: Channel, old: Json, stored: Json) -> Json:
    """Replace an app's message and tell the app."""
    ts = sandbox.workspace.new_ts()
    new = {key: value for key, value in {**old, **stored}.items() if key != "_streaming_until"}
    if not stored.get("blocks"):
        # Only a text message is marked (edited).
        new["edited"] = {"user": people.BOT_USER, "ts": ts}
    channel.messages[old["ts"]] = new
    sandbox.workspace.inputs.pop(old["ts"], None)
    sandbox.workspace.changed()
    sandbox.announce(channel, events.changed_event(channel, new, old, ts))
    return new


def update(sandbox: Sandbox, args: Json) -> Json:
    """chat.update. Without `blocks` the old ones stay (slack.md 7; Slack's page once said: only without `text`)."""
    channel, old = own_message(sandbox, args, "cant_update_message")
    if old.get("_streaming_until", 0) > sandbox.workspace.clock():
        raise SlackError("streaming_state_conflict")
    message = edit(sandbox, channel, old, content(args, text_limit=rules.LIMIT["update_text_argument"]))
    return {"channel": channel.id, "ts": message["ts"], "text": message["text"], "message": events.public(message)}


def delete(sandbox: Sandbox, args: Json) -> Json:
    """chat.delete."""
    channel, message = own_message(sandbox, args, "cant_delete_message")
    sandbox.workspace.remove(channel, message["ts"])
    sandbox.announce(channel, events.deleted_event(channel, message, sandbox.workspace.new_ts()))
    return {"channel": channel.id, "ts": message["ts"]}


def permalink(channel: Channel, message: Json) -> str:
    """The address of a message as Slack writes it."""
    link = f"https://{people.TEAM_DOMAIN}.slack.com/archives/{channel.id}/p{message['ts'].replace('.', '')}"
    thread_ts = message.get("thread_ts")
    return link if thread_ts in (None, message["ts"]) else f"{link}?thread_ts={thread_ts}&cid={channel.id}"


def get_permalink(sandbox: Sandbox, args: Json) -> Json:
    """chat.getPermalink."""
    channel = sandbox.workspace.channel(str(args.get("channel", "")))
    message = channel.messages.get(str(args.get("message_ts", "")))
    if message is None:
        raise SlackError("message_not_found")
    return {"channel": channel.id, "permalink": permalink(channel, message)}


def respond(sandbox: Sandbox, token: str, args: Json) -> None:
    """One post to a response_url. Slack's words for a spent or old address are not certain; bolt users report these."""
    url = sandbox.response_urls.get(token)
    if url is None:
        raise SlackError("invalid_url")
    if url.uses >= RESPONSE_URL_USES:
        raise SlackError("used_url")
    if sandbox.workspace.clock() - url.issued > RESPONSE_URL_SECONDS:
        raise SlackError("expired_url")
    workspace = sandbox.workspace
    channel = workspace.channels[url.channel]
    shown = next((m for m in workspace.ephemerals if m["ts"] == url.message_ts), None)
    posted = channel.messages.get(url.message_ts or "")
    own = posted if posted and posted.get("bot_id") == people.BOT_ID else None
    if args.get("delete_original"):
        url.uses += 1
        if shown is not None:
            workspace.ephemerals.remove(shown)
            workspace.changed()
        elif own is not None:
            workspace.remove(channel, own["ts"])
            sandbox.announce(channel, events.deleted_event(channel, own, workspace.new_ts()))
        return
    stored = {**content(args), **thread_of(channel, args.get("thread_ts"))}
    url.uses += 1
    if args.get("replace_original") and shown is not None:
        # Blocks are not kept: a response_url replaces the message.
        replaced = {key: value for key, value in shown.items() if key not in ("blocks", "text", "metadata")}
        workspace.ephemerals[workspace.ephemerals.index(shown)] = {**replaced, **stored}
        workspace.inputs.pop(shown["ts"], None)
        workspace.changed()
    elif args.get("replace_original") and own is not None:
        edit(sandbox, channel, own, {"blocks": [], **stored})
    elif args.get("response_type", "ephemeral") == "in_channel":
        post_as_app(sandbox, channel, stored)
    else:
        show_ephemeral(sandbox, channel, url.user, stored)
