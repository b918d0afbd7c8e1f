<!doctype html>
<html lang="en">
<title>Shop</title>
<link rel="stylesheet" href="/assets/site.css">
<h1>Shop</h1>
<ul>
<?php foreach ($items as $item): ?>
  <li><?= htmlspecialchars($item['name']) ?></li>
<?php endforeach ?>
</ul>
</html>
