// Slack's mrkdwn and standard Markdown → safe HTML. Everything is escaped first; only our own tags are added.

const EMOJI = {
  "+1": "👍", thumbsup: "👍", "-1": "👎", thumbsdown: "👎", eyes: "👀", white_check_mark: "✅", x: "❌", warning: "⚠️",
  wave: "👋", tada: "🎉", bulb: "💡", memo: "📝", sparkles: "✨", rocket: "🚀", heart: "❤️", slightly_smiling_face: "🙂",
  pray: "🙏", hourglass: "⌛", hourglass_flowing_sand: "⏳", crescent_moon: "🌙", books: "📚", lock: "🔒", pencil2: "✏️",
  thread: "🧵", mag: "🔍", robot_face: "🤖", speech_balloon: "💬", chart_with_upwards_trend: "📈", link: "🔗",
};

export const emoji = (name) => EMOJI[name] ?? `:${name}:`;

// Slack's own entities stay, everything else that HTML would read is escaped.
export const escape = (text) =>
  String(text).replace(/&(?!amp;|lt;|gt;)/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/"/g, "&quot;");

const link = (url, label) =>
  /^(https?:|mailto:)/i.test(url) ? `<a href="${escape(url)}" target="_blank" rel="noopener noreferrer">${label}</a>` : label;

// Pieces that later rules must not touch are kept aside and put back at the end.
function keeper() {
  const kept = [];
  return {
    keep: (html) => `\u0000${kept.push(html) - 1}\u0000`,
    restore: (text) => {
      while (/\u0000\d+\u0000/.test(text)) text = text.replace(/\u0000(\d+)\u0000/g, (_, n) => kept[n]);
      return text;
    },
  };
}

// <!date^seconds^format^link|fallback>: Slack shows it on the reader's own clock, and writes near days as words.
function date([, seconds, format], fallback) {
  const moment = new Date(Number(seconds) * 1000);
  if (!format || Number.isNaN(moment.getTime())) return fallback ?? "";
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(moment).setHours(0, 0, 0, 0)) / 86400000);
  const written = (options) => moment.toLocaleString("en-GB", options);
  const day = (month) => written({ day: "numeric", month, year: "numeric" });
  const pretty = (month) => ({ 0: "Today", 1: "Yesterday", "-1": "Tomorrow" })[days] ?? day(month);
  const parts = {
    date_num: () => moment.toISOString().slice(0, 10), date: () => day("long"), date_short: () => day("short"),
    date_long: () => written({ weekday: "long", day: "numeric", month: "long", year: "numeric" }),
    date_pretty: () => pretty("long"), date_short_pretty: () => pretty("short"), date_long_pretty: () => pretty("long"),
    time: () => written({ hour: "2-digit", minute: "2-digit" }), time_secs: () => written({ timeStyle: "medium" }),
  };
  return format.replace(/\{(\w+)\}/g, (all, name) => parts[name]?.() ?? all);
}

function token(body, names) {
  const [address, label] = body.split(/\|(.*)/s);
  if (address.startsWith("@")) return `<span class="mention">@${escape(names.user(address.slice(1)))}</span>`;
  if (address.startsWith("#")) return `<span class="mention">#${escape(label || names.channel(address.slice(1)))}</span>`;
  if (address.startsWith("!subteam")) return `<span class="mention ping">@${escape(label || "group")}</span>`;
  if (address.startsWith("!date^")) return escape(date(address.split("^"), label));
  if (address.startsWith("!")) return `<span class="mention ping">@${escape(address.slice(1))}</span>`;
  return link(address, escape(label || address.replace(/^mailto:/, "")));
}

