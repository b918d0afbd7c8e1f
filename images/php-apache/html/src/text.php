<?php
$text = $_GET['text'] ?? 'Grüße';
echo mb_strtoupper($text), ' ', mb_strlen($text), ' ', bin2hex(mb_convert_encoding($text, 'SJIS', 'UTF-8')), ' ';
echo iconv('UTF-8', 'ISO-8859-1', 'é') === "\xe9" ? 'iconv' : 'no iconv', ' ', preg_replace('/\p{Lu}/u', '*', $text), ' ';
echo number_format(1234567.891, 2), ' ', strlen(random_bytes(8)), ' ', password_verify('a', password_hash('a', PASSWORD_BCRYPT)) ? 'verified' : 'not verified', "\n";
