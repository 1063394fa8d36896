// Start the page: three columns, one stream of changes, the strip of problems.

import { h } from "./blocks.js";
import { Column } from "./column.js";

const START = [["customer", "U0CUSTOMER1"], ["agent", "U0AGENT1"], ["supervisor", "U0SUPER1"]];
const KINDS = {
  refused: "refused", fault: "fault", late_ack: "late ack", no_ack: "no ack", no_connection: "no app", event_lost: "event lost",
  rate_limited: "rate limited", bad_frame: "bad frame",
};
const $ = (id) => document.getElementById(id);

function describe(problem) {
  const what = problem.method ?? problem.what ?? problem.event_id ?? "";
  const late = problem.ack_ms ? `acked after ${(problem.ack_ms / 1000).toFixed(1)} s, Slack waits 3 s` : problem.error;
  return h("li", { class: problem.expected ? "expected" : "" },
    h("time", {}, new Date(problem.at * 1000).toLocaleTimeString()),
    h("b", {}, KINDS[problem.kind] ?? problem.kind), h("code", {}, what), h("span", {}, late ?? ""),
    problem.messages?.length ? h("small", {}, problem.messages.join("; ")) : null);
}

function drawProblems(problems) {
  const serious = problems.filter((p) => !p.expected).length;
  const toggle = $("problems-toggle");
  toggle.textContent = serious ? `${serious} ${serious === 1 ? "problem" : "problems"}` : "No problems";
  toggle.className = serious ? "bad" : "good";
  $("problems").replaceChildren(h("ul", {}, problems.length ? problems.slice(-100).reverse().map(describe) : h("li", {}, "Nothing was refused or late.")));
}

function drawConnection(connected) {
  const told = $("connection");
  told.className = connected ? "good" : "bad";
  told.textContent = connected ? "App connected" : "No app connected";
  $("connect").hidden = Boolean(connected);
}

async function start() {
  const { users, environment } = await (await fetch("/sandbox/users")).json();
  const people = new Map(users.map((user) => [user.id, user]));
  $("environment").textContent = Object.entries(environment).map(([name, value]) => `${name}=${value}`).join("\n");
  $("problems-toggle").addEventListener("click", () => {
    $("problems").hidden = !$("problems").hidden;
    $("problems-toggle").setAttribute("aria-expanded", String(!$("problems").hidden));
  });
  const columns = START.map(([role, user]) => new Column(role, people, user));
  $("columns").append(...columns.map((column) => column.root));
  let running = false;
  let again = false;
  const refresh = async () => {
    if (running) { again = true; return; }
    running = true;
    const states = await Promise.all(columns.map((column) => column.refresh()));
    drawConnection(states[0].connected);
    drawProblems(states[0].problems);
    running = false;
    if (again) { again = false; refresh(); }
  };
  const changes = new EventSource("/sandbox/changes");
  changes.onmessage = refresh;
  changes.onerror = () => drawConnection(0);
}

start();
