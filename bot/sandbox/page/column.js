// One person's view of the workspace: picker, channels, messages, composer, modals, the app's Home.

import { besideLine, openMessages, promptButtons } from "./agent.js";
import { enteredValues, h, renderBlocks } from "./blocks.js";
import { avatar, messageNode, threadLine } from "./message.js";
import { followPermalinks } from "./permalinks.js";

const COMMANDS = [
  ["/ask", "a question for the help centre"],
  ["/summarize", "this channel; or today, 12h, 2d, last 50, a link to a thread"],
  ["/nightshift", "status, report, gaps, help, consent, consent on or off, proactive on or off"],
];
const SHOWN = 40;
const OPEN_THREADS = 4;

async function post(deed, body) {
  const response = await fetch(`/sandbox/${deed}`, { method: "POST", body: JSON.stringify(body) });
  return response.json();
}

export class Column {
  constructor(role, people, userId) {
    this.role = role;
    this.people = people;
    this.place = null;
    this.viewing = null;
    this.state = null;
    this.threads = new Map();
    this.drawn = new Map();
    this.seen = new Map();
    this.shown = SHOWN;
    this.modalKey = "";
    this.build();
    followPermalinks(this);
    this.choose(userId);
  }

  build() {
    this.picker = h("select", { class: "person", "aria-label": `Person in the ${this.role} column`, onchange: (e) => this.choose(e.target.value) },
      [...this.people.values()].filter((u) => u.role !== "bot").map((u) => h("option", { value: u.id }, `${u.real_name} · ${u.role}`)));
    this.face = h("span");
    this.presence = h("button", { class: "presence", title: "Come or go", onclick: () => this.comeOrGo() });
    this.rail = h("nav", { class: "rail", "aria-label": "Channels" });
    this.title = h("header", { class: "title" });
    this.list = h("div", { class: "messages" });
    this.note = h("span", { class: "composer-note" });
    this.hints = h("div", { class: "hints", hidden: true });
    this.input = h("textarea", { rows: 1, "aria-label": "Message", onkeydown: (e) => this.key(e), oninput: () => this.hint() });
    this.composer = h("form", { class: "composer", onsubmit: (e) => { e.preventDefault(); this.send(); } }, this.hints, this.input,
      h("div", { class: "composer-line" },
        h("button", { type: "button", class: "slash", title: "Slash commands", onclick: () => { this.input.value = "/"; this.hint(); this.input.focus(); } }, "/"),
        h("button", { type: "button", class: "slash", title: "Mention the app", onclick: () => { this.input.value += "@Nightshift "; this.input.focus(); } }, "@"),
        this.note,
        h("button", { type: "submit", class: "send", title: "Send" }, "Send")));
    this.modal = h("div", { class: "modal-backdrop", hidden: true });
    this.toasts = h("div", { class: "toasts", role: "status" });
    this.root = h("section", { class: `column ${this.role}`, "aria-label": `${this.role} column` },
      h("div", { class: "who" }, h("span", { class: "role" }, this.role), this.face, this.picker, this.presence),
      h("div", { class: "desk" }, this.rail, h("div", { class: "pane" }, this.title, this.list, this.composer)),
      this.modal, this.toasts);
  }

  choose(userId) {
    this.user = this.people.get(userId);
    this.picker.value = userId;
    this.face.replaceChildren(avatar(this.user));
    this.place = null;
    this.viewing = null;
    this.seen.clear();
    this.forget();
    this.refresh();
  }

  forget() {
    this.drawn.clear();
    this.threads.clear();
    this.shown = SHOWN;
    this.list.replaceChildren();
  }

  async refresh() {
    const wanted = this.user.id;
    const response = await fetch(`/sandbox/state?user=${wanted}`);
    const state = await response.json();
    if (wanted !== this.user.id || !state.ok) return state;
    this.state = state;
    this.names = {
      user: (id) => this.people.get(id)?.real_name ?? id,
      channel: (id) => state.channels.find((c) => c.id === id)?.name ?? id,
      users: () => [...this.people.values()].map((u) => [u.id, u.real_name]),
      channels: () => state.channels.filter((c) => !c.is_im).map((c) => [c.id, c.name]),
    };
    const start = this.role === "supervisor" ? "C0SUPERVISORS" : "C0HELP";
    this.place ??= state.channels.some((c) => c.id === start) ? start : state.channels[0].id;
    this.viewing ??= { channel: this.place };
    this.draw();
    return state;
  }

