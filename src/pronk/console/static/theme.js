// Runs before anything is drawn: the chosen theme, else the system's.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const show = () => {
    let chosen = null;
    try { chosen = localStorage.getItem("pronk-theme"); } catch { /* a browser that keeps nothing */ }
    document.documentElement.dataset.theme = chosen || (dark.matches ? "dark" : "light");
  };
  show();
  dark.addEventListener("change", show);
})();
