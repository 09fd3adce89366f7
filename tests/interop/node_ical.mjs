// What node-ical finds in a feed: instances in a span, as JSON.
import fs from "node:fs";
import ical from "node-ical";

const [file, from, to] = process.argv.slice(2);
const start = new Date(from), end = new Date(to), found = [];
const two = (number) => String(number).padStart(2, "0");
// Dates are midnight of this machine's zone, which is set to UTC.
const shown = (time, whole) =>
  whole ? `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}` : new Date(time).toISOString();

for (const event of Object.values(ical.sync.parseICS(fs.readFileSync(file, "utf8")))) {
  if (event.type !== "VEVENT") continue;
  for (const one of ical.expandRecurringEvent(event, { from: start, to: end })) {
    if (one.start >= start && one.start < end) {
      found.push([shown(one.start, one.isFullDay), shown(one.end, one.isFullDay), String(one.summary?.val ?? one.summary)]);
    }
  }
}
console.log(JSON.stringify(found));
