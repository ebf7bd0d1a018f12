// What every page has: live parts, times that stay true, buttons that ask first, text to copy.
//
// A live part is an element with an id and data-live. This page is then fetched again, and the part swapped if it
// differs. When: every data-every seconds (default 3), or with data-stream="URL" whenever that stream of server-sent
// events says anything (at most once a second); data-stream="" for a part whose news another part's stream brings, since
// all parts of a page are swapped together. Nothing is fetched while the tab is hidden.
"use strict";

const farm = (() => {
  const trouble = document.getElementById("trouble");
  const GONE = "The farm does not answer. This page shows what was known last; it is being tried again.";
  let troubleText = "";

  function say(text) {
    if (!trouble || text === troubleText) return;
    troubleText = text;
    trouble.textContent = text;
    trouble.hidden = !text;
  }

  function signIn() {
    location.assign("/console/sign-in?next=" + encodeURIComponent(location.pathname + location.search));
  }

  // fetch for the console: null, and a word to the reader, when the farm is away; to the sign-in page when signed out.
  // quiet: its failures are nobody's but the caller's.
  async function ask(url, options, quiet = false) {
    let answer;
    try {
      answer = await fetch(url, { cache: "no-store", ...options });
    } catch (error) {
      if (quiet) return null;
      if (error.name !== "AbortError") say(GONE);
      return null;
    }
    if (answer.status === 401) { signIn(); return null; }
    if (quiet) return answer;
    if (answer.status === 503) { say("The farm is away for a moment. This page shows what was known last; it is being tried again."); return null; }
    say("");
    return answer;
  }

  const visible = () => document.visibilityState === "visible";
  const pause = (ms) => new Promise((go) => setTimeout(go, ms));
  function shown() {
    return visible() ? Promise.resolve() : new Promise((go) => {
      const look = () => { if (visible()) { document.removeEventListener("visibilitychange", look); go(); } };
      document.addEventListener("visibilitychange", look);
    });
  }

  // -- times ----------------------------------------------------------------------------------------------------

  function span(seconds) { // as words.ago says it
    const s = Math.max(0, Math.round(seconds));
    for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"]]) if (s >= size) return Math.floor(s / size) + " " + unit;
    return s + " s";
  }
  function ago(element) {
    const passed = (Date.now() - Date.parse(element.dateTime)) / 1000;
    const text = passed < -1 ? "in " + span(-passed) : passed >= 1 ? span(passed) + " ago" : "just now";
    if (element.textContent !== text) element.textContent = text;
  }
  function tell(root) { for (const element of root.querySelectorAll("time[data-ago]")) ago(element); }

  // -- live parts -----------------------------------------------------------------------------------------------

  // Put what is new in; whoever is typing, pointing or reading there keeps the place.
  function swap(old, fresh) {
    const plain = (e) => { const c = e.cloneNode(true); for (const t of c.querySelectorAll("time[data-ago]")) t.textContent = ""; return c.innerHTML; };
    if (old.dataset.seen === undefined ? plain(old) === plain(fresh) : old.dataset.seen === plain(fresh)) return;
    if (old.contains(document.activeElement) && document.activeElement.matches("input, select, textarea")) return;
    const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
    const open = new Set([...old.querySelectorAll("details[id][open]")].map((e) => e.id));
    for (const e of fresh.querySelectorAll("details[id]")) if (open.has(e.id)) e.open = true;
    old.dataset.seen = plain(fresh);
    old.replaceChildren(...fresh.childNodes);
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    tell(old);
    old.dispatchEvent(new CustomEvent("swapped", { bubbles: true }));
  }

  let running = null;
  async function refresh() {
    running ??= (async () => {
      const answer = await ask(location.href, { headers: { Accept: "*/*" } });
      if (answer && answer.ok) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const part of document.querySelectorAll("[data-live]")) {
          const fresh = page.getElementById(part.id);
          if (fresh) swap(part, fresh);
        }
      }
    })().finally(() => { running = null; });
    return running;
  }

  async function keepFresh(part) {
    const seconds = Number(part.dataset.every || 3);
    while (part.isConnected) {
      await pause(seconds * 1000);
      await shown();
      await refresh();
    }
  }

  async function follow(part) {
    let due = false, busy = false;
    async function news() {
      due = true;
      if (busy) return;
      busy = true;
      while (due) { due = false; await shown(); await refresh(); await pause(1000); }
      busy = false;
    }
    stream(part.dataset.stream, () => news());
  }

  // Server-sent events while the tab can be seen: closed when it is hidden, taken up again when it is shown.
  // each(event) gets every event whatever its name; the server's own words, in its order. over() when it ends for good.
  function stream(url, each, names = []) {
    let source = null, wait = 1000, timer = 0, silent = 0;
    function open() {
      if (source || !visible()) return;
      source = new EventSource(url);
      source.onopen = () => { wait = 1000; clearTimeout(silent); silent = 0; say(""); };
      source.onmessage = each;
      for (const name of names) source.addEventListener(name, each);
      source.onerror = () => {
        silent ||= setTimeout(() => say(GONE), 3000);
        if (source.readyState === EventSource.CONNECTING) return; // it tries again by itself
        close();
        timer = setTimeout(check, wait);
        wait = Math.min(wait * 2, 15000);
      };
    }
    async function check() { // an EventSource does not say why it failed
      const answer = await ask("/console/whoami");
      if (answer) open(); else timer = setTimeout(check, wait);
    }
    function close() { source?.close(); source = null; clearTimeout(timer); clearTimeout(silent); silent = 0; }
    document.addEventListener("visibilitychange", () => (visible() ? open() : close()));
    open();
  }

  function start() {
    const here = document.querySelector(".bar nav [aria-current]"), bar = here?.closest("ul"); // where the bar is too narrow
    if (bar) bar.scrollLeft = here.offsetLeft + here.offsetWidth - bar.offsetLeft - bar.clientWidth;
    tell(document);
    setInterval(() => { if (visible()) tell(document); }, 1000);
    const parts = [...document.querySelectorAll("[data-live]")];
    for (const part of parts) if (part.dataset.stream) follow(part);
    const timed = parts.filter((p) => p.dataset.stream === undefined);
    if (timed.length) keepFresh(timed.reduce((a, b) => (Number(a.dataset.every || 3) <= Number(b.dataset.every || 3) ? a : b)));
  }

  document.addEventListener("submit", (event) => {
    const asks = event.submitter?.dataset.confirm || event.target.dataset.confirm;
    if (asks && !confirm(asks)) { event.preventDefault(); return; }
    if (event.target.method === "post") setTimeout(() => { if (event.submitter && !event.defaultPrevented) event.submitter.disabled = true; });
  });
  window.addEventListener("pageshow", (event) => { // back from the cache of the browser: nothing is to stay disabled
    if (event.persisted) location.reload();
  });
  document.addEventListener("change", (event) => { // filters act at once
    if (event.target.form?.matches("[data-auto]")) event.target.form.requestSubmit();
  });
  document.addEventListener("click", async (event) => { // data-copy="id of the element whose text to copy"
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const text = document.getElementById(button.dataset.copy).textContent;
    const before = button.textContent;
    try { await navigator.clipboard.writeText(text); button.textContent = "Copied"; }
    catch { getSelection().selectAllChildren(document.getElementById(button.dataset.copy)); button.textContent = "Press Ctrl+C"; }
    setTimeout(() => { button.textContent = before; }, 1500);
  });
  start();
  return { ask, say, stream, refresh, visible, pause, shown, tell };
})();
