// Pictures that go along with a prompt, as data URLs.

import { h, icon, replace } from "../dom.js";
import { bytes } from "../format.js";

const MOST = 8;
const MOST_BYTES = 10_000_000; // together; as a data URL a third more, within a request's body

/** A place to put pictures. Returns its `element`, `parts()`, `clear()` and `take(files)`. */
export function pictures(changed) {
  let held = []; // { name, size, url }
  const picker = h("input", {
    type: "file",
    accept: "image/*",
    multiple: true,
    "aria-label": "Add images",
    onchange: () => {
      take([...picker.files]);
      picker.value = "";
    },
  });
  const list = h("ul", { class: "pictures", "aria-label": "Images of the prompt" });
  const problem = h("p", { class: "error", role: "alert" });
  const element = h(
    "div",
    { class: "images" },
    h("label", { class: "button" }, "Add images", picker),
    list,
    problem,
  );

  async function take(files) {
    problem.textContent = "";
    for (const file of files) {
      const why = refuse(file);
      if (why) problem.textContent = why;
      else held.push({ name: file.name, size: file.size, url: await dataUrl(file) });
    }
    draw();
  }

  function refuse(file) {
    const sum = held.reduce((all, { size }) => all + size, file.size);
    if (!file.type.startsWith("image/")) return `${file.name} is no image.`;
    if (held.length >= MOST) return `Up to ${MOST} images go along.`;
    if (sum > MOST_BYTES)
      return `${file.name} is too large: all images together have up to ${bytes(MOST_BYTES)}.`;
    return null;
  }

  function draw() {
    const item = (picture) =>
      h(
        "li",
        {},
        h("img", { src: picture.url, alt: picture.name }),
        h(
          "button",
          {
            type: "button",
            class: "icon",
            "aria-label": `Remove ${picture.name}`,
            onclick: () => {
              held = held.filter((one) => one !== picture);
              draw();
            },
          },
          icon("close"),
        ),
      );
    replace(list, held.map(item));
    list.hidden = !held.length;
    changed();
  }

  draw();
  return {
    element,
    take,
    parts: () => held.map(({ url }) => ({ type: "image_url", image_url: { url } })),
    clear: () => {
      held = [];
      draw();
    },
  };
}

function dataUrl(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}
