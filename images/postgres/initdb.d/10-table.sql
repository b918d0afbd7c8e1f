CREATE TABLE started (origin text); INSERT INTO started VALUES ('plain');
