// The only place where this page makes elements. Text goes in as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.startsWith("--")) element.style.setProperty(name, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  const there = children.flat(Infinity).filter((child) => ![null, undefined, false].includes(child));
  element.append(...there.map((child) => (child instanceof Node ? child : String(child))));
  return element;
}

/** An element. Attributes: `onclick` and the like are listeners, `--name` a CSS variable. */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An element of SVG. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** The element of the page with this id. */
export function at(id) {
  return document.getElementById(id);
}

/**
 * Puts `children` into `container` in the place of what was there. Who had the focus has it
 * again if an element with the same `data-focus` came back: a refresh does not throw a reader out.
 */
export function replace(container, ...children) {
  const held = container.contains(document.activeElement) && document.activeElement.dataset.focus;
  const open = new Set(
    [...container.querySelectorAll("details[open][data-focus]")].map((d) => d.dataset.focus),
  );
  container.replaceChildren(...children.flat(Infinity).filter(Boolean));
  for (const details of container.querySelectorAll("details[data-focus]")) {
    details.open = open.has(details.dataset.focus);
  }
  if (!held) return;
  const same = [...container.querySelectorAll("[data-focus]")].find(
    (e) => e.dataset.focus === held,
  );
  same?.focus({ preventScroll: true });
}

const PATHS = {
  refresh: "M13 3v3.5H9.5M12.7 6.5A5 5 0 1 0 13 9.5",
  system: "M2.5 3.5h11v7.5h-11zM6 13.5h4",
  light:
    "M8 1.5v1.5M8 13v1.5M1.5 8H3M13 8h1.5M3.4 3.4l1 1M11.6 11.6l1 1M12.6 3.4l-1 1M4.4 11.6l-1 1M5 8a3 3 0 1 0 6 0 3 3 0 1 0-6 0",
  dark: "M13 9.6A5.6 5.6 0 0 1 6.4 3 5.6 5.6 0 1 0 13 9.6z",
  close: "M4.5 4.5l7 7M11.5 4.5l-7 7",
  ok: "M3.5 8.5l3 3 6-7",
  warn: "M8 4.5v4.5M8 11.2v.3M8 1.8l6.6 12H1.4z",
  bad: "M5 5l6 6M11 5l-6 6M1.8 8a6.2 6.2 0 1 0 12.4 0 6.2 6.2 0 1 0-12.4 0",
  info: "M8 7.2v4M8 4.8v.3M1.8 8a6.2 6.2 0 1 0 12.4 0 6.2 6.2 0 1 0-12.4 0",
  off: "M4 8h8",
  half: "M8 1.8a6.2 6.2 0 1 0 0 12.4zM8 1.8a6.2 6.2 0 0 1 0 12.4",
  right: "M6 3.5l4.5 4.5L6 12.5",
  menu: "M2.5 4.5h11M2.5 8h11M2.5 11.5h11",
};

/** A small picture beside a text that says the same. */
export function icon(name) {
  return svg(
    "svg",
    { viewBox: "0 0 16 16", class: `glyph ${name}`, "aria-hidden": "true", focusable: "false" },
    svg("path", { d: PATHS[name] }),
  );
}
