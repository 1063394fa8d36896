// One message → a DOM node: author, text or blocks, reactions, what can be done with it.

import { h, renderBlocks } from "./blocks.js";
import { emoji, markdown, mrkdwn } from "./mrkdwn.js";

const HUES = { customer: [168, 190, 152, 205], agent: [288, 262, 312, 240], supervisor: [24, 42], admin: [0] };
const MOON = '<svg viewBox="0 0 24 24"><path d="M14 3a9 9 0 1 0 7 14A8 8 0 0 1 14 3z"/></svg>';

export const SHORTCUTS = [
  ["suggest_reply", "Suggest a reply"],
  ["summarize_thread", "Summarise thread"],
  ["save_as_knowledge", "Save as knowledge"],
];

const IN_REACH = 2;

export function avatar(user, size = "") {
  if (!user || user.role === "bot") return h("span", { class: `avatar app ${size}`, html: MOON });
  const hues = HUES[user.role] ?? [210];
  const hue = hues[(Number(user.id.at(-1)) || 1) % hues.length];
  const initials = user.real_name.split(" ").map((part) => part[0]).slice(0, 2).join("");
  return h("span", { class: `avatar ${size}`, style: `background:hsl(${hue} 45% 42%)` }, initials);
}

export const clock = (ts) =>
  new Date(Number(ts) * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });

// column: {user, names, people, act, react, pin, shortcut, values}
export function messageNode(message, column, { ephemeral = false } = {}) {
  const author = column.people.get(message.user);
  const app = Boolean(message.bot_id);
  if (message.subtype === "tombstone") return h("div", { class: "message gone" }, "This message was deleted.");
  const context = {
    names: column.names,
    values: {},
    act: (element, block, value) =>
      column.act({ action_id: element.action_id, value, channel: message.channel ?? column.place, message_ts: message.ts }),
  };
  // A person's own rich_text says the same as the text, which keeps bold, code and lists as they were typed.
  const drawn = app && message.blocks?.length ? renderBlocks(message.blocks, context) : null;
  return h(
    "article",
    { class: `message${ephemeral ? " ephemeral" : ""}${message.streaming ? " streaming" : ""}`, "data-ts": message.ts },
    avatar(author),
    h(
      "div",
      { class: "content" },
      ephemeral && h("div", { class: "only-you" }, "Only visible to you"),
      message.pinned_info && h("div", { class: "pinned" }, `Pinned by ${column.names.user(message.pinned_info.pinned_by)}`),
      h(
        "div",
        { class: "byline" },
        h("b", {}, author?.real_name ?? message.user),
        app && h("span", { class: "app-badge" }, "APP"),
        h("time", { title: message.ts }, clock(message.ts)),
      ),
      drawn ?? (message.streamed
        ? h("div", { class: "text markdown", html: markdown(message.text, column.names) })
        : h("div", { class: "text", html: mrkdwn(message.text, column.names) })),
      (message.files ?? []).map((file) =>
        h("a", { class: "file", href: file.permalink, target: "_blank", rel: "noopener" }, `📄 ${file.title}`, h("small", {}, file.pretty_type))),
      message.edited && h("span", { class: "edited" }, "(edited)"),
      !ephemeral && reactions(message, column),
    ),
    !ephemeral && toolbar(message, column),
  );
}

function reactions(message, column) {
  if (!message.reactions?.length) return null;
  return h(
    "div",
    { class: "reactions" },
    message.reactions.map((r) => {
      const mine = r.users.includes(column.user.id);
      const title = r.users.map((id) => column.names.user(id)).join(", ");
      const toggle = () => column.react(message, r.name, mine);
      return h("button", { type: "button", class: mine ? "reaction mine" : "reaction", title, onclick: toggle }, `${emoji(r.name)} ${r.count}`);
    }),
  );
}

function toolbar(message, column) {
  const thumb = (name) => {
    const mine = message.reactions?.some((r) => r.name === name && r.users.includes(column.user.id));
    const act = () => column.react(message, name, mine);
    return h("button", { type: "button", title: `React with ${emoji(name)}`, onclick: act }, emoji(name));
  };
  const pick = (event) => {
    const callback = event.target.value;
    event.target.value = "";
    column.shortcut(message, callback);
  };
  return h(
    "div",
    { class: "toolbar" },
    thumb("+1"),
    thumb("-1"),
    h("button", { type: "button", title: message.pinned_info ? "Un-pin from channel" : "Pin to channel", onclick: () => column.pin(message) }, "📌"),
    h("button", { type: "button", title: "Reply in thread", onclick: () => column.openThread(message) }, "💬"),
    h(
      "select",
      { title: "Message shortcuts", "aria-label": "Message shortcuts", onchange: pick },
      h("option", { value: "" }, "⋮"),
      SHORTCUTS.map(([id, label]) => h("option", { value: id }, label)),
    ),
  );
}

// The line under a thread's first message: replies, and the shortcuts within easy reach for who answers customers.
export function threadLine(message, column, open) {
  const count = message.replies.length;
  const staff = column.user.role !== "customer" && !message.bot_id && !column.channel?.is_im;
  const label = count ? `${count} ${count === 1 ? "reply" : "replies"}` : "Reply";
  return h(
    "div",
    { class: "thread-line" },
    h("button", { type: "button", class: "thread-toggle", onclick: () => column.toggleThread(message), "aria-expanded": open }, label),
    staff &&
      SHORTCUTS.slice(0, IN_REACH).map(([id, name]) =>
        h("button", { type: "button", class: "shortcut", "data-shortcut": id, onclick: () => column.shortcut(message, id) }, name),
      ),
  );
}
