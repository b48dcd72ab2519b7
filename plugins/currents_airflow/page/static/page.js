// The page works without this: it follows Airflow's theme, leaves the frame, copies commands, and moves in grids by keys.
"use strict";

function framing() {
  try {
    return window.parent === window ? null : window.parent.document;
  } catch {
    return null;
  }
}

function followTheme() {
  const around = framing();
  const isDark = () => {
    const root = around && around.documentElement;
    if (root && (root.classList.contains("dark") || root.dataset.theme === "dark")) return true;
    if (root && (root.classList.contains("light") || root.dataset.theme === "light")) return false;
    return window.matchMedia("(prefers-color-scheme: dark)").matches;
  };
  const follow = () => { document.documentElement.dataset.theme = isDark() ? "dark" : "light"; };
  follow();
  if (around) new MutationObserver(follow).observe(around.documentElement, { attributes: true });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", follow);
}

// Airflow's frame may not navigate what is around it; a link there may.
function leaveFrame(event) {
  const link = event.target.closest("a[data-leave]");
  const around = framing();
  if (!link || !around || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const outside = around.createElement("a");
  outside.href = link.href;
  if (new URL(link.href).origin !== window.location.origin) {
    outside.target = "_blank";
    outside.rel = "noopener";
  }
  around.body.append(outside);
  outside.click();
  outside.remove();
}

async function copy(event) {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  const text = button.dataset.copy;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const field = document.createElement("textarea");
    field.value = text;
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
  button.textContent = "Copied";
}

// One stop for the tab key in each grid; arrows move on from there.
function moveInGrid(grid) {
  const rows = [...grid.querySelectorAll("tbody tr")].map((row) => [...row.querySelectorAll("a.square")]);
  const all = rows.flat();
  all.forEach((link, place) => { link.tabIndex = place ? -1 : 0; });
  grid.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    const step = steps[event.key];
    const row = rows.findIndex((links) => links.includes(document.activeElement));
    if (!step || row < 0) return;
    const next = rows[row + step[0]]?.[rows[row].indexOf(document.activeElement) + step[1]];
    if (!next) return;
    event.preventDefault();
    all.forEach((link) => { link.tabIndex = -1; });
    next.tabIndex = 0;
    next.focus();
  });
}

document.addEventListener("click", leaveFrame);
document.addEventListener("click", copy);
document.querySelectorAll("[data-grid]").forEach(moveInGrid);
// Last: whoever sees a theme on the page knows that the rest works as well.
followTheme();
const live = document.querySelector("[data-refresh]");
if (live) setTimeout(() => window.location.reload(), Number(live.dataset.refresh) * 1000);
