// When the figures are read anew: when asked, when something else was chosen, and every few seconds
// while the page is seen. A newer reading calls an older one off.

const SLOT = "refresh-every";
const LONGEST_MS = 30_000; // a reading that hangs must not be the last one
const CHOICES = [0, 5, 15, 60];

/**
 * read(signal, asked): reads and shows everything; `asked` is false for the clock's readings, which
 * happen where `isLive()`. Returns `now(asked)`, `every` (seconds, 0: paused) and `stop()`.
 */
export function refresher(read, isLive) {
  let running = null;
  let timer = null;
  let active = false;
  let seconds = remembered();

  const plan = () => {
    clearTimeout(timer);
    if (active && seconds && isLive() && !document.hidden)
      timer = setTimeout(() => now(false), seconds * 1_000);
  };

  async function now(asked) {
    if (!asked && running) return;
    running?.abort();
    const mine = new AbortController();
    running = mine;
    active = true;
    clearTimeout(timer);
    try {
      await read(AbortSignal.any([mine.signal, AbortSignal.timeout(LONGEST_MS)]), asked);
    } finally {
      if (running === mine) {
        running = null;
        plan();
      }
    }
  }

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && active && seconds && isLive()) now(false);
    else plan();
  });

  return {
    now,
    stop() {
      active = false;
      clearTimeout(timer);
      running?.abort();
      running = null;
    },
    get every() {
      return seconds;
    },
    set every(value) {
      seconds = value;
      localStorage.setItem(SLOT, String(value));
      plan();
    },
  };
}

function remembered() {
  const stored = Number(localStorage.getItem(SLOT) ?? 15);
  return CHOICES.includes(stored) ? stored : 15;
}
