<?php
$file = $_FILES['file'] ?? null;
if ($file === null || $file['error'] !== UPLOAD_ERR_OK) {
    http_response_code(400);
    echo "no file\n";
    return;
}
move_uploaded_file($file['tmp_name'], '/var/www/data/' . basename($file['name']));
echo $file['name'], ' ', hash_file('sha256', '/var/www/data/' . basename($file['name'])), "\n";
