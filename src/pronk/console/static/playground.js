// One prompt, several jobs: each answer is shown as it comes, as text and never as anything else.
(() => {
  const { $, all, say, ask } = pronk;
  const form = $("#play"), answers = $(".answers");
  const pictures = [];
  let running = null;
  $("input[type=file]", form).addEventListener("change", async (event) => {
    for (const file of event.target.files) {
      const url = await new Promise((done) => { const reader = new FileReader(); reader.onload = () => done(reader.result); reader.readAsDataURL(file); });
      pictures.push(url);
      const thumb = document.createElement("button"), image = new Image();
      thumb.type = "button";
      thumb.className = "thumb";
      thumb.title = "Take this picture away";
      image.src = url;
      image.alt = file.name;
      thumb.append(image);
      thumb.onclick = () => { pictures.splice(pictures.indexOf(url), 1); thumb.remove(); };
      $(".picked", form).append(thumb);
    }
    event.target.value = "";
  });
  const body = (given, model) => {
    const references = String(given.get("references")).split("\n").map((line) => line.trim()).filter(Boolean);
    const content = [...references, ...pictures].map((url) => ({ type: "image_url", image_url: { url } }));
    content.push({ type: "text", text: given.get("prompt") });
    const messages = given.get("system") ? [{ role: "system", content: given.get("system") }] : [];
    return { model, messages: [...messages, { role: "user", content }], stream: true, stream_options: { include_usage: true }, temperature: Number(given.get("temperature")), max_tokens: Number(given.get("max_tokens")) };
  };
  const panel = (job) => {
    const box = document.createElement("section"), head = document.createElement("h2"), text = document.createElement("div"), foot = document.createElement("p");
    box.className = "panel";
    head.className = "mono";
    head.textContent = job;
    text.className = "text";
    foot.className = "small soft";
    box.append(head, text, foot);
    answers.append(box);
    return { text, foot };
  };
  const run = async (job, given, model, signal) => {
    const { text, foot } = panel(job), began = performance.now();
    let first = 0, usage = null;
    try {
      const answer = await ask(`/playground/run/${encodeURIComponent(job)}`, { method: "POST", body: JSON.stringify(body(given, model)), headers: { "content-type": "application/json" }, signal });
      if (!answer.ok) throw new Error((await answer.json()).error.message);
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        const events = (rest + value).split("\n");
        rest = events.pop();
        events.filter((line) => line.startsWith("data:") && !line.includes("[DONE]")).forEach((line) => {
          const event = JSON.parse(line.slice(5));
          if (event.error) throw new Error(event.error.message);
          const more = event.choices?.[0]?.delta?.content || "";
          if (more && !first) first = performance.now() - began;
          text.append(more);
          usage = event.usage || usage;
        });
      }
      foot.textContent = `${((performance.now() - began) / 1000).toFixed(2)} s, first text after ${(first / 1000).toFixed(2)} s${usage ? `, ${usage.prompt_tokens} tokens in, ${usage.completion_tokens} out` : ""}`;
    } catch (error) {
      foot.textContent = signal.aborted ? "Stopped" : error.message;
      foot.className = "small bad-text";
    }
  };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const given = new FormData(form), jobs = all("input[name=job]:checked", form).slice(0, 4);
    if (!jobs.length) { say("Choose a job"); return; }
    running?.abort();
    running = new AbortController();
    $("#stop").disabled = false;
    answers.replaceChildren();
    await Promise.all(jobs.map((job) => run(job.value, given, job.dataset.model || given.get("model"), running.signal)));
    $("#stop").disabled = true;
  });
  $("#stop").addEventListener("click", () => running?.abort());
})();
