<?php
require_once __DIR__ . '/store.php';
$items = all_items();
require __DIR__ . '/../views/home.php';
