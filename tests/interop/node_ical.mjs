// What node-ical (with rrule-temporal) finds in calendars: standard input has [[text, from, to], …], standard output
// for each its instances that begin in the span, or why it found none, as a text.
import fs from "node:fs";
import ical from "node-ical";

const two = (number) => String(number).padStart(2, "0");
// Dates are midnight of this machine's zone, which is set to UTC.
const shown = (time, whole) =>
  whole ? `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}` : new Date(time).toISOString();

function instances(text, from, to) {
  const start = new Date(from), end = new Date(to), found = [];
  for (const event of Object.values(ical.sync.parseICS(text))) {
    if (event.type !== "VEVENT") continue;
    for (const one of ical.expandRecurringEvent(event, { from: start, to: end })) {
      if (one.start >= start && one.start < end) {
        const title = String(one.summary?.val ?? one.summary);
        found.push([shown(one.start, one.isFullDay), shown(one.end, one.isFullDay), title]);
      }
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
