// The page: takes the station's news, shows it, and gives the listener's commands.

import { Listening } from "./listen.js";
import { Wave } from "./wave.js";
import { backendName, clock, eta, formOf, hueOf, makersOf, planOf } from "./words.js";

const $ = (id) => document.getElementById(id);
const RATE = 48000;
const LOST_AFTER_MS = 4000;

const station = { services: {}, alive: {}, heardAt: 0, ages: {} };
const wave = new Wave($("wave"), $("sections"));
const listening = new Listening($("audio"), $("listen"), $("listen-words"));

// -- news ------------------------------------------------------------------------------------------------------------

const events = new EventSource("/api/events");
events.onmessage = ({ data }) => {
  const news = JSON.parse(data);
  for (const [name, entry] of Object.entries(news.services)) {
    station.services[name] = entry.state;
    station.ages[name] = { seconds: entry.age_s, at: performance.now() };
  }
  const { services: _, ...rest } = news;
  Object.assign(station, rest, { heardAt: performance.now() });
  show();
};
setInterval(() => {
  if (performance.now() - station.heardAt > LOST_AFTER_MS) show();
}, 1000);

function situation() {
  const { alive, services } = station;
  const { player, controller } = services;
  if (performance.now() - station.heardAt > LOST_AFTER_MS) {
    if (!station.heardAt) return { air: "starting", words: "Starting" };
    return { air: "away", words: "Away", notice: "The station does not answer. This page finds it again by itself." };
  }
  if (!alive.controller) {
    const notice = station.sounding
      ? "The controller is away, so commands have to wait. The music plays on, and it comes back by itself."
      : "The controller and the player are away. They begin again by themselves within seconds.";
    if (station.sounding) return { air: "playing", words: "On air", notice: controller ? notice : "" };
    return controller ? { air: "away", words: "Away", notice } : { air: "starting", words: "Starting" };
  }
  if (!alive.player && !station.sounding) {
    if (!player) return { air: "starting", words: "Starting" };
    return { air: "away", words: "Silent", notice: "The player is away. It begins again by itself, and the music with it." };
  }
  if (controller?.stopped) return { air: "stopped", words: "Stopped" };
  if (controller && !controller.playing) return { air: "paused", words: "Paused" };
  if (!player?.loop) return { air: "starting", words: "Starting" };
  return { air: "playing", words: "On air" };
}

// -- what is shown ---------------------------------------------------------------------------------------------------

function show() {
  const now = situation();
  document.body.dataset.air = now.air;
  text($("air"), now.words);
  text($("notice"), now.notice ?? "");
  showNow(now.air);
  showNext();
  showElsewhere();
  showServices();
  const commandable = Boolean(station.alive.controller) && now.words !== "Away";
  for (const control of [$("pause"), $("skip"), $("stop"), $("steer").querySelector("[type=submit]")]) {
    control.disabled = !commandable;
  }
  $("skip").disabled ||= now.air !== "playing";
  $("stop").disabled ||= now.air === "stopped";
  const going = now.air === "playing";
  $("pause").title = going ? "Pause" : now.air === "stopped" ? "Start" : "Resume";
  $("pause").setAttribute("aria-label", $("pause").title);
}

function showNow(air) {
  const player = station.services.player;
  const controller = station.services.controller;
  const loop = player?.loop;
  wave.show(loop ?? null);
  if (!loop) {
    text($("title"), air === "stopped" ? "Stopped" : air === "starting" ? "The station is starting" : "Nothing plays");
    for (const id of ["artist", "plan", "form"]) text($(id), "");
    return;
  }
  document.documentElement.style.setProperty("--hue", hueOf(loop.loop_id));
  text($("eyebrow"), { playing: "Now playing", paused: "Paused", stopped: "Stopped" }[air] ?? "Last played");
  text($("badge"), loop.bridge ? "Bridge until the model is ready" : loop.startup ? "Start-up loop" : "");
  const title = loop.title || controller?.titles?.[loop.loop_id] || loop.recipe?.prompt || "Untitled";
  text($("title"), title);
  text($("artist"), loop.artist);
  text($("plan"), planOf(loop));
  text($("form"), formOf(player));
  document.title = air === "playing" ? `${title} · INFINI LOOP` : "INFINI LOOP";
  listening.title(title, loop.artist);
  const age = station.ages.player;
  wave.at(player.frame, age.seconds + (performance.now() - age.at) / 1000, air === "playing" && player.playing);
  $("wave").setAttribute("aria-label", `Outline of “${title}”`);
  const makers = makersOf(loop);
  fill($("made"), makers, ([term, said]) => [element("dt", term), element("dd", said)]);
}

function showSong() {
  const player = station.services.player;
  if (!player?.loop) return;
  const age = station.ages.player;
  const going = player.playing && document.body.dataset.air === "playing";
  const since = going ? age.seconds + (performance.now() - age.at) / 1000 : 0;
  const length = player.song_length_frames / RATE;
  const at = Math.min(player.song_frames / RATE + since, length || Infinity);
  text($("song-at"), clock(at));
  text($("song-length"), length ? clock(length) : "–:––");
  bar($("song"), length ? at / length : 0);
}
setInterval(showSong, 250);

