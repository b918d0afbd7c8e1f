<?php
http_response_code(404);
readfile(__DIR__ . '/../views/404.html');
