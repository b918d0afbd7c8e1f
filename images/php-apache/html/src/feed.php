<?php
require_once __DIR__ . '/store.php';
header('Content-Type: application/xml');
$document = new DOMDocument('1.0', 'UTF-8');
$root = $document->appendChild($document->createElement('items'));
foreach (all_items() as $item) {
    $root->appendChild($document->createElement('item'))->textContent = $item['name'];
}
$text = $document->saveXML();
$simple = simplexml_load_string($text);
header('X-Count: ' . count($simple->item));
echo $text;
