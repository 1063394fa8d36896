"""What a person does that the app must ack: slash commands, shortcuts, clicks, modals sent or closed, the Home tab."""

from bot.sandbox import chat, events, people, values, views
from bot.sandbox.rules import elements_of
from bot.sandbox.sandbox import Sandbox
from bot.sandbox.socket_mode import Ack
from bot.sandbox.values import WrongInput
from bot.sandbox.workspace import Channel, Json, SlackError


def person(sandbox: Sandbox, user: object) -> people.User:
    """The person with this id; the app's own user is none."""
    found = sandbox.workspace.users.get(user) if isinstance(user, str) else None
    if found is None or found.role == "bot":
        known = ", ".join(u.id for u in sandbox.workspace.users.values() if u.role != "bot")
        raise WrongInput(f"no person {user!r} here; there are {known}")
    return found


def channel_seen(sandbox: Sandbox, user: people.User, name: object) -> Channel:
    """The channel with this id or name, if this person is in it."""
    try:
        channel = sandbox.workspace.channel(str(name))
    except SlackError as error:
        raise WrongInput(f"no channel {name!r} here; see GET /sandbox/state?user={user.id}") from error
    if user.id not in channel.members:
        raise WrongInput(f"{user.id} is not a member of {channel.id}")
    return channel


def outcome(ack: Ack, **more: object) -> Json:
    """What the control API tells about an ack."""
    sentence = {
        None: {},
        "operation_timeout": {"message": "the app did not ack within 3 s; the person sees that it did not respond"},
        "dispatch_failed": {"message": "no app is connected, or it went away before it acked"},
    }[ack.error]
    refused = {"error": ack.error} if ack.error else {}
    return {"ok": ack.error is None, "ack_ms": ack.ack_ms, "response": ack.payload, **refused, **sentence, **more}


async def command(sandbox: Sandbox, body: Json) -> Json:
    """A slash command. Never inside a thread: Slack does not run an app's commands there."""
    user = person(sandbox, body.get("user"))
    channel = channel_seen(sandbox, user, body.get("channel"))
    name, text = body.get("command"), body.get("text", "")
    if not isinstance(name, str) or not name.startswith("/") or not isinstance(text, str):
        raise WrongInput("command must be a text that starts with /, text a text")
    if body.get("thread_ts"):
        raise WrongInput("Slack does not run an app's slash commands inside a thread")
    if name == "/invite":
        return invite(sandbox, user, channel)
    trigger_id = sandbox.workspace.new_trigger(user.id)
    ack = await sandbox.socket.deliver(
        "slash_commands",
        {
            "token": "sandbox-verification-token",
            "team_id": people.TEAM_ID,
            "team_domain": people.TEAM_DOMAIN,
            "channel_id": channel.id,
            "channel_name": events.channel_of(channel)["name"],
            "user_id": user.id,
            "user_name": user.name,
            "command": name,
            "text": events.escape(text, keep_entities=False),
            "api_app_id": people.APP_ID,
            "is_enterprise_install": "false",
            "response_url": sandbox.new_response_url("commands", channel.id, user.id),
            "trigger_id": trigger_id,
        },
        accepts_response_payload=True,
    )
    if ack.error is None and (ack.payload.get("text") or ack.payload.get("blocks")):
        answer_command(sandbox, channel, user, ack.payload)
    return outcome(ack, trigger_id=trigger_id)


def answer_command(sandbox: Sandbox, channel: Channel, user: people.User, response: Json) -> None:
    """Show what the app put into its ack of a command."""
    try:
        stored = chat.content(response)
    except SlackError as error:
        sandbox.workspace.problem("refused", method="command ack", error=error.error, messages=error.messages)
        return
    if response.get("response_type") == "in_channel":
        chat.post_as_app(sandbox, channel, stored)
    else:
        chat.show_ephemeral(sandbox, channel, user.id, stored)


def invite(sandbox: Sandbox, user: people.User, channel: Channel) -> Json:
    """Slack's own /invite, for the one invitation that matters here: the app's bot user."""
    if channel.is_im:
        raise WrongInput("nobody can be invited to a direct message")
    channel.members.add(people.BOT_USER)
    sandbox.workspace.changed()
    event = {"type": "member_joined_channel", "user": people.BOT_USER, "channel": channel.id,
             "channel_type": "G" if channel.is_private else "C", "team": people.TEAM_ID, "inviter": user.id,
             "event_ts": sandbox.workspace.new_ts()}  # fmt: skip
    sandbox.announce(channel, event)
    return {"ok": True, "ack_ms": None, "response": {}}


