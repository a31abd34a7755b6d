// Pictures from a bucket for a composed batch. The server lists what the chosen job may read; what is taken is kept here, in
// order and once each, until the requests are put into a file.
const pronkPicked = (() => {
  const { $, all, say, ask } = pronk;
  const box = $("#picker"), shelf = $("#shelf"), field = $("input[name=at]", box), note = $("#taken");
  const taken = new Set();
  let asked = 0, shown = "";
  const wish = (at, after = "") => {
    const job = $("#how select[name=job_id]").value, model = $("#compose input[name=model]").value;
    return new URLSearchParams({ job, model, at, after }).toString();
  };
  const trouble = async (answer) => (await answer.json().catch(() => ({}))).error?.message || `The server answered ${answer.status}.`;
  const count = (number) => number.toLocaleString("en").replaceAll(",", " ");
  const draw = () => {
    all("[data-pick]", shelf).forEach((b) => b.setAttribute("aria-pressed", String(taken.has(b.dataset.pick))));
    note.hidden = !taken.size;
    const text = document.createElement("b"), none = document.createElement("button");
    text.textContent = `${count(taken.size)} ${taken.size === 1 ? "picture" : "pictures"} taken`;
    none.type = "button";
    none.className = "plain";
    none.textContent = "Take none";
    none.onclick = () => { taken.clear(); draw(); };
    note.replaceChildren(text, none);
  };
  const list = async (at, after = "") => {
    const mine = ++asked;
    shelf.setAttribute("aria-busy", "true");
    const answer = await ask(`/new/level?${wish(at, after)}`, { headers: { accept: "text/html" } });
    if (mine !== asked) return;
    shelf.setAttribute("aria-busy", "false");
    shown = at;
    field.value = at;
    if (answer.ok) shelf.innerHTML = await answer.text();
    else {
      const line = document.createElement("p");
      line.className = "bad-text small";
      line.textContent = await trouble(answer);
      shelf.replaceChildren(line);
    }
    draw();
  };
  const below = async (at, button) => {
    const words = button.textContent;
    let after = "", left = 0, most = 50000;
    button.disabled = true;
    while (after !== null && taken.size < most) {
      const answer = await ask(`/new/keys?${wish(at, after)}`);
      if (!answer.ok) { say(await trouble(answer)); break; }
      const page = await answer.json();
      most = page.most;
      page.references.slice(0, most - taken.size).forEach((one) => taken.add(one));
      left += page.left_out;
      after = page.after;
      button.textContent = `${count(taken.size)} so far`;
    }
    button.disabled = false;
    button.textContent = words;
    draw();
    if (taken.size >= most && after !== null) say(`A batch has at most ${count(most)} requests; the rest was left.`);
    else if (left) say(`${count(left)} objects were left out: no pictures, or not for this job.`);
  };
  box.addEventListener("click", (event) => {
    const b = event.target.closest("button");
    if (!b) return;
    if (b.dataset.pick) { if (!taken.delete(b.dataset.pick)) taken.add(b.dataset.pick); draw(); }
    else if (b.dataset.below !== undefined) below(b.dataset.below, b);
    else if (b.dataset.shown !== undefined) { all("[data-pick]", shelf).forEach((one) => taken.add(one.dataset.pick)); draw(); }
    else if (b.dataset.at !== undefined) list(b.dataset.at, b.dataset.after || "");
    else if (b.dataset.list !== undefined) list(field.value.trim());
  });
  field.addEventListener("keydown", (event) => { if (event.key === "Enter") { event.preventDefault(); list(field.value.trim()); } });
  $("#how select[name=job_id]").addEventListener("change", () => { if (!$("#compose").hidden) list(shown); });
  return { taken: () => [...taken], begin: () => { if (!shelf.childElementCount) list(""); } };
})();
