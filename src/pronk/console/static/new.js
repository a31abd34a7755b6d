// A new batch: a file goes up while its form is filled, is checked if one likes, and started once.
(() => {
  const { $, all, say, ask, token, visit } = pronk;
  let file = null;
  const once = crypto.randomUUID ? crypto.randomUUID() : String(Math.random()).slice(2);
  const ready = (given) => { file = given; $("#check").disabled = $("#start").disabled = !given; };
  const send = (blob, name) => {
    ready(null);
    const form = new FormData();
    form.append("purpose", "batch");
    form.append("file", blob, name);
    const upload = new XMLHttpRequest();
    upload.open("POST", "/new/file");
    upload.setRequestHeader("x-csrf-token", token);
    upload.setRequestHeader("x-pronk", "1");
    upload.upload.onprogress = (event) => { $("#file").textContent = `${name}: ${Math.round((100 * event.loaded) / event.total)} %`; };
    upload.onload = () => {
      let data = {};
      try { data = JSON.parse(upload.responseText); } catch { /* said below */ }
      if (upload.status >= 300) { $("#file").textContent = data.error?.message || "The upload failed"; return; }
      $("#file").textContent = `${data.filename}, ${data.bytes.toLocaleString("en")} bytes, is up`;
      ready(data.id);
    };
    upload.onerror = () => { $("#file").textContent = "The upload was cut off"; };
    upload.send(form);
  };
  const drop = $("#drop");
  ["dragenter", "dragover"].forEach((name) => drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); }));
  ["dragleave", "drop"].forEach((name) => drop.addEventListener(name, () => drop.classList.remove("over")));
  drop.addEventListener("drop", (event) => { event.preventDefault(); const [given] = event.dataTransfer.files; if (given) send(given, given.name); });
  $("input[type=file]").addEventListener("change", (event) => { const [given] = event.target.files; if (given) send(given, given.name); });
  all("[data-from]").forEach((button) => button.addEventListener("click", () => {
    all("[data-from]").forEach((b) => b.setAttribute("aria-pressed", String(b === button)));
    $("#compose").hidden = button.dataset.from !== "compose";
    drop.hidden = button.dataset.from !== "drop";
    if (button.dataset.from === "compose") pronkPicked.begin();
  }));
  $("#compose").addEventListener("submit", (event) => {
    event.preventDefault();
    const given = new FormData(event.target), text = (name) => String(given.get(name) || "").trim();
    let schema = null;
    try { schema = text("schema") ? JSON.parse(text("schema")) : null; } catch { say("The schema is not JSON"); return; }
    const lines = text("references").split("\n").map((line) => line.trim()).filter(Boolean);
    const parts = (line) => (line.includes("://") && !/\s\S+:\/\//.test(line) ? [line] : line.split(/\s+/));
    const request = (references, number) => {
      const content = references.map((url) => ({ type: "image_url", image_url: { url } }));
      content.push({ type: "text", text: text("prompt") });
      const messages = text("system") ? [{ role: "system", content: text("system") }] : [];
      const body = { model: text("model"), messages: [...messages, { role: "user", content }], max_tokens: Number(text("max_tokens")) || 256 };
      if (schema) body.response_format = { type: "json_schema", json_schema: { name: "answer", schema } };
      return JSON.stringify({ custom_id: `request-${number + 1}`, method: "POST", url: "/v1/chat/completions", body });
    };
    const asked = [...lines.map(parts), ...pronkPicked.taken().map((one) => [one])];
    const made = (asked.length ? asked : [[]]).map(request);
    send(new Blob([made.join("\n"), "\n"], { type: "application/jsonl" }), "composed.jsonl");
  });
  const wish = () => {
    const given = new FormData($("#how")), body = { input_file_id: file, endpoint: given.get("endpoint") };
    if (given.get("job_id")) body.job_id = given.get("job_id");
    return [body, given];
  };
  $("#check").addEventListener("click", async () => {
    $("#report").textContent = "Looking at every line and every reference…";
    const answer = await ask("/new/check", { method: "POST", body: JSON.stringify(wish()[0]), headers: { accept: "text/html" } });
    if (answer.ok) $("#report").innerHTML = await answer.text();
    else $("#report").textContent = (await answer.json()).error.message;
  });
  $("#how").addEventListener("submit", async (event) => {
    event.preventDefault();
    const [body, given] = wish();
    body.completion_window = given.get("completion_window");
    if (given.get("name")) body.metadata = { name: given.get("name") };
    const answer = await ask("/new/start", { method: "POST", body: JSON.stringify(body), headers: { "idempotency-key": once + file } });
    const data = await answer.json();
    if (answer.ok) visit(data.path); else $("#report").textContent = data.error.message;
  });
})();
