<h1>Home</h1><?php echo htmlspecialchars($_GET["q"] ?? ""); ?>
