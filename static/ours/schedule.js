// The schedule page: hands the calendar view the entries that the service drew, in wall times of the zone chosen.
"use strict";

(() => {
  const settings = JSON.parse(document.getElementById("schedule-settings").textContent);
  const status = document.getElementById("schedule-status");
  const words = settings.words;
  const address = new URL(window.location.href);
  const several = settings.users.length > 1;
  const views = several
    ? { resourceTimelineDay: words.day, resourceTimelineWeek: words.week }
    : { timeGridWeek: words.week, dayGridMonth: words.month, listWeek: words.agenda };
  const narrow = window.matchMedia("(max-width: 40rem)").matches;
  const first = several ? "resourceTimelineDay" : narrow ? "listWeek" : "timeGridWeek";

  // The page's language, as the viewer's country writes it.
  const locale = navigator.languages.find((language) => language.split("-")[0] === settings.locale) ?? settings.locale;

  async function entries({ startStr, endStr }) {
    const asked = new URL(settings.entries, window.location.href);
    for (const user of settings.users) asked.searchParams.append("user", user.id);
    asked.searchParams.set("time_zone", settings.zone);
    // Wall times: what the service draws has no offset either.
    asked.searchParams.set("start", startStr.slice(0, 19));
    asked.searchParams.set("end", endStr.slice(0, 19));
    try {
      const answer = await fetch(asked, { headers: { Accept: "application/json" }, credentials: "same-origin" });
      const said = await answer.json();
      status.textContent = answer.ok ? "" : said.error;
      return answer.ok ? said : [];
    } catch {
      status.textContent = words.failed;
      return [];
    }
  }

  // Kept in the address, so that a reload, a bookmark and a colleague see the same.
  function remember({ startStr, endStr, view }) {
    const middle = new Date((Date.parse(startStr.slice(0, 10)) + Date.parse(endStr.slice(0, 10))) / 2);
    address.searchParams.set("view", view.type);
    address.searchParams.set("date", middle.toISOString().slice(0, 10));
    window.history.replaceState(null, "", address);
    for (const [name, value] of [["view", view.type], ["date", address.searchParams.get("date")]]) {
      const form = document.getElementById("schedule-form");
      const field = form.elements.namedItem(name) || form.appendChild(
        Object.assign(document.createElement("input"), { type: "hidden", name }),
      );
      field.value = value;
    }
  }

  // A link to the row behind the entry: it can be tabbed to, and opened beside this page.
  function linked({ title, allDay, start, end, extendedProps: { row, day, where, counts } }, timeText) {
    const link = document.createElement("a");
    // Half an hour has room for one line.
    link.className = end - start > 30 * 60_000 ? "schedule-entry" : "schedule-entry short";
    link.href = settings.block.replace("/0/", `/${row}/`);
    link.title = [title, where, counts].filter(Boolean).join("\n");
    const spoken = new Date(day).toLocaleDateString(locale, { dateStyle: "full", timeZone: "UTC" });
    for (const [name, text] of [["ec-event-time", allDay ? "" : timeText], ["ec-event-title", title], ["spoken", spoken]]) {
      const part = link.appendChild(document.createElement("span"));
      part.className = name;
      part.textContent = text;
    }
    return link;
  }

  // What the calendar view says of itself to screen readers does not hold together: tables without cells, lists without
  // items, headings that skip a level. Links that say their day and time do without.
  const roles = ["table", "rowgroup", "row", "rowheader", "columnheader", "cell", "gridcell", "list", "listitem"];
  const misleading = roles.map((role) => `[role=${role}]`).join(",");
  const calendar = document.getElementById("schedule");
  const surroundings = document.getElementById("schedule-box");
  new MutationObserver(() => {
    for (const part of surroundings.querySelectorAll(misleading)) part.removeAttribute("role");
    for (const part of calendar.querySelectorAll("[aria-colindex], [aria-rowindex]")) {
      part.removeAttribute("aria-colindex");
      part.removeAttribute("aria-rowindex");
    }
    for (const heading of calendar.querySelectorAll("h4:not([aria-level])")) heading.setAttribute("aria-level", "3");
    calendar.querySelector("nav:not([aria-label])")?.setAttribute("aria-label", words.turn);
    // It scrolls, also by the keyboard.
    calendar.querySelector(".ec-main:not([tabindex])")?.setAttribute("tabindex", "0");
  }).observe(surroundings, { childList: true, subtree: true, attributes: true, attributeFilter: ["role"] });

  // Unfold writes the theme on the page's root; the calendar view has a class of its own for it.
  const themed = () =>
    calendar.classList.toggle("ec-dark", document.documentElement.classList.contains("dark"));
  new MutationObserver(themed).observe(document.documentElement, { attributeFilter: ["class"] });
  themed();

  const wanted = address.searchParams.get("view");
  const date = address.searchParams.get("date");
  const day = { weekday: "short", day: "numeric", month: "numeric" };
  EventCalendar.create(calendar, {
    view: wanted in views ? wanted : first,
    date: /^\d{4}-\d\d-\d\d$/.test(date ?? "") ? date : undefined,
    locale,
    timeZone: settings.offset,
    firstDay: 1,
    height: several ? undefined : "72vh",
    scrollTime: "07:30:00",
    nowIndicator: true,
    slotHeight: 28,
    dayMaxEvents: true,
    slotEventOverlap: false,
    editable: false,
    eventStartEditable: false,
    eventDurationEditable: false,
    dayHeaderFormat: several ? undefined : { weekday: "short", day: "numeric" },
    views: {
      dayGridMonth: { dayHeaderFormat: { weekday: "short" }, dayMaxEvents: 4, height: "auto" },
      listWeek: { listDayFormat: day },
    },
    headerToolbar: { start: "prev,next today", center: "title", end: Object.keys(views).join(",") },
    buttonText: {
      today: words.today,
      prev: words.previous,
      next: words.next,
      close: words.close,
      ...views,
    },
    allDayContent: words.allDay,
    noEventsContent: words.none,
    moreLinkContent: (more) => words.more.replace("%s", more.num),
    resources: several ? settings.users : [],
    eventSources: [{ events: entries }],
    lazyFetching: true,
    datesSet: remember,
    eventContent: several ? undefined : ({ event, timeText }) => ({ domNodes: [linked(event, timeText)] }),
  });
})();
