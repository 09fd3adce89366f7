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
