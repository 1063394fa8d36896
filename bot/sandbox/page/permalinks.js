// A click on a permalink shows its message in the same column, as Slack's client does, instead of leaving the page.

const PERMALINK = /\/archives\/([A-Z0-9]+)\/p(\d{10})(\d{6})(?:\?thread_ts=([\d.]+))?/;
const FOUND_MS = 2500;

export function followPermalinks(column) {
  column.root.addEventListener("click", (event) => {
    const [, place, seconds, micros, threadTs] = event.target.closest("a")?.href.match(PERMALINK) ?? [];
    const channel = column.state?.channels.find((c) => c.id === place);
    if (!channel) return;
    event.preventDefault();
    const ts = `${seconds}.${micros}`;
    if (column.place !== place) column.go(place);
    column.threads.set(threadTs ?? ts, true);
    column.shown = Math.max(column.shown, channel.messages.length);
    column.draw();
    const message = column.list.querySelector(`.message[data-ts="${ts}"]:not(.ephemeral)`);
    message?.scrollIntoView({ block: "center" });
    message?.classList.add("found");
    setTimeout(() => message?.classList.remove("found"), FOUND_MS);
  });
}