async def shortcut(sandbox: Sandbox, body: Json) -> Json:
    """A message shortcut. It fires wherever the person can see the message, also where the app is no member."""
    user = person(sandbox, body.get("user"))
    channel = channel_seen(sandbox, user, body.get("channel"))
    message = channel.messages.get(str(body.get("message_ts")))
    if message is None:
        raise WrongInput(f"no message {body.get('message_ts')!r} in {channel.id}")
    if not isinstance(body.get("callback_id"), str):
        raise WrongInput("callback_id must name the shortcut")
    trigger_id = sandbox.workspace.new_trigger(user.id)
    payload = events.interaction("message_action", user, trigger_id) | {
        "callback_id": body["callback_id"],
        "action_ts": sandbox.workspace.new_ts(),
        "message_ts": message["ts"],
        "message": events.public(message),
        "channel": events.channel_of(channel),
        "response_url": sandbox.new_response_url("app", channel.id, user.id, message_ts=message["ts"]),
    }
    ack = await sandbox.socket.deliver("interactive", payload, accepts_response_payload=False)
    return outcome(ack, trigger_id=trigger_id)


def surfaces(sandbox: Sandbox, user: people.User, body: Json) -> list[Json]:
    """Where this person may click, nearest first: the named view or message, else modal, ephemerals, messages, Home."""
    workspace = sandbox.workspace
    top = workspace.open_views(user.id)[-1:]
    home = [workspace.views[view_id] for view_id in [workspace.homes.get(user.id)] if view_id]
    if body.get("view_id"):
        shown = [view for view in [*top, *home] if view["id"] == body["view_id"]]
        if not shown:
            raise WrongInput(f"{user.id} has no view {body['view_id']!r} on top")
        return shown
    if body.get("channel"):
        channels = [channel_seen(sandbox, user, body["channel"])]
    else:
        channels = [channel for channel in workspace.channels.values() if user.id in channel.members]
    ids = {channel.id for channel in channels}
    ephemerals = [m for m in workspace.ephemerals if m["_for"] == user.id and m["channel"] in ids]
    posted = [{**m, "channel": channel.id} for channel in channels for m in channel.messages.values()]
    messages = [*ephemerals[::-1], *sorted(posted, key=lambda m: m["ts"], reverse=True)]
    if body.get("message_ts"):
        shown = [message for message in messages if message["ts"] == body["message_ts"]]
        if not shown:
            raise WrongInput(f"{user.id} sees no message {body['message_ts']!r}")
        return shown
    return messages if body.get("channel") else [*top, *messages, *home]


def find_element(shown: list[Json], body: Json, user: people.User) -> tuple[Json, Json, Json]:
    """(surface, block, element) with this action_id and value that the person sees."""
    seen = []
    for surface in shown:
        for block in surface.get("blocks", []):
            for element in elements_of(block):
                if element.get("action_id") == body.get("action_id"):
                    if values.accepts(element, body.get("value")):
                        return surface, block, element
                    seen.append(str(element.get("value")))
    if seen:
        raise WrongInput(f"{body.get('action_id')!r} is there, but not with value {body.get('value')!r}: {seen[:5]}")
    raise WrongInput(f"{user.id} sees nothing with action_id {body.get('action_id')!r} there")


async def action(sandbox: Sandbox, body: Json) -> Json:
    """A click on a button, or a choice in a menu, of a message, an ephemeral, a modal or the Home tab."""
    user = person(sandbox, body.get("user"))
    surface, block, element = find_element(surfaces(sandbox, user, body), body, user)
    workspace = sandbox.workspace
    is_view = surface["type"] in ("modal", "home")
    key = surface["id"] if is_view else surface["ts"]
    entry = values.action_of(block, element, body.get("value"), workspace.new_ts())
    entered = workspace.inputs.setdefault(key, {})
    if element["type"] not in values.STATELESS:
        entered.setdefault(block["block_id"], {})[element["action_id"]] = values.chosen(element, body.get("value"))
    state = {"values": values.state_values(surface["blocks"], entered)}
    trigger_id = workspace.new_trigger(user.id, surface["id"] if surface["type"] == "modal" else None)
    payload = events.interaction("block_actions", user, trigger_id) | {"actions": [entry]}
    if is_view:
        payload |= {"container": {"type": "view", "view_id": key}, "view": {**surface, "state": state}}
    else:
        payload |= message_context(sandbox, user, surface, state)
    ack = await sandbox.socket.deliver("interactive", payload, accepts_response_payload=False)
    return outcome(ack, trigger_id=trigger_id)


