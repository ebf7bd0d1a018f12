// A page opened from another site comes without the cookie (SameSite=Strict). If there is one after all, go on.
"use strict";
(async () => {
  const card = document.querySelector(".signin");
  const answer = await fetch("/console/whoami", { cache: "no-store" }).catch(() => null);
  if (answer && answer.status === 204) location.replace(card.dataset.next);
})();
