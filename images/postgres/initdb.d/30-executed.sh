#!/bin/bash
set -e
psql -U "$POSTGRES_USER" -d "$POSTGRES_DB" -c "INSERT INTO started VALUES ('executed')"