  get channel() { return this.state.channels.find((c) => c.id === this.place); }

  go(place) {
    this.place = place;
    this.forget();
    if (place === "home") post("home", { user: this.user.id, tab: "home" });
    else if (this.channel?.is_im) openMessages(this, post);
    else this.viewing = { channel: place };
    this.draw();
  }

  async comeOrGo() {
    await post("presence", { user: this.user.id, presence: this.state.presence === "away" ? "active" : "away" });
    this.refresh();
  }

  draw() {
    this.presence.textContent = this.state.presence === "away" ? "○ away" : "● active";
    this.drawRail();
    const home = this.place === "home";
    this.composer.hidden = home;
    home ? this.drawHome() : this.drawChannel();
    this.drawModal();
  }

  drawRail() {
    const unread = (c) => this.state.ephemerals.some((m) => m.channel === c.id);
    const latest = (c) => c.messages.reduce((last, m) => [last, m.latest_reply ?? m.ts].sort().at(-1), "");
    const news = (c) => {
      if (c.id === this.place || !this.seen.has(c.id)) this.seen.set(c.id, latest(c));
      return this.seen.get(c.id) !== latest(c);
    };
    const item = (place, label, { hint = "", dot = false, bold = false } = {}) =>
      h("button", { type: "button", class: place === this.place ? "here" : bold ? "unread" : "", title: hint, onclick: () => this.go(place), "data-place": place }, label, dot && h("i", { class: "dot", title: "Something only you can see" }));
    const channels = this.state.channels.filter((c) => !c.is_im);
    const im = this.state.channels.find((c) => c.is_im);
    this.rail.replaceChildren(
      h("h3", {}, "Channels"),
      ...channels.map((c) => item(c.id, `${c.is_private ? "🔒" : "#"} ${c.name}`, { hint: c.topic + (c.app_is_member ? "" : " (the app is not a member)"), dot: c.id !== this.place && unread(c), bold: news(c) })),
      h("h3", {}, "App"),
      item("home", "Home"),
      im && item(im.id, "Nightshift", { hint: "Direct message with the app", dot: im.id !== this.place && unread(im), bold: news(im) }));
  }

  drawHome() {
    const view = this.state.home;
    this.title.replaceChildren(h("b", {}, "Nightshift"), h("span", {}, "Home"));
    const context = { names: this.names, values: view?.state.values, act: (e, b, value) => this.act({ action_id: e.action_id, value, view_id: view.id }) };
    this.list.replaceChildren(h("div", { class: "home" }, view ? renderBlocks(view.blocks, context) : h("p", { class: "empty" }, "The app has not published a Home tab for this person.")));
  }

