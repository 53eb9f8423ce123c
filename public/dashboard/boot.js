// Not part of the bundle: it runs before the first paint, so that a chosen theme does not flash,
// and it tells of a bundle that does not come or breaks, which the bundle itself can't.
{
  const CHOICES = ["system", "light", "dark"];
  const root = document.documentElement;
  const apply = (choice) => {
    root.dataset.choice = choice;
    if (choice === "system") delete root.dataset.theme;
    else root.dataset.theme = choice;
  };
  const stored = localStorage.getItem("theme");
  apply(CHOICES.includes(stored) ? stored : "system");
  root.addEventListener("theme-next", () => {
    const next = CHOICES[(CHOICES.indexOf(root.dataset.choice) + 1) % CHOICES.length];
    localStorage.setItem("theme", next);
    apply(next);
    root.dispatchEvent(new Event("theme-changed"));
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
    root.dispatchEvent(new Event("theme-changed")),
  );

  // Chromium's own language may be none that Intl knows (`en-US@posix` where the system's is C), at
  // which the plotting library would break.
  try {
    new Intl.NumberFormat(navigator.language);
  } catch {
    Object.defineProperty(navigator, "language", { value: "en" });
  }

  // A file that can't be loaded tells so only to those who listen on the way down.
  addEventListener(
    "error",
    () => {
      if (!root.dataset.opened) root.dataset.broken = "";
    },
    true,
  );
}
