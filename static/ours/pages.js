// What the pages do better with a script; each of them works without.
"use strict";

document.documentElement.classList.add("js");

// Times stand in the page in the user's zone. In a browser that is somewhere else they are told in its own.
function tellTimes() {
  // The page's language, as it is written where the reader is: en-GB, de-AT.
  const page = document.documentElement.lang;
  const language = navigator.languages.find((name) => name.split("-")[0] === page) || page;
  const ways = {
    moment: { dateStyle: "medium", timeStyle: "short" },
    day: { dateStyle: "full" },
    time: { timeStyle: "short" },
  };
  for (const element of document.querySelectorAll("time[data-told]")) {
    const moment = new Date(element.dateTime);
    element.textContent = new Intl.DateTimeFormat(language, ways[element.dataset.told]).format(moment);
  }
}

function copyOnClick() {
  for (const button of document.querySelectorAll("button[data-copies]")) {
    const source = document.getElementById(button.dataset.copies);
    const said = document.getElementById(`${button.dataset.copies}-said`);
    button.addEventListener("click", async () => {
      source.select();
      try {
        await navigator.clipboard.writeText(source.value);
      } catch {
        // Without permission, or not over https: the old way.
        document.execCommand("copy");
      }
      said.textContent = button.dataset.done;
    });
  }
}

// A page that waits for something that happens elsewhere looks again, less and less often.
function lookAgain() {
  const waiting = document.querySelector("[data-looks-again]");
  if (!waiting) return;
  const times = Number(sessionStorage.getItem("looked") || 0);
  if (times > 20) return;
  sessionStorage.setItem("looked", String(times + 1));
  window.setTimeout(() => window.location.replace(window.location.pathname), 1500 + 500 * times);
}

document.addEventListener("DOMContentLoaded", () => {
  tellTimes();
  copyOnClick();
  if (document.querySelector("[data-looks-again]")) lookAgain();
  else sessionStorage.removeItem("looked");
});
