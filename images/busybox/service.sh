# Read by the service and by its pages.
notes=/data/notes

say() {
    echo "$(date -u +%Y) service: $*" | sed 's/^[0-9]* //' >&2
}

count() {
    if [ -f "$notes" ]; then wc -l < "$notes" | tr -d ' '; else echo 0; fi
}

report() {
    [ -f "$notes" ] || { say "nothing to report"; return 3; }
    sort "$notes" | uniq -c | sort -rn | awk '{ printf "%s times %s\n", $1, $2 }'
    md5sum < "$notes" | cut -c 1-32
}
