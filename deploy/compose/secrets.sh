#!/bin/sh
# Makes the secrets of compose.yaml that are not there yet. As root, since each file is given to the user of the container that reads it.
set -eu
umask 077
mkdir -p "$(dirname "$0")/secrets"
cd "$(dirname "$0")/secrets"

# A first start makes a root key; the rest of that start is thrown away.
if [ ! -e root.key ]; then
    made=$(mktemp -d)
    trap 'rm -rf "$made"' EXIT
    "${STRONGROOM:-strongroom}" seed --data-dir "$made/data" /dev/null > /dev/null
    cp "$made/data/root.key" root.key
fi
if [ ! -e database-password ]; then
    head -c 24 /dev/urandom | base64 | tr '+/' '-_' > database-password
fi
[ -e postgres-password ] || cp database-password postgres-password

# 65532 is the image's user, 999 that of postgres.
chown 65532:65532 root.key database-password
chown 999:999 postgres-password
chmod 600 root.key database-password postgres-password
