// A range of numbers, drawn over its bins with the pointer; a click on a bin is a link and stays one. By keys a range is typed:
// output_tokens>=100 output_tokens<=200.
(() => {
  const { $, all, visit } = pronk;
  const LEAST = 5;
  let drawn = null;

  const ends = (box) => all("a", box).map((bin) => ({ from: Number(bin.dataset.from), to: Number(bin.dataset.to) }));
  // A place between 0 and 1 as a number: bins are equally wide, whatever they reach over.
  const valueAt = (box, share) => {
    const bins = ends(box), place = Math.min(bins.length - 1, Math.max(0, Math.floor(share * bins.length)));
    const { from, to } = bins[place], exact = from + (to - from) * Math.min(1, Math.max(0, share * bins.length - place));
    return bins.every((bin) => Number.isInteger(bin.from) && Number.isInteger(bin.to)) ? Math.round(exact) : Number(exact.toPrecision(6));
  };
  const range = () => {
    const { box, from, to } = drawn, low = Math.min(from, to), high = Math.max(from, to);
    return { low: low <= 0 ? box.dataset.low : valueAt(box, low), high: high >= 1 ? box.dataset.high : valueAt(box, high), at: low, wide: high - low };
  };
  const show = () => {
    const { box } = drawn, { low, high, at, wide } = range(), bar = $(".brush rect", box);
    bar.setAttribute("x", 1000 * at);
    bar.setAttribute("width", 1000 * wide);
    $("[data-said]", box.nextElementSibling).textContent = `${low} – ${high}`;
  };
  const share = (box, x) => { const seen = box.getBoundingClientRect(); return Math.min(1, Math.max(0, (x - seen.left) / seen.width)); };

  document.addEventListener("pointerdown", (event) => {
    const box = event.target.closest?.("[data-bins]");
    if (!box || event.button) return;
    const from = share(box, event.clientX);
    drawn = { box, from, to: from, x: event.clientX, moved: false };
  });
  document.addEventListener("pointermove", (event) => {
    if (!drawn) return;
    drawn.moved ||= Math.abs(event.clientX - drawn.x) >= LEAST;
    if (!drawn.moved) return;
    drawn.to = share(drawn.box, event.clientX);
    show();
  });
  document.addEventListener("pointercancel", () => { drawn = null; });
  document.addEventListener("pointerup", () => {
    if (!drawn) return;
    const { box, moved } = drawn, { low, high } = range();
    drawn = null;
    if (!moved) return;
    addEventListener("click", (event) => { event.preventDefault(); event.stopPropagation(); }, { capture: true, once: true });
    const wanted = new URLSearchParams(box.dataset.rest);
    wanted.append(`min.${box.dataset.name}`, low);
    wanted.append(`max.${box.dataset.name}`, high);
    visit(`?${wanted}${box.dataset.tail}`);
  });
  document.addEventListener("dragstart", (event) => { if (event.target.closest?.("[data-bins]")) event.preventDefault(); });
})();
