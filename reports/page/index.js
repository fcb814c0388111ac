"use strict";
/* Looks at the runs again while one runs, and changes only what changed: ticks, focus and place on the page stay. */
const list = document.getElementById("runs"), told = document.getElementById("told");

function renew(found) {
  const gone = new Map([...list.children].map((one) => [one.dataset.run, one]));
  [...found.children].forEach((section, at) => {
    const own = gone.get(section.dataset.run);
    gone.delete(section.dataset.run);
    if (!own) list.insertBefore(section, list.children[at] || null);
    else if (!own.querySelector("input") !== !section.querySelector("input")) own.replaceWith(section); /* it has finished */
    else own.querySelector("pre").textContent = section.querySelector("pre").textContent;
  });
  for (const one of gone.values()) one.remove();
}
async function look() {
  try {
    const answer = await fetch("/", { cache: "no-store" });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html"), found = page.getElementById("runs");
    renew(found);
    list.dataset.refresh = found.dataset.refresh;
    told.textContent = page.getElementById("told").textContent;
  } catch (error) {
    told.textContent = "harness serve does not answer any more; what stands here is its last word.";
  }
  again();
}
function again() {
  const seconds = Number(list.dataset.refresh);
  if (seconds) setTimeout(look, 1000 * seconds);
}

again();
