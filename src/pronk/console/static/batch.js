// What sets the failed apart is asked anew when more lines have failed, not more often than every ten seconds.
(() => {
  let due = null, last = 0;
  const ask = () => {
    due = null;
    last = Date.now();
    if (document.getElementById("apart")) htmx.ajax("GET", `${location.pathname}/apart`, { target: "#apart", swap: "outerHTML" });
  };
  addEventListener("pronk-live", (event) => {
    if (!due && event.detail["batch-failures"]?.includes('class="failure"')) due = setTimeout(ask, Math.max(500, last + 10000 - Date.now()));
  });
})();
