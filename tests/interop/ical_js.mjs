// What ical.js (Thunderbird's reader) finds in calendars: standard input has [[text, from, to], …], standard output for
// each its instances that begin in the span, or why it found none, as a text.
import fs from "node:fs";
import ICAL from "ical.js";

const shown = (time) => (time.isDate ? time.toString() : time.toJSDate().toISOString());
// A rule that yields nothing would be walked until its end of time.
const MOST = 20000;

function instances(text, from, to) {
  const calendar = new ICAL.Component(ICAL.parse(text));
  ICAL.TimezoneService.reset();
  for (const zone of calendar.getAllSubcomponents("vtimezone")) ICAL.TimezoneService.register(zone);
  const start = new Date(from), end = new Date(to), found = [];

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
    let steps = 0;
    for (let next = walk.next(); next && next.toJSDate() < new Date(end.getTime() + 40 * 86400e3); next = walk.next()) {
      if (++steps > MOST) throw new Error("too many instances");
      const one = event.getOccurrenceDetails(next);
      take(one.item, one.startDate, one.endDate);
    }
  }
  return found;
}

const answers = JSON.parse(fs.readFileSync(0, "utf8")).map((question) => {
  try {
    return instances(...question);
  } catch (error) {
    return String(error);
  }
});
process.stdout.write(JSON.stringify(answers));
