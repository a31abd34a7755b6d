// New batches are announced, not pushed in: what is being read does not move.
addEventListener("pronk-live", (event) => {
  const found = document.getElementById("found"), newest = event.detail.newest;
  if (newest && newest !== found.dataset.newest) document.getElementById("fresh").hidden = false;
});

// After a search without loading the page anew, what is kept and what is followed is what is shown now.
document.addEventListener("htmx:after:swap", () => {
  const field = document.querySelector("[data-address]"), main = document.querySelector("main");
  if (field) field.value = location.pathname + location.search;
  main.dataset.live = `/live/batches${location.search}`;
});
