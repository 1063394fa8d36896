// Block Kit → DOM nodes, for messages, modals and the Home tab.

import { emoji, markdown, mrkdwn, plain } from "./mrkdwn.js";

// h("div", {class: "x", onclick: f}, child…): children are nodes, texts or null.
export function h(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "html") node.innerHTML = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const textOf = (object, names) =>
  object.type === "mrkdwn" ? mrkdwn(object.text, names) : plain(object.text, object.emoji !== false);

// context: {names, act(element, block, value), values (state.values), errors, frozen}
export function renderBlocks(blocks, context) {
  return blocks.map((block) => {
    const draw = BLOCKS[block.type] ?? unknown;
    const node = draw(block, context);
    node.dataset.block = block.block_id ?? "";
    return node;
  });
}

const unknown = (block) => h("div", { class: "b-unknown" }, `(${block.type} block: this page does not draw it)`);

const BLOCKS = {
  section: (block, context) =>
    h(
      "div",
      { class: "b-section" },
      h(
        "div",
        { class: "b-body" },
        block.text && h("div", { class: "text", html: textOf(block.text, context.names) }),
        block.fields &&
          h("div", { class: "b-fields" }, block.fields.map((f) => h("div", { class: "text", html: textOf(f, context.names) }))),
      ),
      block.accessory && h("div", { class: "b-accessory" }, element(block.accessory, block, context)),
    ),
  header: (block) => h("div", { class: "b-header", html: plain(block.text.text) }),
  divider: () => h("hr", { class: "b-divider" }),
  context: (block, context) =>
    h(
      "div",
      { class: "b-context" },
      block.elements.map((e) =>
        e.type === "image" ? image(e) : h("span", { class: "text", html: textOf(e, context.names) }),
      ),
    ),
  actions: (block, context) =>
    h("div", { class: "b-actions" }, block.elements.map((e) => element(e, block, context))),
  context_actions: (block, context) =>
    h("div", { class: "b-actions b-feedback" }, block.elements.map((e) => element(e, block, context))),
  input: (block, context) => {
    const error = context.errors?.[block.block_id];
    return h(
      "div",
      { class: error ? "b-input wrong" : "b-input" },
      h("label", {}, h("span", { html: plain(block.label.text) }), block.optional && h("i", {}, " (optional)")),
      element(block.element, block, context),
      block.hint && h("div", { class: "hint", html: plain(block.hint.text) }),
      error && h("div", { class: "error", role: "alert" }, error),
    );
  },
  image: (block) =>
    h("figure", { class: "b-image" }, block.title && h("figcaption", { html: plain(block.title.text) }), image(block)),
  markdown: (block, context) => h("div", { class: "text markdown", html: markdown(block.text, context.names) }),
  rich_text: (block, context) => h("div", { class: "text" }, block.elements.map((part) => richPart(part, context.names))),
  table: (block, context) =>
    h(
      "table",
      { class: "b-table" },
      block.rows.map((cells) =>
        h("tr", {}, cells.map((c) => h("td", {}, c.type === "raw_text" ? c.text : BLOCKS.rich_text(c, context)))),
      ),
    ),
};

const image = (e) => h("img", { src: e.image_url ?? `/sandbox/file/${e.slack_file.id}`, alt: e.alt_text, title: e.alt_text, loading: "lazy" });

function richPart(part, names) {
  const inside = () => part.elements.map((leaf) => richLeaf(leaf, names));
  if (part.type === "rich_text_preformatted") return h("pre", {}, inside());
  if (part.type === "rich_text_quote") return h("blockquote", {}, inside());
  if (part.type === "rich_text_list")
    return h(part.style === "ordered" ? "ol" : "ul", {}, part.elements.map((item) => h("li", {}, richPart(item, names))));
  return h("span", { class: "rich" }, inside());
}

function richLeaf(leaf, names) {
  const draw = {
    text: () => h("span", {}, leaf.text),
    link: () => h("span", { html: mrkdwn(`<${leaf.url}|${leaf.text || leaf.url}>`, names) }),
    emoji: () => h("span", {}, emoji(leaf.name)),
    user: () => h("span", { class: "mention" }, `@${names.user(leaf.user_id)}`),
    channel: () => h("span", { class: "mention" }, `#${names.channel(leaf.channel_id)}`),
    usergroup: () => h("span", { class: "mention ping" }, "@group"),
    broadcast: () => h("span", { class: "mention ping" }, `@${leaf.range}`),
  }[leaf.type];
  let node = draw ? draw() : h("span", {}, leaf.text ?? leaf.fallback ?? "");
  for (const [style, tag] of [["bold", "b"], ["italic", "i"], ["strike", "s"], ["code", "code"]])
    if (leaf.style?.[style]) node = h(tag, {}, node);
  return node;
}

function element(e, block, context) {
  const draw = ELEMENTS[e.type] ?? (SELECT.test(e.type) ? select : null);
  const node = draw ? draw(e, block, context) : h("em", {}, `(${e.type})`);
  if (context.frozen) node.querySelectorAll("button,select,input,textarea").forEach((n) => (n.disabled = true));
  return node;
}

const SELECT = /^(multi_)?(static|users|conversations|channels|external)_select$/;

const confirmed = (e) =>
  !e.confirm || window.confirm(`${e.confirm.title.text}\n\n${e.confirm.text.text}`);

