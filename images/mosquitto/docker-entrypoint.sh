#!/bin/sh
# The data belongs to the broker's user, whoever mounted it.
set -e

if [ "$(id -u)" = 0 ] && [ -d /mosquitto/data ]; then
    chown -R mosquitto:mosquitto /mosquitto/data
fi
exec "$@"
