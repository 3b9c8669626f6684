// The status page. Whatever comes from the server is text: it is only ever set as textContent.
"use strict";

const EVERY = 2000;
const ORIGINS = {
  manager: "set by the manager", pinned: "pinned", submitted: "from a submission", used: "from a prompt that was used",
  default: "DEFAULT_PROMPT", config: "the labeling config's own words",
};
const NUMBER = new Intl.NumberFormat("en");
const $ = (id) => document.getElementById(id);

// Asking the server

function address(path) {
  const url = new URL(path, location.href);  // beside this page, whatever prefix it stands under
  url.username = url.password = "";
  return url;
}

async function ask(method, path, body) {
  // The header is what a page of another origin cannot send: the server lets nothing be changed without it.
  const headers = { "X-Requested-With": "llm-backend", "Accept": "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const told = body === undefined ? undefined : JSON.stringify(body);
  const answer = await fetch(address(path), { method, headers, body: told, cache: "no-store", signal: AbortSignal.timeout(15000) });
  const held = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(held.error || `The server answered ${answer.status}.`);
  return held;
}

class Refused extends Error {}

// Showing what it says

function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function part(card, name) {
  return card.querySelector(`[data-is="${name}"]`);
}

function copy(id) {
  return $(id).content.firstElementChild.cloneNode(true);
}

function keep(list, items, key, make, update) {
  // One card per item, in order. Cards that stay are changed in place, so that focus and scrolling stay, too.
  const had = new Map(Array.from(list.children, (card) => [card.dataset.key, card]));
  let before = null;
  for (const item of items) {
    let card = had.get(item[key]);
    if (!card) {
      card = make(item);
      card.dataset.key = item[key];
    }
    had.delete(item[key]);
    update(card, item);
    const place = before ? before.nextSibling : list.firstChild;
    if (card !== place) list.insertBefore(card, place);
    before = card;
  }
  for (const card of had.values()) card.remove();
}

function projectName(key) {
  const [first, rest] = key.split(".");
  return first === "dataset" ? `Dataset ${rest}` : `Project ${first || key}`;
}

function moment(iso) {
  return iso ? new Date(iso).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" }) : "";
}

function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

function counts(run) {
  const told = [`${NUMBER.format(run.done)} of ${NUMBER.format(run.total)} done`];
  for (const state of ["failed", "waiting", "cancelled"]) if (run[state]) told.push(`${NUMBER.format(run[state])} ${state}`);
  return told.join(" · ");
}

function time(run) {
  if (run.eta !== null) return `about ${duration(run.eta)} left`;
  if (run.finished && run.started) return `${moment(run.finished)}, took ${duration((new Date(run.finished) - new Date(run.started)) / 1000)}`;
  return moment(run.finished || run.started || run.created);
}

function makeRun(run) {
  const card = copy("run");
  const named = `run ${run.id}`;
  part(card, "bar").setAttribute("aria-label", `Progress of ${named}`);
  act(card, "cancel", () => confirmed(`Cancel ${named}?`, "No further calls are made. What is answered stays.", "Cancel the run"),
    () => ask("POST", `jobs/${run.id}/cancel`), `Cancel ${named}`);
  act(card, "retry", null, () => ask("POST", `jobs/${run.id}/retry`), `Retry ${named}`);
  card.querySelector("[data-do=more]").addEventListener("click", (event) => allFailures(card, run.id, event.currentTarget));
  return card;
}

function updateRun(card, run) {
  card.className = `card run ${run.state}${run.failed && !run.done ? " nothing-done" : ""}`;
  set(part(card, "title"), run.source === "label" ? "Dataset" : projectName(run.project));
  const chip = part(card, "state");
  chip.className = `chip ${run.state}`;
  set(chip, run.state);
  const bar = part(card, "bar");
  bar.max = Math.max(1, run.total);
  bar.value = run.done + run.failed;
  set(part(card, "counts"), counts(run));
  set(part(card, "time"), time(run));
  const reason = part(card, "reason");
  reason.hidden = !run.reason;
  set(reason, run.reason);
  const unfinished = ["queued", "running", "paused"].includes(run.state);
  card.querySelector("[data-do=cancel]").hidden = !unfinished;
  card.querySelector("[data-do=retry]").hidden = !(run.failed || run.cancelled || run.state === "paused");
  const tokens = run.prompt_tokens + run.completion_tokens;
  set(part(card, "ids"), `Run ${run.id} · ${run.version} · ${NUMBER.format(run.calls)} calls · ${NUMBER.format(tokens)} tokens`);
  updateFailures(card, run);
}

function updateFailures(card, run) {
  part(card, "failed").hidden = !run.failed;
  const more = card.querySelector("[data-do=more]");
  const opened = card.dataset.after !== undefined;
  if (opened && run.failed >= Number(card.dataset.failed)) return;  // what was opened stays; "Show more" brings the rest
  delete card.dataset.after;
  part(card, "failures").replaceChildren(...run.failures.map(failure));
  more.hidden = run.failed <= run.failures.length;
  set(more, `Show all ${NUMBER.format(run.failed)} failures`);
}

function failure(told) {
  const item = copy("failure");
  set(part(item, "task"), told.task === null ? "A task" : `Task ${told.task}`);
  set(part(item, "why"), told.reason);
  return item;
}

async function allFailures(card, id, button) {
  await doing(button, async () => {
    const first = card.dataset.after === undefined;
    const told = await ask("GET", `jobs/${id}?state=failed&most=200${first ? "" : `&after=${card.dataset.after}`}`);
    const list = part(card, "failures");
    if (first) list.replaceChildren();
    list.append(...told.tasks.map(failure));
    card.dataset.failed = told.failed;
    card.dataset.after = told.next === null ? "end" : told.next;
    button.hidden = told.next === null;
    set(button, "Show more");
  });
}

function makeProject(project) {
  const card = copy("project");
  const named = projectName(project.key);
  const path = `projects/${encodeURIComponent(project.key)}`;
  act(card, "pin", async () => {
    const whole = await ask("GET", path);
    const first = whole.origin === "manager" ? " The prompt in the project's extra parameters goes first, as long as there is one." : "";
    return prompted(`Pin a prompt for ${named}`, `No submission replaces it until it is reset.${first}`, whole.prompt);
  }, (prompt) => ask("POST", `${path}/pin`, { prompt }), `Pin a prompt for ${named}`);
  act(card, "reset", () => confirmed(`Reset the prompt of ${named}?`, "Its saved prompt is forgotten; the next submission brings a new one.", "Reset"),
    () => ask("POST", `${path}/reset`), `Reset the prompt of ${named}`);
  act(card, "publish", () => confirmed(`Publish what ${named} has learned?`,
    "From now on batches go by all corrections that are known. Where examples go along, the version moves and tasks are asked anew.",
    "Publish"), () => ask("POST", `${path}/publish`), `Publish what ${named} has learned`);
  act(card, "forget", () => confirmed(`Forget ${named}?`,
    `Its prompt, token, parameters, corrections, kept answers and runs are removed for good (${project.key}).`, "Forget the project"),
    () => ask("DELETE", path), `Forget ${named}`);
  const agreement = part(card, "agreement");
  agreement.href = address(`${path}/agreement`).pathname;
  agreement.setAttribute("aria-label", `Agreement of people and the model in ${named}`);
  return card;
}

function lore(learned) {
  const made = learned.count - learned.accepted;
  const told = [`${NUMBER.format(made)} correction${made === 1 ? "" : "s"} learned`];
  if (learned.accepted) told.push(`${NUMBER.format(learned.accepted)} accepted as they were`);
  told.push(learned.publication ? `batches go by ${NUMBER.format(learned.published)}` : "nothing is published");
  if (learned.since) told.push(`${NUMBER.format(learned.since)} since`);
  return told.join(" · ");
}

function updateProject(card, project) {
  set(part(card, "title"), projectName(project.key));
  const chip = part(card, "origin");
  chip.className = `chip ${project.origin}`;
  set(chip, ORIGINS[project.origin] || project.origin);
  const prompt = part(card, "prompt");
  prompt.className = project.prompt ? "" : "none";
  set(prompt, project.prompt || "No prompt: the labeling config itself is the instruction.");
  card.querySelector("[data-do=reset]").hidden = !["pinned", "submitted", "used"].includes(project.origin);
  const learned = part(card, "learned");
  learned.hidden = !project.learned.count;
  set(learned, lore(project.learned));
  part(card, "agreement").hidden = !project.learned.count;
  card.querySelector("[data-do=publish]").hidden = !project.learned.since;
  const ids = [project.hostname, `key ${project.key}`, project.version && `version ${project.version}`, moment(project.updated)];
  set(part(card, "ids"), ids.filter(Boolean).join(" · "));
}

// What a person does

function act(card, name, question, work, label) {
  const button = card.querySelector(`[data-do=${name}]`);
  button.setAttribute("aria-label", label);
  button.addEventListener("click", () => doing(button, async () => {
    const told = question ? await question() : true;
    if (told === null || told === false) return;
    await work(told);
    await look();
  }));
}

async function doing(button, work) {
  button.disabled = true;
  try {
    await work();
  } catch (error) {
    notify(error instanceof Refused ? error.message : "The server did not answer; nothing may have been changed.");
  } finally {
    button.disabled = false;
  }
}

function opened(title, text, yes, words) {
  const dialog = $("ask");
  set($("ask-title"), title);
  set($("ask-text"), text);
  set($("ask-yes"), yes);
  $("ask-prompt").hidden = words === undefined;
  $("ask-words").value = words ?? "";
  dialog.returnValue = "no";
  return new Promise((done) => {
    dialog.addEventListener("close", () => done(dialog.returnValue === "yes"), { once: true });
    dialog.showModal();
  });
}

function confirmed(title, text, yes) {
  return opened(title, text, yes);
}

async function prompted(title, text, words) {
  return (await opened(title, text, "Pin", words)) ? $("ask-words").value : null;
}

function notify(text) {
  const notice = copy("notice");
  notice.classList.add("bad");
  set(part(notice, "text"), text);
  notice.querySelector("[data-do=close]").addEventListener("click", () => notice.remove());
  $("notices").append(notice);
}

function warn(sentences) {
  const had = new Set(Array.from($("notices").querySelectorAll("[data-warning]"), (notice) => notice.dataset.warning));
  for (const sentence of sentences.filter((told) => !had.has(told))) {
    const notice = copy("notice");
    notice.dataset.warning = sentence;
    set(part(notice, "text"), sentence);
    notice.querySelector("[data-do=close]").addEventListener("click", () => { notice.hidden = true; });
    $("notices").append(notice);
  }
}

// Looking again and again

let seen = null;
let timer = 0;
let looking = null;

function show(status) {
  set($("model"), status.model);
  const active = status.runs.filter((run) => ["queued", "running"].includes(run.state)).length;
  set($("active"), NUMBER.format(active));
  set($("queued"), NUMBER.format(status.queued));
  set($("in_flight"), status.in_flight === null ? "–" : NUMBER.format(status.in_flight));
  set($("workers"), NUMBER.format(status.workers.length));
  $("workers").title = status.workers.join(", ");
  warn(status.warnings);
  keep($("runs"), status.runs, "id", makeRun, updateRun);
  keep($("projects"), status.projects, "key", makeProject, updateProject);
  $("no-runs").hidden = status.runs.length > 0;
  $("no-projects").hidden = status.projects.length > 0;
}

function pulse(state, text) {
  $("pulse").className = `pulse ${state}`;
  set($("pulse"), text);
}

async function once() {
  try {
    show(await ask("GET", "status"));
    seen = new Date();
    pulse("live", "live");
  } catch (error) {
    const since = seen ? ` What stands here is from ${seen.toLocaleTimeString()}.` : "";
    const why = error instanceof Refused ? error.message : "The server does not answer; trying again.";
    pulse("gone", why + since);
  }
}

function look() {
  // One look at a time; whoever asks meanwhile gets one that begins after this one.
  looking = (looking || Promise.resolve()).then(once);
  return looking;
}

async function goOn() {
  clearTimeout(timer);
  if (document.hidden) return;
  await look();
  clearTimeout(timer);
  timer = setTimeout(goOn, EVERY);
}

document.addEventListener("visibilitychange", goOn);
goOn();
