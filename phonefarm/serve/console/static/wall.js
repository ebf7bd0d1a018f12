// The wall: one stream for all tiles. A tile that changes gets its new words; its canvas stays.
"use strict";

(() => {
  const wall = document.getElementById("wall");
  const none = document.getElementById("none");
  const WIDTH = 240;
  const tiles = new Map();
  for (const tile of wall.querySelectorAll(".tile")) { tiles.set(tile.dataset.phone, tile); looking.add(tile, WIDTH); }

  function made(html) {
    const holder = document.createElement("template");
    holder.innerHTML = html;
    return holder.content.querySelector(".tile");
  }

  function put(id, html) {
    const fresh = made(html), old = tiles.get(id);
    if (!old) {
      const after = [...wall.children].find((other) => other.dataset.key > fresh.dataset.key) || null;
      wall.insertBefore(fresh, after);
      tiles.set(id, fresh);
      looking.add(fresh, WIDTH);
      farm.tell(fresh);
      return;
    }
    const focused = old.querySelector(".info").contains(document.activeElement);
    const was = old.dataset.look + old.dataset.busy;
    old.className = fresh.className;
    for (const name of ["look", "busy", "key"]) old.dataset[name] = fresh.dataset[name];
    old.querySelector(".info").replaceWith(fresh.querySelector(".info"));
    if (old.dataset.look === "no") old.querySelector(".noshot").textContent = "no picture";
    if (focused) old.querySelector(".info a").focus({ preventScroll: true });
    farm.tell(old);
    if (was !== old.dataset.look + old.dataset.busy) looking.soon(old);
  }

  function drop(id) {
    const tile = tiles.get(id);
    looking.remove(tile);
    tile.remove();
    tiles.delete(id);
  }

  farm.stream(wall.dataset.stream, (event) => {
    const news = JSON.parse(event.data);
    for (const [id, html] of Object.entries(news.tiles)) put(id, html);
    const there = new Set(news.all);
    for (const id of [...tiles.keys()]) if (!there.has(id)) drop(id);
    none.hidden = tiles.size > 0;
    if (news.summary !== null) document.getElementById("summary").innerHTML = news.summary;
    farm.say(news.away ? "The farm is away for a moment. The wall shows what was known last." : "");
  }, ["wall"]);
})();
