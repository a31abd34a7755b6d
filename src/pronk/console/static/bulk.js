// What is done with all lines of a filter: the dialog says how many and which, and what is sent says so again.
(() => {
  const { $, ask, post, say, visit } = pronk;
  const root = $("#results"), dialog = $("#bulk"), path = `/batches/${root.dataset.batch}/bulk`;

  const look = async () => {
    const answer = await ask(`${path}?${root.dataset.query}`);
    if (!answer.ok) { say("The lines cannot be counted now"); return; }
    dialog.innerHTML = await answer.text();
  };
  $("[data-bulk-open]")?.addEventListener("click", async () => { await look(); if (dialog.firstElementChild) dialog.showModal(); });
  dialog.addEventListener("click", (event) => { if (event.target.closest("[data-bulk-close]")) dialog.close(); });
  dialog.addEventListener("submit", async (event) => {
    event.preventDefault();
    const shown = $("[data-bulk]", dialog), what = event.target.dataset.deed;
    const deed = { do: what, count: Number(shown.dataset.count), seal: shown.dataset.seal, mark: String(new FormData(event.target).get("mark") || "") };
    try {
      const done = await post(`${path}?${shown.dataset.address}`, deed);
      dialog.close();
      if (done.path) { visit(done.path); return; }
      say(done.mark ? `${done.done} lines marked ${done.mark}` : `Marks of ${done.done} lines taken away`);
      dispatchEvent(new Event("pronk-marks"));
    } catch (error) {
      await look();
      const told = $("[data-refused]", dialog);
      told.textContent = error.message;
      told.hidden = false;
    }
  });
})();
