<?php
$curl = curl_init('http://127.0.0.1/assets/site.css');
curl_setopt($curl, CURLOPT_RETURNTRANSFER, true);
$text = curl_exec($curl);
echo curl_getinfo($curl, CURLINFO_RESPONSE_CODE), ' ', strlen((string) $text), ' ', curl_error($curl), "\n";
