#!/bin/sh
# Says how much space a directory in $ROOT takes, and after each of its entries how many are done.
set -eu

# The schema allows a name without special characters. One that is written with escapes (\u0061) is not found here.
directory=$(tr '\n' ' ' | sed -n 's/.*"directory"[[:space:]]*:[[:space:]]*"\([A-Za-z0-9_-]*\)".*/\1/p')
if [ -z "$directory" ]; then
    echo "the parameters hold no plain name of a directory" >&2
    exit 65 # another attempt would fail, too
fi
if [ ! -d "$ROOT/$directory" ]; then
    printf '{"failure": {"error": "there is no directory %s", "isPermanent": true}}\n' "$directory"
    exit 1
fi

set -- "$ROOT/$directory"/*
[ -e "$1" ] || shift # the directory is empty
entries=$#
kibibytes=0
number=0
for entry in "$@"; do
    size=$(du -sk -- "$entry" | cut -f 1)
    kibibytes=$((kibibytes + size))
    number=$((number + 1))
    printf '{"progress": {"percent": %d, "message": "%d of %d entries"}}\n' $((number * 100 / entries)) "$number" "$entries"
done
printf '{"result": {"kibibytes": %d, "entries": %d}}\n' "$kibibytes" "$entries"
