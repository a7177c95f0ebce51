// Hearing the stream in this page: connected only while wanted, and connected again by itself when it was lost.

const RETRY_MS = [500, 1000, 2000, 4000];
const STUCK_MS = 5000;

export class Listening {
  constructor(audio, button, words) {
    this.audio = audio;
    this.button = button;
    this.words = words;
    this.wanted = false;
    this.tries = 0;
    this.timer = 0;
    this.moved = { to: 0, at: 0 };
    setInterval(() => this.watch(), 1000);
    button.addEventListener("click", () => (this.wanted ? this.leave() : this.join()));
    audio.addEventListener("playing", () => {
      this.tries = 0;
      this.say("Listening here");
    });
    audio.addEventListener("waiting", () => this.wanted && this.say("Tuning in …"));
    audio.addEventListener("ended", () => this.again());
    audio.addEventListener("error", () => this.again());
    audio.addEventListener("pause", () => {
      // Paused by the headphones or the system: a live stream does not wait, so let go of it.
      if (this.wanted && !this.timer && !audio.ended && !audio.error) this.leave();
    });
    if ("mediaSession" in navigator) {
      navigator.mediaSession.setActionHandler("play", () => this.join());
      for (const action of ["pause", "stop"]) navigator.mediaSession.setActionHandler(action, () => this.leave());
    }
  }

  join() {
    this.wanted = true;
    this.moved = { to: 0, at: performance.now() };
    this.say("Tuning in …");
    // A new address each time: a browser must not go on with what it kept of an earlier connection.
    this.audio.src = `/stream.mp3?${Date.now()}`;
    this.audio.play().catch((error) => {
      if (error.name === "NotAllowedError") this.leave();
    });
  }

  // A browser whose connection broke may wait for ever without an event.
  watch() {
    if (!this.wanted) return;
    const { currentTime } = this.audio;
    if (currentTime !== this.moved.to) this.moved = { to: currentTime, at: performance.now() };
    else if (performance.now() - this.moved.at > STUCK_MS) this.again();
  }

  leave() {
    this.wanted = false;
    clearTimeout(this.timer);
    this.timer = 0;
    this.audio.pause();
    this.audio.removeAttribute("src");
    this.audio.load();
    this.say("Listen here");
  }

  again() {
    if (!this.wanted || this.timer) return;
    this.say("Tuning in …");
    const delay = RETRY_MS[Math.min(this.tries, RETRY_MS.length - 1)];
    this.tries += 1;
    this.timer = setTimeout(() => {
      this.timer = 0;
      if (this.wanted) this.join();
    }, delay);
  }

  title(title, artist) {
    if (!("mediaSession" in navigator) || !this.wanted) return;
    if (navigator.mediaSession.metadata?.title === title) return;
    navigator.mediaSession.metadata = new MediaMetadata({ title, artist, album: "INFINI LOOP" });
  }

  say(words) {
    this.words.textContent = words;
    this.button.setAttribute("aria-pressed", String(this.wanted));
  }
}
