"""chat.startStream, appendStream and stopStream: a message that grows while the app writes it."""

from bot.sandbox import chat, events, people, rules
from bot.sandbox.sandbox import Sandbox
from bot.sandbox.workspace import Channel, Json, SlackError

STREAM_SECONDS = 5 * 60
"""A stream dies after about this long (facts: slack.md 12; measured by users, not documented)."""


def streamed_text(args: Json, *, required: bool) -> str:
    """markdown_text, or the text of its chunks, at most 12,000 characters per call."""
    chunks = args.get("chunks") or []
    if args.get("markdown_text") and chunks:
        raise SlackError("invalid_arguments", ["markdown_text and chunks exclude each other"])
    for chunk in chunks:
        if not isinstance(chunk, dict) or chunk.get("type") not in ("markdown_text", "task_update", "plan_update"):
            raise SlackError("invalid_chunks")
    text = str(args.get("markdown_text") or "".join(c.get("text", "") for c in chunks if c["type"] == "markdown_text"))
    if required and not text and not chunks:
        raise SlackError("no_text")
    if len(text) > rules.LIMIT["stream"]:
        raise SlackError("msg_too_long")
    return text


def start_stream(sandbox: Sandbox, args: Json) -> Json:
    """chat.startStream. In channels the recipient must be named (slack.md 12)."""
    channel = sandbox.workspace.channel_for_bot(args.get("channel"))
    if not args.get("thread_ts"):
        raise SlackError("invalid_arguments", ["missing required field: thread_ts"])
    if not channel.is_im:
        for name in ("recipient_user_id", "recipient_team_id"):
            if not args.get(name):
                raise SlackError(f"missing_{name}")
        if args["recipient_user_id"] not in sandbox.workspace.users:
            raise SlackError("user_not_found")
    text = streamed_text(args, required=False)
    until = sandbox.workspace.clock() + STREAM_SECONDS
    stored = {"text": text, "_streaming_until": until, **chat.thread_of(channel, args["thread_ts"])}
    message = chat.post_as_app(sandbox, channel, stored)
    return {"channel": channel.id, "ts": message["ts"]}


def streaming(sandbox: Sandbox, args: Json) -> tuple[Channel, Json]:
    """The app's message that is still being streamed."""
    channel = sandbox.workspace.channel_for_bot(args.get("channel"))
    message = channel.messages.get(str(args.get("ts", "")))
    if message is None:
        raise SlackError("message_not_found")
    if message.get("bot_id") != people.BOT_ID:
        raise SlackError("message_not_owned_by_app")
    if sandbox.workspace.clock() > message.get("_streaming_until", 0):
        raise SlackError("message_not_in_streaming_state")
    return channel, message


def expire_all(sandbox: Sandbox) -> int:
    """Let every stream die as after five minutes: its message stays half written. Returns how many died."""
    streamed = [m for c in sandbox.workspace.channels.values() for m in c.messages.values() if "_streaming_until" in m]
    for message in streamed:
        message["_streaming_until"] = 0
    sandbox.workspace.changed()
    return len(streamed)


def append_stream(sandbox: Sandbox, args: Json) -> Json:
    """chat.appendStream."""
    channel, message = streaming(sandbox, args)
    message["text"] += streamed_text(args, required=True)
    sandbox.workspace.changed()
    return {"channel": channel.id, "ts": message["ts"]}


def stop_stream(sandbox: Sandbox, args: Json) -> Json:
    """chat.stopStream: the text's end, and blocks and metadata for the finished message."""
    channel, message = streaming(sandbox, args)
    text = message["text"] + streamed_text(args, required=False)
    if not text and not args.get("blocks"):
        raise SlackError("no_text")
    blocks = [{"type": "markdown", "text": text}] if text else []
    # Slack stores the text as blocks of its own and puts the app's below; which ones is not documented.
    below = rules.check_blocks(args["blocks"]) if args.get("blocks") else []
    metadata = {"metadata": rules.check_metadata(args["metadata"])} if args.get("metadata") else {}
    old = dict(message)
    del message["_streaming_until"]
    message |= {"text": text, "blocks": chat.with_block_ids([*blocks, *below]), **metadata}
    sandbox.workspace.changed()
    sandbox.announce(channel, events.changed_event(channel, message, old, sandbox.workspace.new_ts()))
    return {"channel": channel.id, "ts": message["ts"], "message": events.public(message)}
