<?php
// What sabre/vobject (Nextcloud's and Baikal's reader) finds in calendars: standard input has [[text, from, to], …],
// standard output for each its instances in the span, or why it found none, as a text.
$classes = ["Sabre/VObject/includes.php", "Sabre/VObject/autoload.php"];
foreach ($classes as $file) if (stream_resolve_include_path($file)) { require_once $file; break; }

function instances($text, $from, $to) {
    $calendar = Sabre\VObject\Reader::read($text);
    $expanded = $calendar;
    $result = $expanded->expand(new DateTime($from), new DateTime($to));
    if ($result) $expanded = $result;
    $utc = new DateTimeZone("UTC");
    $found = [];
    // Version 2 leaves these two escaped.
    foreach ($expanded->select("VEVENT") as $event) {
        $start = $event->DTSTART->getDateTime();
        $whole = !$event->DTSTART->hasTime();
        if (isset($event->DTEND)) $end = $event->DTEND->getDateTime();
        elseif (isset($event->DURATION)) { $end = clone $start; $end->add(Sabre\VObject\DateTimeParser::parse((string)$event->DURATION)); }
        else { $end = clone $start; if ($whole) $end->modify("+1 day"); }
        $form = $whole ? "Y-m-d" : "Y-m-d\\TH:i:s\\Z";
        $show = function ($time) use ($whole, $utc, $form) {
            $time = clone $time;
            if (!$whole) $time->setTimezone($utc);
            return $time->format($form);
        };
        $found[] = [$show($start), $show($end), str_replace(["\\,", "\\;"], [",", ";"], (string)$event->SUMMARY)];
    }
    return $found;
}

$answers = [];
foreach (json_decode(stream_get_contents(STDIN)) as $question) {
    try { $answers[] = instances(...$question); } catch (Throwable $error) { $answers[] = $error->getMessage(); }
}
echo json_encode($answers);
