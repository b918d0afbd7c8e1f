#!/bin/bash
set -e
mariadb -uroot -p"$MARIADB_ROOT_PASSWORD" -e "INSERT INTO own.started VALUES ('executed')"
