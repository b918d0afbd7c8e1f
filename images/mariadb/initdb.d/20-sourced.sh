sql <<< "INSERT INTO own.started VALUES ('sourced')"
