<?php
require_once __DIR__ . '/store.php';
header('Content-Type: application/json');
if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    $item = json_decode(file_get_contents('php://input'), true);
    if (!is_array($item) || !isset($item['name'])) {
        http_response_code(400);
        echo json_encode(['error' => json_last_error_msg()]);
        return;
    }
    $insert = store()->prepare('INSERT INTO item (name) VALUES (?)');
    $insert->execute([$item['name']]);
    http_response_code(201);
    echo json_encode(['id' => (int) store()->lastInsertId()]);
    return;
}
echo json_encode(all_items(), JSON_UNESCAPED_UNICODE);
