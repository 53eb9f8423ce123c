// Numbers, money, spans and moments as the page shows them. null and undefined are unknown: –.

export const UNKNOWN = "–";

const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const fine = new Intl.NumberFormat("en", { maximumSignificantDigits: 2 });
const cents = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const time = new Intl.DateTimeFormat("en", {
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});
const seconds = new Intl.DateTimeFormat("en", { timeStyle: "medium", hourCycle: "h23" });
const year = new Intl.DateTimeFormat("en", { year: "numeric", month: "short", day: "numeric" });
const day = new Intl.DateTimeFormat("en", { month: "short", day: "numeric" });

const known = (format) => (value) =>
  value === null || value === undefined ? UNKNOWN : format(value);

/** A count in full: 12,345. */
export const count = known((value) => plain.format(value));

/** A count in little room: 12.3K. */
export const short = known((value) =>
  Math.abs(value) < 10_000 ? fewDigits(value) : compact.format(value),
);

/** US dollars, with as many digits as a small amount needs. */
export const usd = known((value) => {
  if (value === 0) return "$0";
  if (Math.abs(value) < 0.1) return `$${fine.format(value)}`;
  return `$${Math.abs(value) < 10_000 ? cents.format(value) : compact.format(value)}`;
});

/** The same in little room. */
export const shortUsd = known((value) => (value > 0 && value < 1e-4 ? "<$0.0001" : usd(value)));

/** Milliseconds as a span. */
export const span = known((value) => {
  if (value < 1_000) return `${plain.format(value)} ms`;
  if (value < 60_000) return `${(value / 1_000).toFixed(value < 10_000 ? 2 : 1)} s`;
  return `${(value / 60_000).toFixed(1)} min`;
});

/** Whole seconds as a lifetime: 90 s, 1 hour, 30 days. */
export const lifetime = known((value) => {
  const units = { day: 86_400, hour: 3_600, minute: 60 };
  for (const [unit, width] of Object.entries(units))
    if (value >= width && value % width === 0)
      return `${plain.format(value / width)} ${unit}${value === width ? "" : "s"}`;
  return `${plain.format(value)} s`;
});

/** A share of 1 in per cent. */
export const percent = known((value) => {
  const hundred = value * 100;
  if (hundred > 0 && hundred < 0.05) return "<0.1%";
  return `${hundred !== 0 && hundred < 10 ? hundred.toFixed(1) : plain.format(hundred)}%`;
});

export const bytes = known((value) => {
  const step = value < 1_000 ? 0 : value < 1_000_000 ? 1 : 2;
  return `${fewDigits(value / 1_000 ** step)} ${["B", "kB", "MB"][step]}`;
});

/** A part of a whole, null where there is no whole. */
export function share(part, whole) {
  return whole ? part / whole : null;
}

/** The time of day of a moment in ms. */
export function clock(ms) {
  return seconds.format(ms);
}

/** A moment, with its day where it is not today's. */
export function moment(ms) {
  const today = day.format(Date.now()) === day.format(ms);
  return today ? clock(ms) : `${day.format(ms)} ${clock(ms)}`;
}

/** The day of a moment in ms, with its year. */
export function date(ms) {
  return year.format(ms);
}

/** A moment on an axis whose marks are `step` seconds apart. */
export function mark(ms, step) {
  if (step >= 86_400) return day.format(ms);
  return step < 60 ? seconds.format(ms) : time.format(ms);
}

/** How long ago a moment in ms was. */
export function ago(ms, now = Date.now()) {
  const past = Math.max(0, Math.round((now - ms) / 1_000));
  if (past < 60) return `${past} s ago`;
  if (past < 3_600) return `${Math.round(past / 60)} min ago`;
  return past < 86_400 ? `${Math.round(past / 3_600)} h ago` : `${Math.round(past / 86_400)} d ago`;
}

/** A name that came from outside, or a word for its absence. */
export function name(text, absent = "(none)") {
  return text === null || text === undefined || text === "" ? absent : String(text);
}

function fewDigits(value) {
  return Number.isInteger(value) ? plain.format(value) : compact.format(value);
}
