// Plots over time by uPlot. Each has a legend that follows the pointer, a sentence that says what
// is to be seen, and a table with every figure for whoever does not see it.

import uPlot from "uplot";

import { h, replace, svg } from "./dom.js";
import { clock, mark, moment } from "./format.js";

const HEIGHT = 168;
const FONT = "11px system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";
const together = uPlot.sync("time");

/**
 * A plot. spec: `title`, `kind` (`bars`, stacked, or `lines`), `format` of its values, `unit` for
 * the sentence. Returns its element and `show(picture)`; a picture has `at` (moments in ms), `step`
 * (s) and `series`, each with `label`, `color` (a CSS variable's name), `values` and `total`.
 */
export function chart(spec) {
  const legend = h("ul", { class: "legend" });
  const when = h("span", { class: "muted when" });
  const plot = h("div", {
    class: "plot skeleton",
    role: "img",
    "aria-label": `${spec.title}: loading`,
  });
  const table = h("div", { class: "scroll", tabindex: "0", role: "group", hidden: true });
  table.setAttribute("aria-label", `${spec.title} as a table`);
  const toggle = h("button", { type: "button", class: "quiet", "aria-pressed": "false" }, "Table");
  toggle.setAttribute("aria-label", `${spec.title} as a table`);
  const element = h(
    "figure",
    { class: "card chart" },
    h("figcaption", {}, h("h2", {}, spec.title), when, toggle),
    legend,
    plot,
    table,
  );
  let drawn = null;
  let picture = null;

  const tell = (index) => {
    when.textContent = index === null ? "" : moment(picture.at[index]);
    const values = picture.series.map((s) => (index === null ? s.total : s.values[index]));
    legend.querySelectorAll("b").forEach((place, i) => {
      place.textContent = spec.format(values[i]);
    });
  };

  const draw = () => {
    drawn?.destroy();
    plot.classList.remove("skeleton");
    plot.replaceChildren();
    drawn = new uPlot(options(spec, picture, plot, tell), columns(spec, picture), plot);
  };

  toggle.addEventListener("click", () => {
    const open = table.hidden;
    table.hidden = !open;
    plot.hidden = open;
    toggle.setAttribute("aria-pressed", String(open));
    if (open) replace(table, asTable(spec, picture));
    else draw();
  });
  new ResizeObserver(() => {
    if (drawn && plot.clientWidth) drawn.setSize({ width: plot.clientWidth, height: HEIGHT });
  }).observe(plot);
  document.documentElement.addEventListener("theme-changed", () => picture && draw());

  return {
    element,
    show(next) {
      const same = picture && shape(picture) === shape(next);
      picture = next;
      if (!same) replace(legend, picture.series.map(entry));
      plot.setAttribute("aria-label", sentence(spec, picture));
      if (!table.hidden) replace(table, asTable(spec, picture));
      else if (same && drawn) drawn.setData(columns(spec, picture));
      else draw();
      tell(null);
    },
  };
}

function entry(series) {
  const swatch = h("i", { "aria-hidden": "true", "--swatch": `var(${series.color})` });
  return h("li", {}, swatch, h("span", { title: series.label }, series.label), h("b", {}));
}

/** What decides whether a plot can be given other data or must be made anew. */
function shape({ step, series }) {
  return JSON.stringify([step, series.map((s) => [s.label, s.color])]);
}

/** Stacked bars are drawn from the sum of all down to the first, each over the one before. */
function columns({ kind }, { at, series }) {
  const times = at.map((ms) => ms / 1_000);
  if (kind === "lines") return [times, ...series.map((s) => s.values)];
  const sums = [];
  for (const { values } of series) {
    const below = sums.at(-1);
    sums.push(values.map((value, i) => (value ?? 0) + (below ? below[i] : 0)));
  }
  return [times, ...sums.reverse()];
}

