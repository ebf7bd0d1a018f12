// One process: its news come as a stream, and each makes the page's live parts fresh, at most once a second. The stream
// says itself when nothing more will come.
"use strict";
(() => {
  const place = document.querySelector("[data-news]");
  let source = null, over = false, due = false, busy = false;

  async function fresh() {
    due = true;
    if (busy) return;
    busy = true;
    while (due) { due = false; await farm.shown(); await farm.refresh(); await farm.pause(1000); }
    busy = false;
  }
  function open() {
    if (source || over || !farm.visible()) return;
    source = new EventSource(place.dataset.news);
    source.onmessage = fresh;
    source.addEventListener("end", () => { over = true; close(); fresh(); });
    source.onerror = () => { // a closed one does not come back by itself
      if (source && source.readyState === EventSource.CLOSED) { close(); setTimeout(open, 3000); fresh(); }
    };
  }
  function close() { source?.close(); source = null; }
  document.addEventListener("visibilitychange", () => (farm.visible() ? (open(), fresh()) : close()));
  open();
})();
