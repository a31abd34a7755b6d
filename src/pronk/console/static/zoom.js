// One picture as large as one likes: wheel, pinch and keys zoom, dragging moves, r turns. Beyond the screen's pixels a larger
// one is fetched in the place of the scaled one, step by step up to the picture as it is.
const pronkZoom = (() => {
  const dialog = document.getElementById("zoom"), image = dialog.querySelector("img"), text = dialog.querySelector("p");
  let scale = 1, x = 0, y = 0, turned = 0, source = "", step = 0, fetching = false;
  const STEPS = [2048, 4096, 8192, 0];
  const fingers = new Map();
  const put = () => { image.style.transform = `translate(${x}px, ${y}px) rotate(${turned}deg) scale(${scale})`; };
  const size = () => (turned % 180 ? [image.naturalHeight, image.naturalWidth] : [image.naturalWidth, image.naturalHeight]);
  const centre = () => {
    const w = image.naturalWidth * scale, h = image.naturalHeight * scale;
    const [ox, oy] = { 0: [0, 0], 90: [h, 0], 180: [w, h], 270: [0, w] }[turned];
    const [sw, sh] = turned % 180 ? [h, w] : [w, h];
    x = (innerWidth - sw) / 2 + ox;
    y = (innerHeight - sh) / 2 + oy;
    put();
  };
  const fit = () => { const [w, h] = size(); scale = Math.min(innerWidth / w, innerHeight / h, w < 64 ? 8 : 4); centre(); };
  const better = () => {
    const longest = Math.max(image.naturalWidth, image.naturalHeight);
    if (fetching || step === STEPS.length - 1 || scale * devicePixelRatio <= 1 || longest < STEPS[step] * 0.97) return;
    const was = image.naturalWidth, fresh = new Image(), mine = source;
    fetching = true;
    fresh.onload = () => {
      fetching = false;
      if (mine !== source) return;
      step += 1;
      scale *= was / fresh.naturalWidth;
      image.src = fresh.src;
      put();
      better();
    };
    fresh.onerror = () => { fetching = false; };
    fresh.src = `${source}?size=${STEPS[step + 1] || "whole"}`;
  };
  const zoom = (by, cx = innerWidth / 2, cy = innerHeight / 2) => {
    const next = Math.max(0.02, Math.min(40, scale * by)), ratio = next / scale;
    x = cx - (cx - x) * ratio;
    y = cy - (cy - y) * ratio;
    scale = next;
    put();
    better();
  };
  const acts = { in: () => zoom(1.4), out: () => zoom(1 / 1.4), fit, one: () => { scale = 1 / devicePixelRatio; centre(); better(); }, turn: () => { turned = (turned + 90) % 360; fit(); }, close: () => dialog.close() };
  dialog.addEventListener("click", (event) => { const b = event.target.closest("[data-zoom]"); if (b) acts[b.dataset.zoom](); });
  dialog.addEventListener("wheel", (event) => { event.preventDefault(); zoom(Math.exp(-event.deltaY / 400), event.clientX, event.clientY); }, { passive: false });
  dialog.addEventListener("keydown", (event) => {
    const act = { "+": "in", "=": "in", "-": "out", 0: "fit", f: "fit", 1: "one", r: "turn" }[event.key];
    const move = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[event.key];
    if (act) acts[act]();
    if (move) { x += move[0]; y += move[1]; put(); event.preventDefault(); }
  });
  dialog.addEventListener("pointerdown", (event) => { if (event.target === image || event.target === dialog) { fingers.set(event.pointerId, event); dialog.setPointerCapture(event.pointerId); event.preventDefault(); } });
  dialog.addEventListener("pointermove", (event) => {
    const was = fingers.get(event.pointerId);
    if (!was) return;
    const other = [...fingers.values()].find((f) => f.pointerId !== event.pointerId);
    if (other) {
      const far = (a) => Math.hypot(a.clientX - other.clientX, a.clientY - other.clientY);
      zoom(far(event) / Math.max(1, far(was)), (event.clientX + other.clientX) / 2, (event.clientY + other.clientY) / 2);
    } else { x += event.clientX - was.clientX; y += event.clientY - was.clientY; put(); }
    fingers.set(event.pointerId, event);
  });
  ["pointerup", "pointercancel"].forEach((name) => dialog.addEventListener(name, (event) => fingers.delete(event.pointerId)));
  image.addEventListener("load", () => { if (!step) fit(); });
  return (url, name) => { source = url; step = 0; fetching = false; turned = 0; image.src = url; image.alt = name || "Picture"; text.textContent = name || ""; dialog.showModal(); };
})();
