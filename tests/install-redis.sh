#!/bin/sh
# Install the program redis-server with the package manager of this system, as root or by sudo without a password.
set -eu

if [ "$(id -u)" = 0 ]; then
    as_root=
elif sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    as_root=no
fi

give_up() {
    echo "The tests need the program redis-server (or valkey-server under that name), and $1." >&2
    echo "Install it and try again, for example: $2" >&2
    exit 1
}

needs_root() {
    [ "$as_root" != no ] || give_up "only root can install it here" "sudo $1"
    echo "installing redis-server: $1"
}

if command -v brew >/dev/null; then
    brew install --quiet redis
elif command -v apt-get >/dev/null; then
    needs_root "apt-get install redis-server"
    $as_root apt-get update -qq
    $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -qq --yes --no-install-recommends redis-server >/dev/null
elif command -v dnf >/dev/null; then
    needs_root "dnf install redis"
    $as_root dnf install --quiet --assumeyes redis || $as_root dnf install --quiet --assumeyes valkey-compat-redis
elif command -v apk >/dev/null; then
    needs_root "apk add redis"
    $as_root apk add --quiet redis
else
    give_up "this system's package manager is none of apt-get, brew, dnf, apk" "https://redis.io/docs/install"
fi

command -v redis-server >/dev/null || give_up "the package that was installed has none" "from https://redis.io"
