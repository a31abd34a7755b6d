// The list and the grid: as many cells in the page as the screen shows, wherever one is among the lines. Blocks of lines come
// from the server and stay until others need their place. Heights above what browsers can lay out are scaled.
(() => {
  const { $, all, key, say, ask, post } = pronk;
  const root = $("#results"), view = $("#view"), panel = $("#panel"), base = `/batches/${root.dataset.batch}`;
  const BLOCK = 60, KEEP = 12, MAX_HEIGHT = 8000000, ROW = 138, THIN = 40;
  const narrow = matchMedia("(max-width: 860px)");
  const query = root.dataset.query, tail = root.dataset.tail;
  let total = Number(root.dataset.total), version = "", at = -1;
  let mode = "list", perRow = 6;
  const blocks = new Map(), waiting = new Set(), mounted = new Map();
  const state = new URLSearchParams(location.search);
  const kept = (name, usual) => { try { return localStorage.getItem(`pronk-${name}`) || usual; } catch { return usual; } };
  const keep = (name, value) => { try { localStorage.setItem(`pronk-${name}`, value); } catch { /* not kept */ } };

  const sizes = () => {
    if (mode !== "grid") return { columns: 1, height: mode === "table" ? THIN : ROW, width: view.clientWidth };
    const columns = narrow.matches ? Math.min(perRow, 4) : perRow, width = view.clientWidth / columns;
    return { columns, width, height: Math.round(width * 0.8 + (columns > 9 ? 0 : 40)) };
  };
  const geometry = () => {
    const size = sizes(), rows = Math.ceil(total / size.columns), real = rows * size.height, high = Math.min(real, MAX_HEIGHT);
    return { ...size, rows, real, high };
  };
  const offset = () => window.scrollY - (view.getBoundingClientRect().top + window.scrollY) + 110;
  // Where the window stands among real rows: a long list is scrolled faster than its pixels.
  const top = (g) => {
    const seen = window.innerHeight - 110, least = Math.max(0, Math.min(offset(), g.high - seen));
    return g.real <= g.high ? least : (least / Math.max(1, g.high - seen)) * (g.real - seen);
  };

  const load = async (block) => {
    if (blocks.has(block) || waiting.has(block)) return;
    waiting.add(block);
    const wanted = mode === "table";
    view.setAttribute("aria-busy", "true");
    try {
      const answer = await ask(`${base}/rows?${query}&at=${block * BLOCK}&n=${BLOCK}${wanted ? "&as=table" : ""}`);
      if (wanted !== (mode === "table")) return;
      if (!answer.ok) throw new Error("not ok");
      const box = document.createElement("template");
      box.innerHTML = await answer.text();
      blocks.set(block, [...box.content.children]);
      while (blocks.size > KEEP) {
        const far = [...blocks.keys()].sort((a, b) => Math.abs(b - block) - Math.abs(a - block))[0];
        blocks.delete(far);
      }
      seenTotal(Number(answer.headers.get("x-total")), answer.headers.get("x-version"), answer.headers.get("x-whole") === "1");
    } catch { setTimeout(() => waiting.delete(block), 1500); return; } finally { view.setAttribute("aria-busy", "false"); }
    waiting.delete(block);
    draw();
  };
  const seenTotal = (fresh, newVersion, whole) => {
    root.dataset.live = whole ? "0" : "1";
    version = newVersion;
    if (fresh === total) return;
    total = fresh;
    $("#count b").textContent = total.toLocaleString("en").replaceAll(",", " ");
    $("#none").hidden = total > 0;
  };

  const draw = () => {
    const g = geometry(), from = top(g), shift = g.real <= g.high ? 0 : from - Math.max(0, Math.min(offset(), g.high));
    view.style.height = `${g.high}px`;
    view.className = mode === "table" ? "table" : mode === "grid" ? `grid${g.columns > 9 ? " tiny" : ""}` : "";
    const first = Math.max(0, Math.floor(from / g.height) - 1) * g.columns;
    const last = Math.min(total, (Math.ceil((from + window.innerHeight) / g.height) + 1) * g.columns);
    const wanted = new Set();
    for (let place = first; place < last; place += 1) {
      const block = Math.floor(place / BLOCK), cell = blocks.get(block)?.[place % BLOCK];
      if (!cell) { load(block); continue; }
      wanted.add(place);
      const x = (place % g.columns) * g.width, y = Math.floor(place / g.columns) * g.height - shift;
      cell.style.transform = `translate(${x}px, ${y}px)`;
      cell.style.width = `${g.width}px`;
      cell.style.height = `${g.height}px`;
      cell.classList.toggle("at", place === at);
      if (mounted.get(place) !== cell) { mounted.get(place)?.remove(); mounted.set(place, cell); view.append(cell); }
    }
    mounted.forEach((cell, place) => { if (!wanted.has(place)) { cell.remove(); mounted.delete(place); } });
  };
  let due = false;
  const soon = () => { if (!due) { due = true; requestAnimationFrame(() => { due = false; draw(); }); } };
  addEventListener("scroll", soon, { passive: true });
  addEventListener("resize", soon);

  const show = (place, focus = true) => {
    if (!total) return;
    at = Math.max(0, Math.min(total - 1, place));
    const g = geometry(), row = Math.floor(at / g.columns) * g.height, seen = window.innerHeight - 110, from = top(g);
    if (row < from || row + g.height > from + seen) {
      const wanted = Math.max(0, row - seen / 3), pixel = g.real <= g.high ? wanted : (wanted / Math.max(1, g.real - seen)) * (g.high - seen);
      scrollTo({ top: view.getBoundingClientRect().top + window.scrollY - 110 + pixel });
    }
    draw();
    if (focus) focusAt();
  };
  const focusAt = async () => {
    for (let tries = 0; tries < 40; tries += 1) {
      const cell = mounted.get(at);
      if (cell) { cell.focus({ preventScroll: true }); return; }
      await new Promise((next) => setTimeout(next, 50));
    }
  };
  const line = () => Number(mounted.get(at)?.dataset.line || 0);
  const address = (changes) => {
    Object.entries(changes).forEach(([name, value]) => { if (value === "" || value === null) state.delete(name); else state.set(name, value); });
    history.replaceState(null, "", `${location.pathname}${state.size ? `?${state}` : ""}`);
  };
  const jump = async (number, failed = false) => {
    const answer = await ask(`${base}/place?${query}&line=${number}${failed ? "&failed=1" : ""}`);
    const found = answer.ok ? await answer.json() : {};
    if (found.place === null || found.place === undefined) { say(failed ? "No line has failed" : "No line fits"); return; }
    show(found.place);
    if (!panel.hidden) open(found.line);
  };

  /* one line beside the list */
  let asked = 0;
  const open = async (number, focus = false) => {
    const mine = ++asked;
    const answer = await ask(`${base}/lines/${number}?${query}`);
    if (mine !== asked) return;
    if (!answer.ok) { say("This line cannot be shown now"); return; }
    panel.innerHTML = await answer.text();
    panel.hidden = false;
    panel.scrollTop = 0;
    document.body.classList.add("with-panel");
    address({ line: number });
    soon();
    if (focus) panel.focus();
  };
  const close = () => {
    if (panel.hidden) return false;
    asked += 1;
    panel.hidden = true;
    panel.replaceChildren();
    document.body.classList.remove("with-panel");
    address({ line: "" });
    draw();
    focusAt();
    return true;
  };
  const walk = async (by) => {
    show(at < 0 ? 0 : at + by);
    if (panel.hidden) return;
    for (let tries = 0; tries < 40 && !line(); tries += 1) await new Promise((next) => setTimeout(next, 50));
    if (line()) open(line());
  };
  view.addEventListener("click", (event) => {
    const cell = event.target.closest(".cell");
    if (!cell || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    at = Number(cell.dataset.place);
    draw();
    open(Number(cell.dataset.line), event.detail === 0);
  });
  view.addEventListener("focusin", (event) => { const cell = event.target.closest(".cell"); if (cell) { at = Number(cell.dataset.place); draw(); } });
  const alike = async (path, into) => {
    const box = $(`[data-found="${into}"]`, panel);
    box.textContent = "Looking …";
    const answer = await ask(path);
    if (answer.ok) box.innerHTML = await answer.text(); else box.textContent = (await answer.json().catch(() => ({}))).error?.message || "This cannot be found now.";
  };
  panel.addEventListener("click", (event) => {
    const finder = event.target.closest("[data-alike]");
    if (finder) alike(finder.dataset.alike, finder.dataset.into);
    const step = event.target.closest("[data-step]");
    if (step) walk(Number(step.dataset.step));
    if (event.target.closest("[data-close]")) close();
    const picture = event.target.closest("[data-full]");
    if (picture) pronkZoom(picture.dataset.full, picture.dataset.name);
  });
  panel.addEventListener("keydown", (event) => { if (event.key === "Escape" && !event.target.matches("input")) { close(); event.preventDefault(); } });

  /* marks */
  const mark = async (text) => {
    const number = Number($(".line", panel)?.dataset.line) || line();
    if (!number || root.dataset.write !== "1") return;
    try {
      const done = await post(`${base}/lines/${number}/mark`, { mark: text });
      const cell = [...mounted.values()].find((c) => Number(c.dataset.line) === number);
      if (cell) { cell.classList.toggle("marked", Boolean(done.mark)); if (done.mark) cell.dataset.mark = done.mark; else delete cell.dataset.mark; }
      say(done.mark ? `Marked ${done.mark}` : "Mark taken away");
    } catch (error) { say(error.message); }
  };
  panel.addEventListener("submit", (event) => { if (event.target.matches("[data-mark]")) { event.preventDefault(); mark(new FormData(event.target).get("mark")); } });

  addEventListener("pronk-marks", () => { blocks.clear(); waiting.clear(); draw(); });

  /* views */
  const heads = async () => {
    const box = $("#columns");
    box.hidden = mode !== "table";
    if (box.hidden) return;
    const answer = await ask(`${base}/columns?${query}${tail}`);
    if (!answer.ok) return;
    const made = document.createElement("template");
    made.innerHTML = await answer.text();
    const fresh = made.content.firstElementChild;
    fresh.hidden = mode !== "table";
    $("#columns").replaceWith(fresh);
    soon();
  };
  const turn = (wanted) => {
    if ((mode === "table") !== (wanted === "table")) { blocks.clear(); waiting.clear(); }
    mode = ["grid", "table"].includes(wanted) ? wanted : "list";
    root.classList.toggle("with-table", mode === "table");
    heads();
    const place = at;
    all("[data-view]").forEach((b) => b.setAttribute("aria-pressed", String(b.dataset.view === mode)));
    $("#density").hidden = mode !== "grid";
    keep("view", mode);
    address({ view: mode === "list" ? "" : mode });
    draw();
    if (place >= 0) show(place, false);
  };
  const dense = (value) => { perRow = Math.max(3, Math.min(16, value)); $("#density input").value = perRow; keep("density", perRow); draw(); if (at >= 0) show(at, false); };
  all("[data-view]").forEach((b) => b.addEventListener("click", () => turn(b.dataset.view)));
  $("#density input").addEventListener("input", (event) => dense(Number(event.target.value)));
  $("[data-next]").addEventListener("click", () => jump(line(), true));

  const columns = () => sizes().columns;
  key("j", "Next line", () => walk(1));
  key("k", "Line before", () => walk(-1));
  key("ArrowDown", "", () => walk(columns()));
  key("ArrowUp", "", () => walk(-columns()));
  // With groups the arrows walk these, without in the grid the lines.
  const sideways = (by) => {
    const groups = $("#groups"), link = groups && $(`[data-step-group="${by}"][href]`, groups);
    if (link) { link.click(); return true; }
    if (groups || mode !== "grid") return false;
    walk(by);
    return true;
  };
  key("ArrowRight", $("#groups") ? "Next group" : "", () => sideways(1), "→");
  key("ArrowLeft", $("#groups") ? "Group before" : "", () => sideways(-1), "←");
  key("Enter", "Open the line", (event) => { if (event.target.closest("a:not(.cell), button, summary") || !line()) return false; open(line(), true); });
  key("Escape", "Close what is open", close);
  key("n", "Next failed line", () => jump(line(), true));
  key("Home", "First line", () => show(0));
  key("End", "Last line", () => show(total - 1));
  key("l", "List", () => turn("list"));
  key("v", "Grid", () => turn("grid"));
  key("c", "Table with a column for each field", () => turn("table"));
  key("+", "Larger pictures", () => dense(perRow - 1), "+ −");
  key("-", "", () => dense(perRow + 1));
  key("z", "Picture large", () => { const b = $("[data-full]", panel); if (!b) return false; b.click(); });
  for (let digit = 1; digit <= 9; digit += 1) key(String(digit), digit === 1 ? "Mark the line: 1 good, 2 bad, others as they are; 0 takes it away" : "", () => mark({ 1: "good", 2: "bad" }[digit] || String(digit)), "1 … 9");
  key("0", "", () => mark(""));
  key("", "Go to a line: g, its number, Enter", null, "g 4 2 ↵");
  addEventListener("pronk-line", (event) => jump(event.detail));

  /* while the batch runs: what is there stays where it is, what is new comes at its place; counts come less often, at the end at once */
  let counted = "", countedAt = 0, following = root.dataset.live === "1";
  setInterval(async () => {
    if (!following || document.hidden) return;
    const answer = await ask(`${base}/rows?${query}&at=0&n=0`);
    if (!answer.ok) return;
    const before = version, was = total;
    seenTotal(Number(answer.headers.get("x-total")), answer.headers.get("x-version"), answer.headers.get("x-whole") === "1");
    if (version !== before || was !== total) { const open = line(); blocks.clear(); waiting.clear(); draw(); if (open) at = at; }
    following = root.dataset.live === "1";
    if (version !== counted && (Date.now() - countedAt >= 10000 || !following)) {
      counted = version;
      countedAt = Date.now();
      htmx.ajax("GET", `${base}/facets?${query}${tail}`, { target: "#facets", swap: "outerHTML" });
      heads();
    }
  }, 1500);

  if (narrow.matches) $("#filters").open = false;
  perRow = Number(kept("density", 6));
  $("#density input").value = perRow;
  turn(state.get("view") || kept("view", "list"));
  const wanted = Number(state.get("line"));
  if (wanted) { jump(wanted).then(() => open(wanted)); }
  document.addEventListener("htmx:after:swap", soon);
  requestAnimationFrame(draw);
})();