function showNext() {
  const { generator, controller, player, analyzer } = station.services;
  const making = station.alive.generator && generator?.job_id ? generator : null;
  $("making").hidden = !making;
  if (making) {
    const stage = making.stage || "making";
    text($("making-what"), `${backendName(making.backend)} · ${stage}`);
    text($("making-how-far"), [`${Math.round(making.fraction * 100)} %`, eta(making.eta_s)].filter(Boolean).join(" · "));
    bar($("making-bar"), making.fraction);
    text($("making-prompt"), making.prompt);
  }
  if (controller?.prompt) $("prompt").placeholder = controller.prompt;
  const queue = (controller?.queue ?? []).filter((id) => id !== player?.loop_id).slice(0, 6);
  fill($("queue"), queue, (id) => [element("li", controller.titles?.[id] || "A loop without a name")]);
  sentence($("change"), player?.next_loop_id && player.transition ? `The change: ${player.transition}.` : "");
  const reasons = [making ? "" : controller?.waiting];
  if (station.alive.controller && generator && !station.alive.generator) {
    reasons.push("The generator is away; it begins again by itself.");
  }
  if (station.alive.controller && analyzer && !station.alive.analyzer) {
    reasons.push("The analyzer is away; it begins again by itself.");
  }
  if (!making && !controller?.waiting && analyzer?.job_id) reasons.push("A clip is being analysed.");
  if (!making && !controller?.waiting && generator?.last_error) reasons.push(generator.last_error);
  if (!making && !queue.length && !reasons.some(Boolean)) reasons.push("Nothing waits yet.");
  sentence($("waiting"), reasons.filter(Boolean).join(" "));
}

function showElsewhere() {
  const { player, controller } = station.services;
  sentence($("output"), player?.output ?? "");
  $("output").classList.toggle("bad", player?.output_ok === false);
  const count = station.listeners ?? 0;
  text($("listeners"), count === 0 ? "Nobody hears the stream now." : count === 1 ? "One listener." : `${count} listeners.`);
  text($("note"), station.note ?? "");
  const muted = player?.driver === "null";
  $("volume").disabled = muted || !station.alive.controller;
  $("volume").title = muted ? "This machine plays no sound; set the volume where you listen." : "";
  $("listen").classList.toggle("strong", muted);
  if (controller && !turning) {
    $("volume").value = controller.volume;
    $("volume-figure").value = controller.volume;
  }
}

function showServices() {
  fill($("services"), Object.entries(station.alive), ([name, there]) => {
    const item = element("li", name);
    item.className = there ? "there" : "away";
    item.append(element("span", there ? " is there" : " is away", "visually-hidden"));
    return [item];
  });
}

// -- the listener's commands -----------------------------------------------------------------------------------------

async function command(name, given = {}) {
  try {
    const answer = await fetch("/api/command", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ name, arguments: given }),
    });
    const { ok, text: words } = await answer.json();
    say(words, ok);
    return ok;
  } catch {
    say("The station does not answer: is it still running?", false);
    return false;
  }
}

let forget = 0;
function say(words, ok) {
  sentence($("said"), words ?? "");
  $("said").classList.toggle("bad", !ok);
  clearTimeout(forget);
  forget = setTimeout(() => sentence($("said"), ""), ok ? 6000 : 15000);
}

$("pause").addEventListener("click", () => {
  const air = document.body.dataset.air;
  command(air === "playing" ? "pause" : air === "stopped" ? "start" : "resume");
});
$("skip").addEventListener("click", () => command("skip"));
$("stop").addEventListener("click", () => command("stop"));

let turning = false;
let sending = 0;
$("volume").addEventListener("input", () => {
  turning = true;
  $("volume-figure").value = $("volume").value;
  clearTimeout(sending);
  sending = setTimeout(async () => {
    await command("volume", { volume: Number($("volume").value) });
    turning = false;
  }, 200);
});

$("steer").addEventListener("submit", async (event) => {
  event.preventDefault();
  const prompt = $("prompt").value.trim();
  if (prompt && (await command("start", { prompt }))) $("prompt").value = "";
});
for (const chip of document.querySelectorAll("[data-prompt]")) {
  chip.addEventListener("click", () => {
    $("prompt").value = chip.dataset.prompt;
    $("prompt").focus();
  });
}

$("address").value = new URL("/stream.mp3", location.href).href;
$("address").addEventListener("focus", () => $("address").select());
$("copy").addEventListener("click", async () => {
  $("address").select();
  try {
    await navigator.clipboard.writeText($("address").value);
  } catch {
    document.execCommand("copy"); // a page that came over plain HTTP from another machine has no clipboard
  }
  text($("copy"), "Copied");
  setTimeout(() => text($("copy"), "Copy"), 2000);
});

// -- small things ----------------------------------------------------------------------------------------------------

function text(node, words) {
  const wanted = words ?? "";
  if (node.textContent !== wanted) node.textContent = wanted;
  if (["notice", "badge", "note"].includes(node.id)) node.hidden = !wanted;
}

// A sentence of the station's; what stands in `backticks` is to be typed.
function sentence(node, words) {
  fill(node, words.split("`"), (part, index) => [index % 2 ? element("code", part) : document.createTextNode(part)]);
}

function element(name, words, className = "") {
  const made = document.createElement(name);
  made.textContent = words;
  made.className = className;
  return made;
}

// Rebuilds a list only when it differs, so that a screen reader and a selection are left in peace.
function fill(list, items, make) {
  const key = JSON.stringify(items);
  if (list.dataset.shown === key) return;
  list.dataset.shown = key;
  list.replaceChildren(...items.flatMap((item, index) => make(item, index)));
}

function bar(node, fraction) {
  const percent = Math.max(0, Math.min(100, 100 * fraction));
  node.firstElementChild.style.setProperty("width", `${percent.toFixed(1)}%`);
  node.setAttribute("aria-valuenow", String(Math.round(percent)));
}

show();
