// The form: what is typed is sent to be checked, and what comes back is put beside it: the JSON, the curl line and what
// is wrong. The farm makes all three, with the code that would accept the request, so they cannot be about another one.
"use strict";
(() => {
  const form = document.getElementById("submit");
  const touched = new Set();
  let timer = 0, asked = 0;

  async function ask(act) {
    const body = new URLSearchParams(new FormData(form));
    body.set("act", act);
    const mine = ++asked;
    const answer = await farm.ask(form.action, { method: "POST", body, headers: { Accept: "text/html" } });
    if (!answer || mine !== asked) return null;
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  }

  function say(page, all) { // faults of fields nobody has come to yet would only be in the way
    for (const id of ["json", "curl"]) document.getElementById(id).textContent = page.getElementById(id).textContent;
    const verdict = page.getElementById("verdict");
    document.getElementById("verdict").replaceChildren(...verdict.childNodes);
    document.getElementById("others").replaceChildren(...page.getElementById("others").childNodes);
    for (const place of document.querySelectorAll(".errors")) {
      const path = place.id.slice(2), found = page.getElementById(place.id);
      const known = all || [...touched].some((name) => name === path || name.startsWith(path + "."));
      if (!found || (!known && !place.childNodes.length)) continue;
      place.replaceChildren(...found.childNodes);
      const control = document.getElementById("f-" + path);
      if (control) control.toggleAttribute("aria-invalid", false);
      if (control && place.childElementCount) control.setAttribute("aria-invalid", "true");
    }
  }

  async function check(all) {
    const page = await ask("check");
    if (page && page.getElementById("json")) say(page, all);
  }

  async function shape(act, focus) { // other fields: the form is drawn again
    const page = await ask(act);
    const fresh = page && page.getElementById("fields");
    if (!fresh) return;
    const open = new Set([...document.querySelectorAll("#fields details[open]")].map((e) => e.id));
    for (const e of fresh.querySelectorAll("details")) if (open.has(e.id)) e.open = true;
    document.getElementById("fields").replaceChildren(...fresh.childNodes);
    const target = document.getElementById(focus) || document.querySelector(`#fields [value="${CSS.escape(act)}"]`);
    target?.focus();
    check(false);
  }

  form.addEventListener("input", (event) => {
    clearTimeout(timer);
    timer = setTimeout(() => check(false), 250);
    if (event.target.matches("textarea, select, [type=checkbox]")) touched.add(event.target.name);
  });
  form.addEventListener("focusout", (event) => { if (event.target.name && event.target.value) touched.add(event.target.name); });
  form.addEventListener("change", (event) => {
    touched.add(event.target.name);
    if (event.target.matches("[data-shapes]")) { clearTimeout(timer); shape("shape", event.target.id); }
  });
  form.addEventListener("submit", (event) => {
    const act = event.submitter?.value || "check";
    if (act === "send") return;
    event.preventDefault();
    clearTimeout(timer);
    if (event.submitter?.matches("[data-shape]")) shape(act, ""); else check(true);
  });
})();
