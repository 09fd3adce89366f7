// Keeps the progress of a run up to date, and shows the finished page when it is through.
const PACE_MS = 1000;
const LONGEST_PACE_MS = 15000;

function follow(panel) {
  const part = (name) => panel.querySelector(`[data-progress="${name}"]`);
  const say = (name, text) => {
    // A screen reader says what changes: so nothing is written that is there already.
    if (part(name).textContent !== text) part(name).textContent = text;
  };
  let pace = PACE_MS;

  async function look() {
    if (document.hidden) return later();
    try {
      const answer = await fetch(panel.dataset.progressUrl, { headers: { Accept: "application/json" } });
      // Signed out, or the run is gone: the page itself will say so.
      if (answer.redirected || !answer.ok) return window.location.reload();
      const now = await answer.json();
      say("state", now.state);
      say("words", now.words);
      say("left", now.left);
      part("share").value = now.share;
      if (now.finished) return window.location.reload();
      pace = PACE_MS;
    } catch {
      pace = Math.min(pace * 2, LONGEST_PACE_MS);
    }
    return later();
  }

  function later() {
    window.setTimeout(look, pace);
  }

  later();
}

for (const panel of document.querySelectorAll("[data-progress-url]")) follow(panel);
