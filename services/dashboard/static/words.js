// Figures and records as people read them.

export function clock(seconds) {
  if (!Number.isFinite(seconds) || seconds < 0) return "–:––";
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

// "lo-fi · 78 bpm · D minor · 4/4 · 8 bars": how the prompt was understood, or else what the analysis found.
export function planOf(loop) {
  if (loop.recipe?.plan) return loop.recipe.plan;
  const parts = [loop.genre || loop.recipe?.style];
  if (loop.bpm) parts.push(`${Math.round(loop.bpm)} bpm`);
  if (loop.key) parts.push(loop.key);
  if (loop.bars) parts.push(loop.bars === 1 ? "1 bar" : `${loop.bars} bars`);
  return parts.filter(Boolean).join(" · ");
}

export function formOf(player) {
  const parts = [];
  const section = player.section.replace(/'/g, "′");
  if (section) parts.push(/^[A-Z]/.test(section) ? `Part ${section}` : section);
  if (player.pass_number) parts.push(`pass ${player.pass_number}`);
  return parts.join(" · ");
}

const BACKENDS = { composer: "Composer", musicgen: "MusicGen", musicgpt: "MusicGPT" };

export function backendName(name) {
  return BACKENDS[name] ?? name;
}

// Who made a loop, as pairs of a term and what is true of it.
export function makersOf(loop) {
  const recipe = loop.recipe;
  if (!recipe) return loop.startup ? [["Made by", "A loop that came with the station"]] : [];
  const model = [recipe.model, recipe.model_revision].filter(Boolean).join(" ");
  return [
    ["Made by", model ? `${backendName(recipe.backend)}, model ${model}` : backendName(recipe.backend)],
    ["Licence", recipe.weights_licence ? `${recipe.weights_licence} (the model’s weights)` : recipe.code_licence],
    ["In short", recipe.disclosure],
    ["Prompt", recipe.prompt],
    ["Seed", recipe.seed === null || recipe.seed === undefined ? "" : String(recipe.seed)],
  ].filter(([, text]) => text);
}

export function eta(seconds) {
  if (seconds === null || seconds === undefined || seconds <= 0) return "";
  return seconds < 90 ? `${Math.ceil(seconds)} s left` : `${Math.ceil(seconds / 60)} min left`;
}

// A colour of its own for each loop.
export function hueOf(identifier) {
  let hash = 2166136261;
  for (const letter of identifier) hash = Math.imul(hash ^ letter.codePointAt(0), 16777619) >>> 0;
  return hash % 360;
}
