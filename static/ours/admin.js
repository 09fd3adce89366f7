// Neither styles written into the page nor text run as a script: the Content-Security-Policy forbids the one, and htmx
// needs the other for nothing that is used here.
htmx.config.includeIndicatorStyles = false;
htmx.config.allowEval = false;

// SimpleBar makes every part of a page that scrolls a landmark, and calls all of them "scrollable content".
document.addEventListener("DOMContentLoaded", () => {
  const names = { "nav-sidebar-apps": "Navigation", changelist: "List" };
  let number = 0;
  for (const part of document.querySelectorAll("[data-simplebar]")) {
    const holder = part.closest(Object.keys(names).map((id) => `#${id}`).join(","));
    const name = holder ? names[holder.id] : "Part";
    part.setAttribute("data-simplebar-aria-label", number ? `${name} ${number + 1}` : name);
    number += 1;
  }
});

// Select2's fields have no name of their own: they take that of the field whose place they take.
function nameSelections() {
  for (const select of document.querySelectorAll("select.select2-hidden-accessible")) {
    const label = document.querySelector(`label[for="${CSS.escape(select.id)}"]`);
    const parts = select.nextElementSibling?.querySelectorAll(".select2-selection, .select2-selection__rendered");
    for (const part of label ? parts || [] : []) {
      part.removeAttribute("aria-labelledby");
      part.setAttribute("aria-label", label.textContent.trim());
    }
  }
}
// After everything that waits for the same.
window.addEventListener("load", () => window.django?.jQuery?.(() => window.setTimeout(nameSelections)));
document.addEventListener("formset:added", () => window.setTimeout(nameSelections));
