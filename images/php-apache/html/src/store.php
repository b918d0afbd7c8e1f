<?php
function store(): PDO
{
    static $pdo = null;
    if ($pdo === null) {
        $pdo = new PDO('sqlite:' . (getenv('DATA_FILE') ?: '/var/www/data/shop.sqlite'));
        $pdo->exec('CREATE TABLE IF NOT EXISTS item (id INTEGER PRIMARY KEY, name TEXT NOT NULL)');
    }
    return $pdo;
}

function all_items(): array
{
    return store()->query('SELECT id, name FROM item ORDER BY id')->fetchAll(PDO::FETCH_ASSOC);
}
