// What every page has: keys, theme, dialogs, live pieces, and charts. No text of a request or an answer is ever made into
// HTML here: pieces come escaped from the server.
const pronk = (() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const token = $('meta[name="csrf"]').content;
  const bindings = [];

  const key = (name, text, run, shown) => bindings.push({ name, text, run, shown: shown || name });
  const say = (text) => {
    const line = document.createElement("div");
    line.textContent = text;
    $("#said").append(line);
    setTimeout(() => line.remove(), 4000);
  };
  const ask = (url, options = {}) => fetch(url, {
    ...options, headers: { "x-pronk": "1", "x-csrf-token": token, ...(options.headers || {}) },
  });
  const post = async (url, body) => {
    const answer = await ask(url, { method: "POST", body: JSON.stringify(body || {}), headers: { "content-type": "application/json" } });
    const data = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Error(data.error?.message || `The server answered ${answer.status}.`);
    return data;
  };
  const copy = async (text) => {
    try { await navigator.clipboard.writeText(text); say("Copied"); } catch { say("The browser does not allow copying here"); }
  };
  const visit = (path) => { location.href = path; };

  /* dialogs */
  const confirmed = (title, text, yes) => new Promise((resolve) => {
    const dialog = $("#ask");
    $("#ask-title").textContent = title;
    $("#ask-text").textContent = text;
    $("#ask-yes").textContent = yes;
    dialog.returnValue = "no";
    dialog.onclose = () => resolve(dialog.returnValue === "yes");
    dialog.showModal();
    $('button[value="no"]', dialog).focus();
  });
  const theme = () => {
    const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    try { localStorage.setItem("pronk-theme", next); } catch { /* not kept */ }
    dispatchEvent(new Event("pronk-theme"));
  };
  const help = () => {
    const list = $("#help .keys");
    list.replaceChildren(...bindings.filter((b) => b.text).flatMap((b) => {
      const keys = document.createElement("span");
      b.shown.split(" ").forEach((part) => { const k = document.createElement("kbd"); k.textContent = part; keys.append(k, " "); });
      const text = document.createElement("span");
      text.textContent = b.text;
      return [keys, text];
    }));
    $("#help").showModal();
  };

  /* the palette */
  const places = () => {
    const found = all(".bar nav a").map((a) => ({ text: a.textContent, hint: "page", path: a.getAttribute("href") }));
    found.push({ text: "Error codes", hint: "page", path: "/errors" }, { text: "Keys of the API", hint: "page", path: "/keys" }, { text: "Compare batches", hint: "page", path: "/compare" });
    all("[data-palette]").forEach((e) => found.push({ text: e.dataset.palette, hint: "action", run: () => e.click() }));
    found.push({ text: "Change theme", hint: "action", run: theme }, { text: "Show keys", hint: "action", run: help });
    return found;
  };
  const palette = () => {
    const dialog = $("#palette"), input = $("input", dialog), list = $("ul", dialog);
    let shown = [], at = 0, known = places(), asked = 0;
    const draw = () => {
      const wanted = input.value.trim().toLowerCase();
      shown = known.filter((p) => p.text.toLowerCase().includes(wanted)).slice(0, 30);
      at = Math.min(at, Math.max(0, shown.length - 1));
      list.replaceChildren(...shown.map((p, index) => {
        const item = document.createElement("li"), hint = document.createElement("span");
        item.id = `place-${index}`;
        item.setAttribute("role", "option");
        item.setAttribute("aria-selected", String(index === at));
        item.textContent = p.text;
        hint.textContent = p.hint;
        hint.className = "soft small";
        item.append(hint);
        item.onclick = () => choose(index);
        return item;
      }));
      input.setAttribute("aria-activedescendant", shown.length ? `place-${at}` : "");
      list.children[at]?.scrollIntoView({ block: "nearest" });
    };
    const more = async () => {
      const mine = ++asked;
      const answer = await ask(`/palette?q=${encodeURIComponent(input.value)}`);
      if (!answer.ok || mine !== asked) return;
      known = [...places(), ...(await answer.json())];
      draw();
    };
    const choose = (index) => {
      const place = shown[index];
      if (!place) return;
      dialog.close();
      place.run ? place.run() : visit(place.path);
    };
    input.value = "";
    input.oninput = () => { at = 0; draw(); more(); };
    input.onkeydown = (event) => {
      if (event.key === "ArrowDown" || event.key === "ArrowUp") { at = Math.max(0, Math.min(shown.length - 1, at + (event.key === "ArrowDown" ? 1 : -1))); draw(); event.preventDefault(); }
      if (event.key === "Enter") { choose(at); event.preventDefault(); }
    };
    draw();
    more();
    dialog.showModal();
    input.focus();
  };

  /* rows of a list: j, k, Enter */
  const rows = () => all("[data-rows] [data-href]");
  const step = (by) => {
    const list = rows();
    if (!list.length) return;
    const now = list.findIndex((row) => row.classList.contains("at"));
    const next = list[Math.max(0, Math.min(list.length - 1, now + by))];
    list.forEach((row) => row.classList.toggle("at", row === next));
    next.scrollIntoView({ block: "nearest" });
    $("a", next)?.focus({ preventScroll: true });
  };
  const open = () => { const row = $("[data-rows] .at"); if (row) visit(row.dataset.href); };

  /* g and then a letter or a number */
  let going = null;
  const go = (event) => {
    if (event.key === "Escape") { going = null; return true; }
    if (/^[0-9]$/.test(event.key)) { going += event.key; say(`Line ${going}, then Enter`); return true; }
    const digits = going;
    going = null;
    if (digits && event.key === "Enter") { dispatchEvent(new CustomEvent("pronk-line", { detail: Number(digits) })); return true; }
    const link = digits ? null : $(`.bar nav [data-go="${CSS.escape(event.key)}"]`);
    if (link) visit(link.getAttribute("href"));
    return Boolean(link);
  };
  const typing = (target) => target.closest?.("input:not([type=checkbox],[type=range]), textarea, select, [contenteditable]");

  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") { event.preventDefault(); palette(); return; }
    if (event.ctrlKey || event.metaKey || event.altKey || $("dialog[open]")) return;
    if (typing(event.target)) { if (event.key === "Escape") event.target.blur(); return; }
    if (going !== null) { if (go(event)) event.preventDefault(); return; }
    const found = bindings.find((b) => b.name === event.key && b.run);
    if (found && found.run(event) !== false) event.preventDefault();
  });
  key("/", "Search", () => { const field = $("[data-search]"); if (!field) return false; field.focus(); field.select(); });
  key("?", "Show these keys", help);
  key("t", "Light or dark", theme);
  key("g", "Go: b batches, c new, p playground, o jobs, e engines, s settings", () => { going = ""; }, "g letter");
  key("", "Go to a page, batch, code or action", null, "Ctrl K");
  if ($("[data-rows]")) {
    key("j", "Next row", () => step(1));
    key("k", "Row before", () => step(-1));
    key("Enter", "Open the row", (event) => { if (event.target.closest("a, button, summary")) return false; open(); });
  }

  document.addEventListener("click", async (event) => {
    const doer = event.target.closest("[data-do]");
    if (doer) ({ theme, help, palette })[doer.dataset.do]?.();
    const copier = event.target.closest("[data-copy]");
    if (copier) copy(copier.dataset.copy);
    const row = event.target.closest("[data-href]");
    if (row && !event.target.closest("a, button, input, summary, label") && !String(getSelection())) visit(row.dataset.href);
    all("details.menu[open]").forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") all("details.menu[open]").forEach((menu) => { menu.open = false; $("summary", menu).focus(); }); });
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.dataset.ask || form.dataset.sure) return;
    event.preventDefault();
    form.dataset.asking = "1";
    const sure = await confirmed(form.dataset.ask, form.dataset.text || "", form.dataset.yes || "Yes");
    delete form.dataset.asking;
    if (sure) { form.dataset.sure = "1"; form.requestSubmit(); }
  });

  /* times, as the reader's clock says */
  const spans = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const times = (root = document) => all("time[data-age]", root).forEach((time) => {
    const at = new Date(time.dateTime), age = Math.max(0, (Date.now() - at) / 1000);
    const [size, unit] = spans.find(([one]) => age >= one) || spans[3];
    time.textContent = `${Math.floor(age / size)} ${unit} ago`;
    time.title = at.toLocaleString();
  });
  const moments = (root = document) => all("time[data-at]", root).forEach((time) => { time.textContent = new Date(time.dateTime).toLocaleString(); });
  setInterval(() => { if (!document.hidden) times(); }, 10000);

  /* live pieces: what the server sends takes the place of the element with its id, unless it is the same or being used */
  const patch = (id, html) => {
    const old = document.getElementById(id);
    if (!old || old.contains(document.activeElement) && document.activeElement.matches("input, textarea, select") || $("details[open], form[data-asking]", old)) return;
    const box = document.createElement("template");
    box.innerHTML = html;
    const fresh = box.content.firstElementChild;
    if (!fresh || fresh.outerHTML === old.dataset.was) return;
    const was = fresh.outerHTML, focused = old.contains(document.activeElement) ? document.activeElement : null;
    if (old.classList.contains("at")) fresh.classList.add("at");
    fresh.dataset.was = was;
    old.replaceWith(fresh);
    if (focused) all("a, button, summary, [tabindex]", fresh).find((e) => e.tagName === focused.tagName && (e.href ? e.href === focused.href : e.textContent === focused.textContent))?.focus({ preventScroll: true });
    dress(fresh);
  };
  const live = () => {
    const source = document.body.dataset.live || $("main").dataset.live;
    if (!source) return;
    let stream = null, retry = 1000, timer = null, followed = "";
    const close = () => { clearTimeout(timer); stream?.close(); stream = null; };
    const start = () => {
      close();
      if (document.hidden) return;
      followed = $("main").dataset.live;
      stream = new EventSource(followed);
      stream.onmessage = (event) => {
        retry = 1000;
        const pieces = JSON.parse(event.data);
        Object.entries(pieces).forEach(([id, html]) => patch(id, html));
        dispatchEvent(new CustomEvent("pronk-live", { detail: pieces }));
      };
      stream.onerror = () => { close(); retry = Math.min(retry * 2, 30000); timer = setTimeout(start, retry); };
    };
    document.addEventListener("visibilitychange", () => (document.hidden ? close() : start()));
    addEventListener("pagehide", close);
    addEventListener("pronk-restart", () => { if ($("main").dataset.live !== followed) start(); });
    start();
  };

  /* charts */
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const shortened = (value) => (value >= 1e6 ? `${+(value / 1e6).toFixed(1)}M` : value >= 1e4 ? `${+(value / 1e3).toFixed(1)}k` : `${+value.toFixed(2)}`);
  const charts = new Map();
  const draw = (box) => {
    if (!window.uPlot || !box.isConnected) return;
    charts.get(box)?.destroy();
    const given = JSON.parse(box.dataset.chart), axis = { stroke: color("--soft"), grid: { stroke: color("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui" };
    const bars = given.kind === "bars" ? uPlot.paths.bars({ size: [0.8, 40] }) : null;
    const chart = new uPlot({
      width: Math.max(120, box.clientWidth), height: box.clientHeight, legend: { show: false }, cursor: { y: false, points: { size: 6 } },
      scales: { y: { range: (_, low, high) => [0, Math.max(high * 1.08, 1)] } },
      axes: [{ ...axis, grid: { show: false } }, { ...axis, size: 46, values: (_, ticks) => ticks.map(shortened) }],
      series: [{}, ...given.series.map((s) => ({ label: s.label, stroke: color(s.color), fill: bars ? color(s.color) : undefined, width: bars ? 0 : 2, paths: bars || undefined, points: { show: false } }))],
    }, given.data, box);
    charts.set(box, chart);
  };
  const drawAll = () => all("[data-chart]").forEach(draw);
  const watcher = new ResizeObserver((entries) => entries.forEach(({ target }) => { const chart = charts.get(target); if (chart && target.clientWidth) chart.setSize({ width: target.clientWidth, height: target.clientHeight }); }));
  const dress = (root) => {
    times(root);
    moments(root);
    const boxes = root.matches?.("[data-chart]") ? [root] : all("[data-chart]", root);
    boxes.forEach((box) => { draw(box); watcher.observe(box); });
    charts.forEach((chart, box) => { if (!box.isConnected) { chart.destroy(); charts.delete(box); } });
  };
  addEventListener("pronk-theme", drawAll);

  /* pictures that do not come */
  document.addEventListener("error", (event) => {
    const image = event.target;
    if (image.tagName !== "IMG") return;
    const thumb = image.closest(".thumb");
    if (thumb) { thumb.classList.add("none"); thumb.dataset.why = thumb.dataset.why || "no picture"; image.remove(); }
  }, true);

  addEventListener("DOMContentLoaded", () => { dress(document); live(); $(".bar nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" }); });
  document.addEventListener("htmx:after:swap", () => { dress(document); dispatchEvent(new Event("pronk-restart")); });
  return { $, all, key, say, ask, post, copy, confirmed, dress, visit, token };
})();
