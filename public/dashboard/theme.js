// Not a module: it runs before the first paint, so that a chosen theme does not flash.
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
}
