"""views.open, push, update and publish, and what a submitted modal's answer may do."""

import secrets

from bot.sandbox import chat, people, rules
from bot.sandbox.sandbox import Sandbox
from bot.sandbox.workspace import Json, SlackError


def stored_view(view: Json, *, view_id: str | None = None) -> Json:
    """A view as Slack stores and returns it."""
    view_id = view_id or "V" + secrets.token_hex(5).upper()
    empty = {"callback_id": "", "private_metadata": "", "external_id": "", "submit": None, "close": None}
    return {
        "clear_on_close": False, "notify_on_close": False, "submit_disabled": False, **empty, **view,
        "id": view_id, "team_id": people.TEAM_ID, "app_id": people.APP_ID,
        "app_installed_team_id": people.TEAM_ID, "bot_id": people.BOT_ID, "hash": secrets.token_urlsafe(12),
        "previous_view_id": None, "root_view_id": view_id, "blocks": chat.with_block_ids(view["blocks"]),
        "state": {"values": {}},
    }  # fmt: skip


def modal_of(sandbox: Sandbox, args: Json) -> tuple[Json, str, str | None]:
    """(checked modal, who it is for, the modal their trigger came from), spending the trigger id."""
    view = rules.check_view(args.get("view"), "modal")
    external = view.get("external_id")
    if external and any(v["external_id"] == external for v in sandbox.workspace.views.values()):
        raise SlackError("duplicate_external_id")
    trigger = sandbox.workspace.use_trigger(args.get("trigger_id"))
    return stored_view(view), trigger.user, trigger.from_view


def open_modal(sandbox: Sandbox, args: Json) -> Json:
    """views.open. From a click in a modal it comes on top of it (not certain), otherwise it is the first of a stack."""
    view, user, from_view = modal_of(sandbox, args)
    if from_view not in sandbox.workspace.stacks.get(user, []):
        sandbox.workspace.close_views(user, top_only=False)
    sandbox.workspace.push_view(user, view)
    return {"view": view}


def push(sandbox: Sandbox, args: Json) -> Json:
    """views.push: on top of the modal that the trigger came from."""
    view, user, from_view = modal_of(sandbox, args)
    if from_view not in sandbox.workspace.stacks.get(user, []):
        raise SlackError("not_found")
    sandbox.workspace.push_view(user, view)
    return {"view": view}


def replace(sandbox: Sandbox, old: Json, view: Json) -> Json:
    """Put `view` in place of an open one. The id stays; inputs whose block_id and action_id stay keep their value."""
    new = stored_view(view, view_id=old["id"])
    new |= {"root_view_id": old["root_view_id"], "previous_view_id": old["previous_view_id"]}
    sandbox.workspace.views[old["id"]] = new
    kept = sandbox.workspace.inputs.get(old["id"], {})
    here = {block["block_id"] for block in new["blocks"]}
    sandbox.workspace.inputs[old["id"]] = {block: values for block, values in kept.items() if block in here}
    sandbox.workspace.changed()
    return new


def update(sandbox: Sandbox, args: Json) -> Json:
    """views.update by view_id or external_id; a stale hash is hash_conflict."""
    wanted, external = args.get("view_id"), args.get("external_id")
    views = sandbox.workspace.views.values()
    old = next((v for v in views if v["id"] == wanted or (external and v["external_id"] == external)), None)
    view = rules.check_view(args.get("view"), old["type"] if old else "modal")
    if old is None:
        raise SlackError("not_found")
    if args.get("hash") and args["hash"] != old["hash"]:
        raise SlackError("hash_conflict")
    return {"view": replace(sandbox, old, view)}


def publish(sandbox: Sandbox, args: Json) -> Json:
    """views.publish: the Home tab of one user."""
    user = args.get("user_id")
    if user not in sandbox.workspace.users:
        raise SlackError("user_not_found" if user else "invalid_arguments")
    view = rules.check_view(args.get("view"), "home")
    old = sandbox.workspace.homes.get(user)
    if args.get("hash") and old and args["hash"] != sandbox.workspace.views[old]["hash"]:
        raise SlackError("hash_conflict")
    new = stored_view(view, view_id=old)
    sandbox.workspace.homes[user] = new["id"]
    sandbox.workspace.views[new["id"]] = new
    sandbox.workspace.changed()
    return {"view": new}


def apply_submission(sandbox: Sandbox, user: str, view: Json, response: Json) -> dict[str, str]:
    """Do what the ack of a view_submission says; returns the errors to show, {} when there are none.

    Raises SlackError for a response that Slack would not take: the person then sees that something went wrong.
    """
    action = response.get("response_action")
    if action == "errors":
        errors = response.get("errors")
        inputs = {block["block_id"] for block in view["blocks"] if block["type"] == "input"}
        if not isinstance(errors, dict) or not errors or not set(errors) <= inputs:
            raise SlackError("invalid_arguments", ["errors must name block_ids of input blocks"])
        return {str(block): str(sentence) for block, sentence in errors.items()}
    if action == "clear":
        sandbox.workspace.close_views(user, top_only=False)
    elif action == "update":
        replace(sandbox, view, rules.check_view(response.get("view"), "modal"))
    elif action == "push":
        sandbox.workspace.push_view(user, stored_view(rules.check_view(response.get("view"), "modal")))
    elif action is None:
        # The view that was submitted closes; it is the topmost one.
        sandbox.workspace.close_views(user, top_only=True)
    else:
        raise SlackError("invalid_arguments", [f"unknown response_action: {action}"])
    return {}