const TOKEN = /<([@#!](?:[A-Za-z0-9^_|.-][^<>]*)|https?:[^<>]+|mailto:[^<>]+)>/g;

function emphasis(text) {
  // A zero-width space counts as a space: before and after a mark it lets Slack format, inside of it it does not.
  const around = (mark) => new RegExp(`(^|[\\s\\u200b([{.,;:!?"'—–-])\\${mark}(?=[^\\s\\u200b])([^\\n\\${mark}]*?[^\\s\\u200b])\\${mark}(?=$|[\\s\\u200b)\\]}.,;:!?"'—–-])`, "g");
  return text
    .replace(around("*"), "$1<b>$2</b>")
    .replace(around("_"), "$1<i>$2</i>")
    .replace(around("~"), "$1<s>$2</s>");
}

function quotes(text, mark) {
  const out = [];
  let quote = null;
  for (const line of text.split("\n")) {
    const inside = line.startsWith(mark) ? line.slice(mark.length).replace(/^ /, "") : null;
    if (inside !== null) (quote ??= []).push(inside);
    if (inside === null && quote) { out.push(`<blockquote>${quote.join("<br>")}</blockquote>`); quote = null; }
    if (inside === null) out.push(line + "\n");
  }
  if (quote) out.push(`<blockquote>${quote.join("<br>")}</blockquote>`);
  return out.join("").replace(/\n$/, "").replace(/\n/g, "<br>");
}

export function mrkdwn(text, names) {
  const { keep, restore } = keeper();
  let html = String(text ?? "")
    .replace(/\u0000/g, "")
    .replace(/```\n?([\s\S]*?)\n?```/g, (_, code) => keep(`<pre>${escape(code)}</pre>`))
    .replace(/`([^`\n]+)`/g, (_, code) => keep(`<code>${escape(code)}</code>`))
    .replace(TOKEN, (_, body) => keep(token(body, names)));
  html = emphasis(escape(html)).replace(/:([a-z0-9_+-]+):/g, (all, name) => EMOJI[name] ?? all);
  return restore(quotes(html, "&gt;"));
}

export function plain(text, withEmoji = true) {
  const html = escape(text ?? "").replace(/\n/g, "<br>");
  return withEmoji ? html.replace(/:([a-z0-9_+-]+):/g, (all, name) => EMOJI[name] ?? all) : html;
}

function inline(text, names) {
  const { keep, restore } = keeper();
  const html = text
    .replace(/`([^`]+)`/g, (_, code) => keep(`<code>${escape(code)}</code>`))
    .replace(/\[([^\]]+)\]\((\S+?)\)/g, (_, label, url) => keep(link(url, escape(label))))
    .replace(TOKEN, (_, body) => keep(token(body, names)));
  return restore(
    escape(html)
      .replace(/\*\*(?=\S)(.+?)\*\*/g, "<b>$1</b>")
      .replace(/(^|[^\w*])[*_](?=\S)([^*_\n]+?)[*_](?=$|[^\w*])/g, "$1<i>$2</i>")
      .replace(/~~(.+?)~~/g, "<s>$1</s>")
      .replace(/:([a-z0-9_+-]+):/g, (all, name) => EMOJI[name] ?? all),
  );
}

const row = (line) => line.trim().replace(/^\||\|$/g, "").split("|").map((cell) => cell.trim());

// Markdown of the `markdown` block: paragraphs, headings, lists, quotes, fences, rules and tables.
export function markdown(text, names) {
  const lines = String(text ?? "").replace(/\u0000/g, "").split("\n");
  const out = [];
  const take = (test) => { const taken = []; while (lines.length && test(lines[0])) taken.push(lines.shift()); return taken; };
  while (lines.length) {
    const line = lines[0];
    if (/^\s*$/.test(line)) { lines.shift(); continue; }
    if (/^```/.test(line)) {
      lines.shift();
      const code = take((l) => !/^```/.test(l));
      lines.shift();
      out.push(`<pre>${escape(code.join("\n"))}</pre>`);
    } else if (/^#{1,6} /.test(line)) {
      const [, marks, title] = lines.shift().match(/^(#{1,6}) (.*)$/);
      out.push(`<div class="heading h${Math.min(marks.length, 3)}">${inline(title, names)}</div>`);
    } else if (/^(-{3,}|\*{3,}|_{3,})\s*$/.test(line)) {
      lines.shift();
      out.push("<hr>");
    } else if (/^>/.test(line)) {
      out.push(`<blockquote>${take((l) => /^>/.test(l)).map((l) => inline(l.replace(/^> ?/, ""), names)).join("<br>")}</blockquote>`);
    } else if (/^\s*([-*•]|\d+[.)]) /.test(line)) {
      const ordered = /^\s*\d/.test(line);
      const items = take((l) => /^\s*([-*•]|\d+[.)]) /.test(l) || /^ {2,}\S/.test(l));
      const html = items.map((l) => `<li>${inline(l.replace(/^\s*([-*•]|\d+[.)]) ?/, ""), names)}</li>`).join("");
      out.push(ordered ? `<ol>${html}</ol>` : `<ul>${html}</ul>`);
    } else if (/^\s*\|/.test(line) && /^\s*\|?[\s:|-]+\|?\s*$/.test(lines[1] ?? "")) {
      const [head, , ...body] = take((l) => /^\s*\|/.test(l));
      const cells = (tag, l) => row(l).map((cell) => `<${tag}>${inline(cell, names)}</${tag}>`).join("");
      out.push(`<table><tr>${cells("th", head)}</tr>${body.map((l) => `<tr>${cells("td", l)}</tr>`).join("")}</table>`);
    } else {
      const paragraph = take((l) => !/^\s*$|^```|^#{1,6} |^>|^\s*([-*•]|\d+[.)]) /.test(l));
      if (!paragraph.length) paragraph.push(lines.shift());
      out.push(`<p>${paragraph.map((l) => inline(l, names)).join("<br>")}</p>`);
    }
  }
  return out.join("");
}
