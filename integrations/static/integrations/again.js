// Shows how work goes on without loading the page again: parts marked `data-live` are fetched anew and put in place.
// When the work has ended the whole page is loaded, as it then offers something else.
"use strict";
{
  const page = document.querySelector("[data-again]");
  const everyMs = page && 1000 * Number(page.dataset.again);

  const look = async () => {
    if (document.hidden) return;
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (answer.redirected || !fresh.querySelector("[data-again]")) {
      location.reload();
      return;
    }
    const parts = fresh.querySelectorAll("[data-live]");
    document.querySelectorAll("[data-live]").forEach((part, at) => {
      if (parts[at] && part.innerHTML !== parts[at].innerHTML) part.replaceChildren(...parts[at].childNodes);
    });
  };

  // Whatever is wrong with one look, most likely the product's restart, the next one tells.
  const again = () => setTimeout(() => look().finally(again), everyMs);
  if (page) again();
}
