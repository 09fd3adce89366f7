// What ical.js (Thunderbird's reader) finds in a feed: instances in a span, as JSON.
import fs from "node:fs";
import ICAL from "ical.js";

const [file, from, to] = process.argv.slice(2);
const calendar = new ICAL.Component(ICAL.parse(fs.readFileSync(file, "utf8")));
ICAL.TimezoneService.reset();
for (const zone of calendar.getAllSubcomponents("vtimezone")) ICAL.TimezoneService.register(zone);
const start = new Date(from), end = new Date(to), found = [];
const shown = (time) => (time.isDate ? time.toString() : time.toJSDate().toISOString());

function take(item, begins, ends) {
  const at = begins.isDate ? new Date(begins.toString() + "T00:00:00Z") : begins.toJSDate();
  if (at >= start && at < end) found.push([shown(begins), shown(ends), item.summary]);
}

const events = calendar.getAllSubcomponents("vevent").map((component) => new ICAL.Event(component));
const masters = new Map();
for (const event of events) if (!event.isRecurrenceException()) masters.set(event.uid, event);
for (const event of events) {
  if (event.isRecurrenceException()) masters.get(event.uid).relateException(event);
}
for (const event of masters.values()) {
  if (!event.isRecurring()) {
    take(event, event.startDate, event.endDate);
    continue;
  }
  const walk = event.iterator();
  for (let next = walk.next(); next && next.toJSDate() < new Date(end.getTime() + 40 * 86400e3); next = walk.next()) {
    const one = event.getOccurrenceDetails(next);
    take(one.item, one.startDate, one.endDate);
  }
}
console.log(JSON.stringify(found));
