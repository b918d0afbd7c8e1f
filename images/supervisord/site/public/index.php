<?php
// One page for each thing that a small site does.
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
switch ($path) {
    case '/': require __DIR__ . '/../templates/home.php'; break;
    case '/picture':
        $image = imagecreatetruecolor(120, 30);
        imagettftext($image, 12, 0, 5, 20, imagecolorallocate($image, 255, 255, 255), '/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf', 'hello');
        header('Content-Type: image/png'); imagepng($image); break;
    case '/price': echo (new NumberFormatter($_GET['l'] ?? 'de_DE', NumberFormatter::CURRENCY))->formatCurrency(1234.5, 'EUR'); break;
    case '/when': echo (new DateTime('2024-07-01 12:00', new DateTimeZone($_GET['z'] ?? 'Asia/Tokyo')))->format('c T'); break;
    case '/notes':
        $db = new PDO('sqlite:/var/lib/site/notes.db'); $db->setAttribute(PDO::ATTR_ERRMODE, PDO::ERRMODE_EXCEPTION);
        $db->exec('CREATE TABLE IF NOT EXISTS notes (text TEXT)');
        if ($_SERVER['REQUEST_METHOD'] === 'POST') { $db->prepare('INSERT INTO notes VALUES (?)')->execute([file_get_contents('php://input')]); }
        header('Content-Type: application/json'); echo json_encode($db->query('SELECT text FROM notes')->fetchAll(PDO::FETCH_COLUMN), JSON_UNESCAPED_UNICODE); break;
    case '/zip':
        $zip = new ZipArchive(); $zip->open('/tmp/a.zip', ZipArchive::CREATE); $zip->addFromString('a.txt', 'hi'); $zip->close(); echo filesize('/tmp/a.zip') > 20 ? 'zipped' : 'no'; break;
    case '/xml': $d = new DOMDocument(); $d->loadXML('<a><b>x</b></a>'); echo (new DOMXPath($d))->evaluate('string(//b)'); break;
    case '/self': $c = curl_init('http://127.0.0.1/xml'); curl_setopt($c, CURLOPT_RETURNTRANSFER, true); echo curl_exec($c); break;
    case '/mb': echo mb_convert_encoding("gr\xfc\xdfe", 'UTF-8', 'ISO-8859-1'), ' ', iconv('KOI8-R', 'UTF-8', "\xc1\xc2"); break;
    case '/boom': throw new RuntimeException('boom');
    default: http_response_code(404); require __DIR__ . '/../templates/missing.php';
}
