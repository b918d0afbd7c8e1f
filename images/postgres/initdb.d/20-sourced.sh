psql -U "$POSTGRES_USER" -d "$POSTGRES_DB" -c "INSERT INTO started VALUES ('sourced')"
