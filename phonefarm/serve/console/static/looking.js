// Screens of phones, for pages that show some. A picture is fetched for what is in view, about once a second while it
// changes; a screen that stays the same is looked at a little less often, every one and a half seconds, unless its phone
// is at work. Nothing is fetched while the tab is hidden, and at most four at a time.
"use strict";

const looking = (() => {
  const AT_ONCE = 4, FAST = 1000, SLOW = 1500, UNSEEN = 10000;
  const eyes = new Map(); // element with a canvas -> what is known of it
  let running = 0, timer = 0;

  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const eye = eyes.get(entry.target);
      if (eye) eye.inView = entry.isIntersecting;
    }
    next();
  }, { rootMargin: "50px" });

  function add(element, width) {
    if (eyes.has(element)) return;
    eyes.set(element, { element, width, inView: false, due: 0, every: FAST, tag: "", running: false });
    observer.observe(element);
  }
  function remove(element) { observer.unobserve(element); eyes.delete(element); }
  function soon(element) { const eye = eyes.get(element); if (eye) { eye.every = FAST; eye.due = 0; next(); } }

  // The one in view that has waited longest, as often as there is room; then when the next is due.
  function next() {
    clearTimeout(timer);
    if (!farm.visible()) return;
    const now = performance.now();
    const waiting = [...eyes.values()].filter((e) => e.inView && !e.running && e.element.dataset.look !== "no").sort((a, b) => a.due - b.due);
    while (running < AT_ONCE && waiting.length && waiting[0].due <= now) look(waiting.shift());
    if (running < AT_ONCE && waiting.length) timer = setTimeout(next, Math.max(20, waiting[0].due - now));
  }

  async function look(eye) {
    eye.running = true; running++;
    const began = performance.now();
    try { await fetchInto(eye); }
    catch (error) { fail(eye, "no picture"); }
    eye.due = began + eye.every;
    eye.running = false; running--;
    next();
  }

  async function fetchInto(eye) {
    const url = "/console/screens/" + encodeURIComponent(eye.element.dataset.phone) + "?width=" + eye.width;
    const answer = await farm.ask(url, { headers: eye.tag ? { "If-None-Match": eye.tag } : {} }, true);
    if (!answer) return fail(eye, "");
    if (answer.status === 304) { eye.every = eye.element.dataset.busy === "yes" ? FAST : Math.min(eye.every * 1.5, SLOW); return good(eye); }
    if (!answer.ok) return fail(eye, await reason(answer));
    const picture = await createImageBitmap(await answer.blob());
    const canvas = eye.element.querySelector("canvas");
    canvas.width = picture.width; canvas.height = picture.height;
    canvas.getContext("2d").drawImage(picture, 0, 0);
    picture.close();
    eye.tag = answer.headers.get("ETag") || "";
    eye.every = FAST;
    eye.element.dataset.frames = Number(eye.element.dataset.frames || 0) + 1;
    good(eye);
  }

  async function reason(answer) {
    const body = await answer.json().catch(() => ({}));
    const why = String(body.detail || "").split(":")[1] || "";
    return why ? "no picture: " + why.replaceAll("_", " ") : "no picture";
  }
  function good(eye) { eye.element.classList.remove("stale"); say(eye, ""); }
  function fail(eye, why) { eye.every = UNSEEN; eye.element.classList.add("stale"); if (why) say(eye, why); }
  function say(eye, text) { const place = eye.element.querySelector(".noshot"); if (place && place.textContent !== text) place.textContent = text; }

  document.addEventListener("visibilitychange", next);
  return { add, remove, soon };
})();
