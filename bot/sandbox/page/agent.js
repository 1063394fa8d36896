// The app's Messages tab: what the person looks at beside it, and the prompts that the app suggests.

import { h } from "./blocks.js";

const EXCERPT = 40;

export async function openMessages(column, post) {
  const user = column.user.id;
  if (column.viewing) await post("context", { user, ...column.viewing });
  await post("home", { user, tab: "messages" });
}

// "Beside: #help, thread “My invoice is wrong”", from the context that the app was told.
export function besideLine(state) {
  const entity = state.context?.entities?.[0];
  if (!entity) return "";
  const place = entity.value.channel_id ?? entity.value;
  const channel = state.channels.find((c) => c.id === place);
  const root = channel?.messages.find((m) => m.ts === entity.value.message_ts);
  const text = root?.text ?? "";
  const thread = entity.value.message_ts ? `, thread “${text.length > EXCERPT ? `${text.slice(0, EXCERPT)}…` : text}”` : "";
  return `Beside: #${channel?.name ?? place}${thread}`;
}

export function promptButtons({ title, prompts }, say) {
  const buttons = prompts.map((p) => h("button", { type: "button", class: "button", title: p.message, onclick: () => say(p.message) }, p.title));
  return h("div", { class: "prompts", "aria-label": "Suggested prompts" }, h("b", {}, title), buttons);
}