  drawChannel() {
    const channel = this.channel;
    if (!channel) return this.go(this.state.channels[0].id);
    const marks = [channel.is_ext_shared && "shared with another company", !channel.app_is_member && "the app is not in this channel"].filter(Boolean);
    this.title.replaceChildren(h("b", {}, channel.is_im ? "Nightshift" : `${channel.is_private ? "🔒 " : "#"}${channel.name}`),
      h("span", {}, channel.is_im ? "Messages" : channel.topic), marks.map((mark) => h("em", {}, mark)));
    this.input.placeholder = channel.is_im ? "Message Nightshift" : `Message #${channel.name}`;
    const bottom = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 80;
    const ephemerals = this.state.ephemerals.filter((m) => m.channel === channel.id);
    const top = channel.messages.slice(-this.shown);
    const items = [
      ...top.map((m, index) => ({ key: m.ts, message: m, open: Boolean(channel.status[m.ts]) || this.isOpen(m, index, top.length, ephemerals) })),
      ...ephemerals.filter((m) => !top.some((t) => t.ts === m.thread_ts)).map((m) => ({ key: `e${m.ts}`, message: m, ephemeral: true })),
    ].sort((a, b) => Number(a.message.ts) - Number(b.message.ts));
    const keep = new Set(items.map((item) => item.key));
    for (const [key, { node }] of this.drawn) if (!keep.has(key)) { node.remove(); this.drawn.delete(key); }
    const older = channel.messages.length > this.shown ? [h("button", { type: "button", class: "older", onclick: () => { this.shown += SHOWN; this.draw(); } }, "Show older messages")] : [];
    const nodes = items.map((item) => this.item(item, channel, ephemerals));
    const empty = nodes.length ? [] : [h("p", { class: "empty" }, channel.is_im ? "Ask Nightshift something." : "Nothing was said here yet.")];
    const prompts = channel.prompts ? [promptButtons(channel.prompts, (text) => this.say(text))] : [];
    this.note.textContent = channel.is_im ? besideLine(this.state) : "";
    const wanted = [...older, ...nodes, ...empty, ...prompts];
    wanted.forEach((node, index) => { if (this.list.children[index] !== node) this.list.insertBefore(node, this.list.children[index] ?? null); });
    while (this.list.children.length > wanted.length) this.list.lastChild.remove();
    if (bottom) this.list.scrollTop = this.list.scrollHeight;
  }

  isOpen(message, index, length, ephemerals) {
    if (this.threads.has(message.ts)) return this.threads.get(message.ts);
    if (ephemerals.some((e) => e.thread_ts === message.ts)) return true;
    return message.replies.length > 0 && index >= length - OPEN_THREADS;
  }

  // Nodes are drawn anew only when what they show has changed, so that a half-typed reply survives.
  item({ key, message, open, ephemeral }, channel, ephemerals) {
    const mine = ephemeral ? [] : ephemerals.filter((e) => e.thread_ts === message.ts);
    const status = channel.status[message.ts];
    const signature = JSON.stringify([message, open, mine, status, channel.app_is_member]);
    const before = this.drawn.get(key);
    if (before?.signature === signature) return before.node;
    const draft = before?.node.querySelector(".reply input");
    const node = ephemeral ? messageNode(message, this, { ephemeral }) : this.threadNode(message, open, mine, status, draft);
    before?.node.replaceWith(node);
    this.drawn.set(key, { signature, node });
    if (draft && draft === document.activeElement) node.querySelector(".reply input")?.focus();
    return node;
  }

  threadNode(message, open, mine, status, draft) {
    const inside = [...message.replies.map((m) => [m, false]), ...mine.map((m) => [m, true])].sort((a, b) => Number(a[0].ts) - Number(b[0].ts));
    const field = h("input", { placeholder: "Reply…", "aria-label": "Reply in thread" });
    field.value = draft?.value ?? "";
    const send = async (event) => { event.preventDefault(); const text = field.value; field.value = ""; await this.say(text, message.ts); };
    const look = () => { if (!this.channel?.is_im) this.viewing = { channel: this.place, message_ts: message.ts }; };
    return h("div", { class: "thread", onclick: look }, messageNode(message, this), threadLine(message, this, open),
      open && h("div", { class: "replies" }, inside.map(([m, ephemeral]) => messageNode(m, this, { ephemeral })),
        status && h("div", { class: "status" }, `Nightshift ${status}`),
        h("form", { class: "reply", onsubmit: send }, field)));
  }

  toggleThread(message) {
    const node = this.drawn.get(message.ts)?.node;
    this.threads.set(message.ts, !node?.querySelector(".replies"));
    this.draw();
  }

  openThread(message) {
    const root = message.thread_ts ?? message.ts;
    this.threads.set(root, true);
    this.draw();
    this.drawn.get(root)?.node.querySelector(".reply input")?.focus();
  }

