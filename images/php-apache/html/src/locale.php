<?php
$number = new NumberFormatter('de_DE', NumberFormatter::DECIMAL);
$words = ['Zebra', 'Äpfel', 'apfel'];
(new Collator('de_DE'))->sort($words);
echo $number->format(1234567.891), ' ', implode(' ', $words), ' ', Normalizer::normalize("a\u{308}"), "\n";