def message_context(sandbox: Sandbox, user: people.User, message: Json, state: Json) -> Json:
    """What block_actions says of the message clicked in. Slack leaves `message` out for ephemerals."""
    ephemeral = bool(message.get("is_ephemeral"))
    thread = {"thread_ts": message["thread_ts"]} if "thread_ts" in message else {}
    container = {
        "type": "message", "message_ts": message["ts"], "channel_id": message["channel"], "is_ephemeral": ephemeral,
        **thread,
    }  # fmt: skip
    url = sandbox.new_response_url("actions", message["channel"], user.id, message_ts=message["ts"])
    body = {key: value for key, value in events.public(message).items() if key != "channel"}
    return {
        "container": container,
        "channel": events.channel_of(sandbox.workspace.channels[message["channel"]]),
        "state": state,
        "response_url": url,
        **({} if ephemeral else {"message": body}),
    }


def top_modal(sandbox: Sandbox, user: people.User, view_id: object) -> Json:
    """The modal that this person has on top, if it is the named one."""
    stack = sandbox.workspace.open_views(user.id)
    if not stack or stack[-1]["id"] != view_id:
        raise WrongInput(f"{user.id} has no modal {view_id!r} open on top")
    return stack[-1]


async def submit(sandbox: Sandbox, body: Json) -> Json:
    """Send the topmost modal. Slack's client holds back what is empty or too long; the app then hears nothing."""
    user = person(sandbox, body.get("user"))
    view = top_modal(sandbox, user, body.get("view_id"))
    if view["submit"] is None:
        raise WrongInput(f"modal {view['id']} has no submit button")
    entered = sandbox.workspace.inputs.setdefault(view["id"], {})
    given = body.get("values") or {}
    if not isinstance(given, dict) or not all(isinstance(v, dict) for v in given.values()):
        raise WrongInput("values must be {block_id: {action_id: value}}")
    elements = {block["block_id"]: {e["action_id"]: e for e in elements_of(block)} for block in view["blocks"]}
    for block_id, actions in given.items():
        for action_id, value in actions.items():
            element = elements.get(block_id, {}).get(action_id)
            if element is None:
                raise WrongInput(f"modal {view['id']} has no input {block_id}/{action_id}")
            entered.setdefault(block_id, {})[action_id] = values.chosen(element, value)
    state = values.state_values(view["blocks"], entered)
    errors = values.client_errors(view["blocks"], state)
    if errors:
        return {"ok": False, "ack_ms": None, "response": {}, "error": "client_validation", "errors": errors}
    trigger_id = sandbox.workspace.new_trigger(user.id, view["id"])
    payload = events.interaction("view_submission", user, trigger_id) | {
        "view": {**view, "state": {"values": state}},
        "response_urls": [],
    }
    ack = await sandbox.socket.deliver("interactive", payload, accepts_response_payload=True)
    if ack.error is not None:
        return outcome(ack)
    try:
        errors = views.apply_submission(sandbox, user.id, view, ack.payload)
    except SlackError as error:
        messages = error.messages
        sandbox.workspace.problem("refused", method="view_submission ack", error=error.error, messages=messages)
        return outcome(ack) | {"ok": False, "error": error.error, "messages": messages}
    if errors:
        return outcome(ack) | {"ok": False, "error": "app_validation", "errors": errors}
    return outcome(ack)


async def close(sandbox: Sandbox, body: Json) -> Json:
    """Close the topmost modal; the app hears of it only if it asked with notify_on_close."""
    user = person(sandbox, body.get("user"))
    view = top_modal(sandbox, user, body.get("view_id"))
    closed = sandbox.workspace.close_views(user.id, top_only=not view["clear_on_close"])
    for gone in closed:
        if gone["notify_on_close"]:
            payload = events.interaction("view_closed", user, None) | {
                "view": gone,
                "is_cleared": len(closed) > 1,
            }
            ack = await sandbox.socket.deliver("interactive", payload, accepts_response_payload=False)
            if ack.error is not None:
                return outcome(ack)
    return {"ok": True, "ack_ms": None, "response": {}}


def open_home(sandbox: Sandbox, body: Json) -> Json:
    """Open the app's Home or Messages tab: app_home_opened, at every visit."""
    user = person(sandbox, body.get("user"))
    tab = body.get("tab", "home")
    if tab not in ("home", "messages"):
        raise WrongInput("tab must be home or messages")
    channel = sandbox.workspace.channels[people.dm_id(user.id)]
    view_id = sandbox.workspace.homes.get(user.id)
    view = {"view": sandbox.workspace.views[view_id]} if view_id and tab == "home" else {}
    viewing = sandbox.workspace.viewing.get(user.id)
    context = {"context": viewing} if viewing is not None and tab == "messages" else {}
    event = {"type": "app_home_opened", "user": user.id, "channel": channel.id, "tab": tab,
             "event_ts": sandbox.workspace.new_ts(), **view, **context}  # fmt: skip
    sandbox.announce(channel, event)
    return {"ok": True}