function button(e, block, context, label = plain(e.text.text), value = e.value ?? null, extra = "") {
  const press = async (event) => {
    if (e.url) window.open(e.url, "_blank", "noopener");
    if (!confirmed(e)) return;
    const pressed = event.currentTarget;
    pressed.classList.add("busy");
    await context.act(e, block, value);
    pressed.classList.remove("busy");
  };
  const style = `button ${e.style ?? ""} ${extra}`;
  return h("button", { type: "button", class: style, onclick: press, "data-action": e.action_id, html: label });
}

// What the state says now for an input: the server keeps every value that was chosen or submitted.
const current = (e, block, context) => context.values?.[block.block_id]?.[e.action_id] ?? {};

function written(e, block, context) {
  const value = current(e, block, context).value ?? "";
  const common = {
    "data-block": block.block_id, "data-action": e.action_id, placeholder: e.placeholder?.text,
    maxlength: e.max_length ?? 3000, autofocus: e.focus_on_load,
  };
  if (!e.multiline) return h("input", { type: e.type === "number_input" ? "number" : "text", value, ...common });
  const area = h("textarea", { rows: 7, ...common });
  area.value = value;
  return area;
}

function options(e, context) {
  if (/users/.test(e.type)) return context.names.users().map(([id, name]) => ({ value: id, text: { text: name } }));
  if (/conversations|channels/.test(e.type))
    return context.names.channels().map(([id, name]) => ({ value: id, text: { text: `#${name}` } }));
  return (e.option_groups ?? []).flatMap((group) => group.options).concat(e.options ?? []);
}

function select(e, block, context) {
  const now = current(e, block, context);
  const several = e.type.startsWith("multi_");
  const chosen = new Set(
    [now.selected_option, ...(now.selected_options ?? [])].filter(Boolean).map((o) => o.value)
      .concat(Object.entries(now).filter(([k]) => /^selected_(user|conversation|channel)s?$/.test(k)).flatMap(([, v]) => v ?? [])),
  );
  const choices = options(e, context).map((o) => h("option", { value: o.value, selected: chosen.has(o.value) }, o.text.text));
  const empty = !several && h("option", { value: "", selected: !chosen.size }, e.placeholder?.text ?? "Choose…");
  const changed = (event) => {
    if (block.type === "input" && !block.dispatch_action) return;
    const values = [...event.target.selectedOptions].map((o) => o.value);
    context.act(e, block, several ? values : values[0]);
  };
  return h(
    "select",
    { multiple: several, onchange: changed, "data-block": block.block_id, "data-action": e.action_id, "data-several": several },
    empty,
    choices,
  );
}

function choices(e, block, context, type) {
  const now = current(e, block, context);
  const chosen = new Set([now.selected_option, ...(now.selected_options ?? [])].filter(Boolean).map((o) => o.value));
  const name = `${block.block_id}-${e.action_id}-${Math.random()}`;
  const box = h("div", { class: "choices", "data-block": block.block_id, "data-action": e.action_id, "data-choices": type });
  const changed = () => {
    if (block.type === "input" && !block.dispatch_action) return;
    const values = [...box.querySelectorAll("input:checked")].map((i) => i.value);
    context.act(e, block, type === "radio" ? values[0] : values);
  };
  for (const o of e.options) {
    const input = h("input", { type, name, value: o.value, checked: chosen.has(o.value), onchange: changed });
    box.append(h("label", {}, input, h("span", { html: textOf(o.text, context.names) }),
      o.description && h("small", { html: textOf(o.description, context.names) })));
  }
  return box;
}

function picker(type) {
  return (e, block, context) => {
    const value = Object.entries(current(e, block, context)).find(([k]) => k.startsWith("selected_"))?.[1];
    const changed = (event) => (block.type !== "input" || block.dispatch_action) && context.act(e, block, event.target.value);
    return h("input", { type, value, onchange: changed, "data-block": block.block_id, "data-action": e.action_id });
  };
}

const ELEMENTS = {
  button: (e, block, context) => button(e, block, context),
  icon_button: (e, block, context) => button(e, block, context, `🗑 ${plain(e.text.text)}`),
  feedback_buttons: (e, block, context) =>
    h(
      "span",
      { class: "feedback" },
      button({ ...e, url: null }, block, context, `👍 ${plain(e.positive_button.text.text)}`, e.positive_button.value, "quiet"),
      button({ ...e, url: null }, block, context, `👎 ${plain(e.negative_button.text.text)}`, e.negative_button.value, "quiet"),
    ),
  overflow: (e, block, context) => {
    const pick = (event) => { const value = event.target.value; event.target.value = ""; if (confirmed(e)) context.act(e, block, value); };
    const items = e.options.map((o) => h("option", { value: o.value }, o.text.text));
    return h("select", { class: "overflow", onchange: pick, "data-action": e.action_id, "aria-label": "More" }, h("option", { value: "" }, "⋯"), items);
  },
  image: (e) => image(e),
  plain_text_input: written, email_text_input: written, url_text_input: written, number_input: written,
  checkboxes: (e, block, context) => choices(e, block, context, "checkbox"),
  radio_buttons: (e, block, context) => choices(e, block, context, "radio"),
  datepicker: picker("date"), timepicker: picker("time"),
};

// What stands in the inputs of a drawn modal: {block: {action: value}}.
export function enteredValues(root) {
  const values = {};
  for (const node of root.querySelectorAll(".b-input [data-action]")) {
    const { block, action, choices: kind, several } = node.dataset;
    const checked = kind ? [...node.querySelectorAll("input:checked")].map((i) => i.value) : null;
    let value = node.value || null;
    if (kind) value = kind === "radio" ? (checked[0] ?? null) : checked;
    else if (several !== undefined) value = [...node.selectedOptions].map((o) => o.value);
    (values[block] ??= {})[action] = value;
  }
  return values;
}
