#!/bin/sh
# Runs Nomarr as PUID:PGID, so that what it writes belongs to whoever owns the music.
set -eu

umask "${UMASK:-022}"
nomarr=/opt/nomarr/bin/nomarr

if [ "$(id -u)" != 0 ]; then # the container was started as another user already
    exec "$nomarr" "$@"
fi

number() {
    case $2 in
    '' | *[!0-9]*)
        echo "nomarr: $1 must be a number, as \`id\` prints it" >&2
        exit 2
        ;;
    esac
}
PUID=${PUID:-1000} PGID=${PGID:-1000}
number PUID "$PUID"
number PGID "$PGID"

data=${NOMARR_DATA_DIR:-/data}
mkdir -p "$data"
# Only what belongs to somebody else: the music is never touched here. Some network file systems know no owners; whether
# that will do Nomarr says itself.
find "$data" ! \( -user "$PUID" -group "$PGID" \) -exec chown -h "$PUID:$PGID" {} + || true

export HOME="$data"
exec setpriv --reuid="$PUID" --regid="$PGID" --clear-groups --no-new-privs -- "$nomarr" "$@"
