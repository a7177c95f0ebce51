// The outline of the loop that plays, with its parts and a playhead that moves between two reports of the position.

const calm = matchMedia("(prefers-reduced-motion: reduce)");

export class Wave {
  constructor(canvas, sections) {
    this.canvas = canvas;
    this.sections = sections;
    this.loop = null;
    this.peaks = null;
    this.anchor = { frame: 0, at: 0, running: false };
    this.drawn = null;
    new ResizeObserver(() => this.draw(true)).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw(true));
    const tick = () => {
      if (!document.hidden) this.draw();
      if (calm.matches) setTimeout(tick, 1000);
      else requestAnimationFrame(tick);
    };
    tick();
  }

  show(loop) {
    if (loop?.loop_id === this.loop?.loop_id) return;
    this.loop = loop;
    this.peaks = null;
    this.label();
    this.draw(true);
    if (loop) this.fetch(loop.loop_id);
  }

  async fetch(loopId) {
    try {
      const answer = await fetch(`/api/loops/${encodeURIComponent(loopId)}/peaks`);
      if (!answer.ok || this.loop?.loop_id !== loopId) return;
      this.peaks = (await answer.json()).peaks;
      this.draw(true);
    } catch {
      // Without its outline the loop is shown as a line.
    }
  }

  at(frame, ageSeconds, running) {
    this.anchor = { frame, at: performance.now() - ageSeconds * 1000, running };
  }

  // The frame that sounds now, no further than the end of the part that it is in.
  frame() {
    const { frame, at, running } = this.anchor;
    if (!this.loop || !running) return frame;
    const part = this.loop.sections?.find(({ start, end }) => frame >= start && frame < end);
    const end = part ? part.end : this.loop.frames;
    return Math.min(frame + ((performance.now() - at) / 1000) * (this.loop.sample_rate ?? 48000), end);
  }

  label() {
    this.sections.replaceChildren();
    const parts = this.loop?.sections ?? [];
    if (parts.length < 2) return;
    for (const part of parts) {
      const mark = document.createElement("span");
      mark.textContent = part.label.replace(/'/g, "′");
      mark.style.setProperty("left", `${(100 * part.start) / this.loop.frames}%`);
      mark.style.setProperty("width", `${(100 * (part.end - part.start)) / this.loop.frames}%`);
      this.sections.append(mark);
    }
  }

  draw(always = false) {
    const scale = devicePixelRatio || 1;
    const width = Math.round(this.canvas.clientWidth * scale);
    const height = Math.round(this.canvas.clientHeight * scale);
    if (!width || !height) return;
    const step = Math.max(3, Math.round(4 * scale));
    const bars = Math.floor(width / step);
    const fraction = this.loop ? Math.min(1, this.frame() / this.loop.frames) : 0;
    const playhead = Math.round(fraction * width);
    if (!always && this.drawn === playhead) return;
    this.drawn = playhead;
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;

    const colours = getComputedStyle(this.canvas);
    const played = colours.getPropertyValue("--accent").trim();
    const ahead = colours.getPropertyValue("--wave").trim();
    const pen = this.canvas.getContext("2d");
    pen.clearRect(0, 0, width, height);
    const middle = height / 2;
    const loudest = this.peaks ? Math.max(0.05, ...this.peaks.flat().map(Math.abs)) : 1;
    for (let bar = 0; bar < bars; bar += 1) {
      const [low, high] = this.peaks ? this.slice(bar, bars) : [0, 0];
      const top = Math.max(scale, (high / loudest) * middle * 0.96);
      const bottom = Math.max(scale, (-low / loudest) * middle * 0.96);
      pen.fillStyle = bar * step < playhead ? played : ahead;
      pen.beginPath();
      pen.roundRect(bar * step, middle - top, step * 0.58, top + bottom, step * 0.29);
      pen.fill();
    }
    if (this.loop) {
      pen.fillStyle = colours.getPropertyValue("--ink").trim();
      pen.fillRect(Math.min(playhead, width - 2 * scale), 0, 2 * scale, height);
    }
  }

  slice(bar, bars) {
    const from = Math.floor((bar * this.peaks.length) / bars);
    const to = Math.max(from + 1, Math.floor(((bar + 1) * this.peaks.length) / bars));
    let [low, high] = [0, 0];
    for (const [a, b] of this.peaks.slice(from, to)) {
      low = Math.min(low, a);
      high = Math.max(high, b);
    }
    return [low, high];
  }
}