function options(spec, { step, at, series }, host, tell) {
  const color = resolver(host);
  const stacked = spec.kind === "bars";
  const order = stacked ? [...series].reverse() : series;
  const grid = { stroke: color("--grid"), width: 1 };
  const axis = { stroke: color("--muted"), font: FONT, grid, ticks: { show: false } };
  return {
    width: host.clientWidth,
    height: HEIGHT,
    padding: [10, 16, 0, 0],
    legend: { show: false },
    cursor: {
      sync: { key: together.key },
      drag: { x: false, y: false },
      y: false,
      points: { show: !stacked, size: 7 },
    },
    hooks: { setCursor: [(plot) => tell(plot.cursor.idx ?? null)] },
    scales: {
      x: { time: false, range: (_, low, high) => (stacked ? [low, high + step] : [low, high]) },
      y: { range: (_, low, high) => [0, high > 0 ? high * 1.08 : 1] },
    },
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: 26,
        incrs: increments(step),
        space: 56,
        values: (_, marks, __, ___, gap) => marks.map((m) => mark(m * 1_000, gap)),
        splits: localSplits(at),
      },
      { ...axis, size: widthOf, space: 34, values: (_, marks) => marks.map((m) => spec.format(m)) },
    ],
    series: [{}, ...order.map((s) => look(stacked, color(s.color)))],
  };
}

/** The pixels that an axis' marks need. */
function widthOf(_, marks) {
  return Math.max(52, ...(marks ?? []).map((text) => text.length * 6.5 + 16));
}

/** What a CSS variable is in the present theme, as a canvas understands it. */
function resolver(host) {
  const style = getComputedStyle(host);
  return (variable) => {
    host.style.color = `var(${variable})`;
    const { color } = style;
    host.style.color = "";
    return color;
  };
}

function look(stacked, color) {
  if (!stacked)
    return {
      stroke: color,
      width: 1.75,
      points: { show: true, filter: alone, size: 5, fill: color },
    };
  const paths = uPlot.paths.bars({ size: [0.86, 28], align: 1 });
  return { fill: color, stroke: color, width: 0, paths, points: { show: false } };
}

/** The values without a neighbour: no line would show them. */
function alone(plot, index) {
  const values = plot.data[index];
  const lone = (value, i) =>
    value !== null && (values[i - 1] ?? null) === null && (values[i + 1] ?? null) === null;
  return values.map((value, i) => (lone(value, i) ? i : null)).filter((i) => i !== null);
}

const INCREMENTS = [1, 5, 15, 30, 60, 120]
  .map((m) => m * 60)
  .concat([3, 6, 12, 24, 48, 96, 168, 336, 672].map((hours) => hours * 3_600));

function increments(step) {
  return INCREMENTS.filter((increment) => increment >= step);
}

/** Marks at round hours and days of the reader's own time zone. */
function localSplits(at) {
  const offset = -new Date(at.at(-1) ?? 0).getTimezoneOffset() * 60;
  return (_, __, low, high, gap) => {
    const marks = [];
    for (let m = Math.ceil((low + offset) / gap) * gap - offset; m <= high; m += gap) marks.push(m);
    return marks;
  };
}

function sentence({ title, format }, { at, series }) {
  if (!at.length) return `${title}: no figures`;
  const parts = series.map(({ label, values, total }) => {
    const most = Math.max(0, ...values.filter((value) => value !== null));
    const peak = most ? `, most ${format(most)} at ${clock(at[values.indexOf(most)])}` : "";
    return `${label} ${format(total)}${peak}`;
  });
  return `${title} from ${moment(at[0])} to ${moment(at.at(-1))}: ${parts.join("; ")}.`;
}

function asTable({ title, format }, { at, series }) {
  const head = ["From", ...series.map((s) => s.label)].map((label, i) =>
    h("th", { scope: "col", class: i ? "number" : null }, label),
  );
  const rows = at.map((ms, i) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, moment(ms)),
      series.map((s) => h("td", { class: "number" }, format(s.values[i]))),
    ),
  );
  return h(
    "table",
    {},
    h("caption", { class: "unseen" }, title),
    h("thead", {}, h("tr", {}, head)),
    h("tbody", {}, rows.reverse()),
  );
}

/** A line without axes, for a tile. It repeats what a chart says, so it is for the eye only. */
export function sparkline(values) {
  const known = values.map((value) => value ?? 0);
  const most = Math.max(...known, 0);
  if (!most || known.length < 2) return null;
  const x = (i) => ((i / (known.length - 1)) * 100).toFixed(2);
  const y = (value) => (23 - (value / most) * 21).toFixed(2);
  const line = known.map((value, i) => `${i ? "L" : "M"}${x(i)} ${y(value)}`).join("");
  return svg(
    "svg",
    { class: "spark", viewBox: "0 0 100 24", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("path", { class: "under", d: `${line}L100 24L0 24Z` }),
    svg("path", { class: "line", d: line }),
  );
}
