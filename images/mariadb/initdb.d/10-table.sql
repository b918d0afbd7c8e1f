CREATE TABLE started (origin varchar(20)); INSERT INTO started VALUES ('plain');
