// Fills the blocks in for the address of the page, and lets each be copied.
const PLACE = "https://YOUR-PROXY";

for (const pre of document.querySelectorAll("pre")) {
  const code = pre.querySelector("code");
  code.textContent = code.textContent.replaceAll(PLACE, location.origin);
  pre.tabIndex = 0; // it may scroll
  const block = document.createElement("div");
  block.className = "block";
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
  });
  pre.replaceWith(block);
  block.append(pre, button);
}