  key(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); this.send(); }
  }

  hint() {
    const typed = this.input.value;
    const fitting = typed.startsWith("/") && !typed.includes(" ") ? COMMANDS.filter(([c]) => c.startsWith(typed)) : [];
    this.hints.hidden = !fitting.length;
    this.hints.replaceChildren(...fitting.map(([c, what]) => h("button", { type: "button", onclick: () => { this.input.value = `${c} `; this.hint(); this.input.focus(); } }, h("b", {}, c), ` ${what}`)));
  }

  async send() {
    const text = this.input.value.trim();
    if (!text) return;
    this.input.value = "";
    this.hints.hidden = true;
    const command = text.match(/^(\/\S+)\s*([\s\S]*)$/);
    if (command) return this.tell(await post("command", { user: this.user.id, channel: this.place, command: command[1], text: command[2] }), command[1]);
    return this.say(text);
  }

  async say(text, threadTs) {
    if (!text.trim()) return;
    let written = text;
    for (const person of this.people.values())
      for (const name of [person.real_name, person.name]) written = written.replaceAll(`@${name}`, `<@${person.id}>`);
    const thread = threadTs ? { thread_ts: threadTs } : {};
    if (threadTs) this.threads.set(threadTs, true);
    this.tell(await post("message", { user: this.user.id, channel: this.place, text: written, ...thread }), "message");
    if (!threadTs) this.list.scrollTop = this.list.scrollHeight;
  }

  async act(body) { this.tell(await post("action", { user: this.user.id, ...body }), body.action_id); }

  async react(message, name, remove) {
    this.tell(await post("reaction", { user: this.user.id, channel: this.place, message_ts: message.ts, name, remove: Boolean(remove) }), "reaction");
  }

  async pin(message) {
    this.tell(await post("pin", { user: this.user.id, channel: this.place, message_ts: message.ts, remove: Boolean(message.pinned_info) }), "pin");
  }

  async shortcut(message, callbackId) {
    if (!callbackId) return;
    const ts = message.thread_ts ?? message.ts;
    this.threads.set(ts, true);
    this.tell(await post("shortcut", { user: this.user.id, channel: this.place, message_ts: message.ts, callback_id: callbackId }), callbackId);
  }

  tell(answer, what) {
    if (answer.ok || answer.errors) return;
    const toast = h("div", { class: "toast" }, `${what}: ${answer.message ?? answer.error}`);
    this.toasts.append(toast);
    setTimeout(() => toast.remove(), 6000);
  }

  drawModal() {
    const view = this.state.views.at(-1);
    const key = view ? `${view.id} ${view.hash} ${this.user.id}` : "";
    if (key === this.modalKey) return;
    this.modalKey = key;
    this.modal.hidden = !view;
    this.modal.replaceChildren(...(view ? [this.modalNode(view, {})] : []));
    this.modal.querySelector("textarea, .b-input input")?.focus();
  }

  modalNode(view, errors, values = view.state.values) {
    const context = { names: this.names, values, errors, act: (e, b, value) => this.act({ action_id: e.action_id, value, view_id: view.id }) };
    const body = h("div", { class: "modal-body" }, renderBlocks(view.blocks, context));
    const close = async () => this.tell(await post("close", { user: this.user.id, view_id: view.id }), "close");
    const submit = async (event) => {
      event.preventDefault();
      form.classList.add("busy");
      const entered = enteredValues(body);
      const answer = await post("submit", { user: this.user.id, view_id: view.id, values: entered });
      form.classList.remove("busy");
      this.tell(answer, "submit");
      if (answer.errors) {
        const state = (await this.refresh()).views.at(-1);
        this.modal.replaceChildren(this.modalNode(state, answer.errors, state.state.values));
      }
    };
    const form = h("form", { class: "modal", role: "dialog", "aria-label": view.title.text, onsubmit: submit },
      h("header", {}, h("b", {}, view.title.text), h("button", { type: "button", class: "x", "aria-label": "Close", onclick: close }, "✕")),
      body,
      h("footer", {}, h("button", { type: "button", class: "button", onclick: close }, view.close?.text ?? "Cancel"), view.submit && h("button", { type: "submit", class: "button primary" }, view.submit.text)));
    return form;
  }
}
