// The page works without this. It keeps what is live fresh, and copies commands.
"use strict";

const EVERY_MS = 5000;
const pause = document.querySelector("[data-pause]");
let paused = false;

function isBusy(part) {
  // Nothing is replaced under the reader's hands: neither where the focus is, nor what was opened, nor a selection.
  const selection = document.getSelection();
  return part.contains(document.activeElement) || part.querySelector("details[open]") !== null ||
    (selection !== null && !selection.isCollapsed && part.contains(selection.anchorNode));
}

async function refresh() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const found = fresh.querySelector(`[data-live="${part.dataset.live}"]`);
    if (found && !isBusy(part) && found.innerHTML !== part.innerHTML) part.replaceChildren(...found.childNodes);
  }
}

async function keepFresh() {
  if (!paused && !document.hidden) {
    try {
      await refresh();
    } catch {
      const shown = document.querySelector('[data-live="fresh"]');
      if (shown) shown.textContent = "The page is not served any more: start dicomcast-consumer web again";
    }
  }
  setTimeout(keepFresh, EVERY_MS);
}

if (pause) {
  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
  });
  setTimeout(keepFresh, EVERY_MS);
}

for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) break;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.firstChild.textContent = "Copied";
  });
}
