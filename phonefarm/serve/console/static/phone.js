// One phone: its screen at large. Its words are live parts (console.js).
"use strict";

(() => {
  const screen = document.getElementById("screen");
  looking.add(screen, 480);
  document.addEventListener("swapped", (event) => {
    if (event.target.id !== "p-head") return;
    const state = event.target.querySelector(".state").className;
    const away = /s-(offline|unauthorized|retired)\b/.exec(state);
    const was = screen.dataset.look;
    screen.dataset.look = away ? "no" : "yes";
    if (away) screen.querySelector(".noshot").textContent = "no picture: the phone is " + away[1];
    if (was !== screen.dataset.look) looking.soon(screen);
  });
})();
