<?php
declare(strict_types=1);

// One entrance for all pages; each is read when it is asked for.
$page = $_GET['page'] ?? 'home';
match ($page) {
    'home' => require __DIR__ . '/src/home.php',
    'item' => require __DIR__ . '/src/item.php',
    'session' => require __DIR__ . '/src/session.php',
    'upload' => require __DIR__ . '/src/upload.php',
    'text' => require __DIR__ . '/src/text.php',
    'clock' => require __DIR__ . '/src/clock.php',
    'feed' => require __DIR__ . '/src/feed.php',
    'fetch' => require __DIR__ . '/src/fetch.php',
    'locale' => require __DIR__ . '/src/locale.php',
    'crash' => require __DIR__ . '/src/crash.php',
    default => require __DIR__ . '/src/missing.php',
};
