<?php
$zone = new DateTimeZone($_GET['zone'] ?? 'America/New_York');
$time = new DateTimeImmutable('2024-07-01 12:00:00', new DateTimeZone('UTC'));
echo $time->setTimezone($zone)->format('Y-m-d H:i T'), ' ', count(DateTimeZone::listIdentifiers()) > 300 ? 'many' : 'few', "\n";
