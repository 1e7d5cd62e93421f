#!/bin/sh
# Install a program that the tests need, with the package manager of this system, as root or by sudo without a password.
# Usage: sh tests/install.sh PROGRAM
set -eu

program=${1:-}
case $program in
redis-server) apt=redis-server brew=redis dnf=redis apk=redis ;;
chromium)
    apt="chromium-headless-shell fonts-dejavu-core" brew="--cask chromium"
    dnf="chromium dejavu-sans-fonts" apk="chromium font-dejavu"
    ;;
promtool) apt=prometheus brew=prometheus dnf=golang-github-prometheus apk=prometheus ;;
nginx) apt=nginx-light brew=nginx dnf=nginx-core apk=nginx ;;
node) apt="nodejs node-ws" brew=node dnf=nodejs apk=nodejs ;;
haproxy | curl) apt=$program brew=$program dnf=$program apk=$program ;;
faketime) apt=faketime brew=libfaketime dnf=libfaketime apk=libfaketime ;;
gcc) apt="gcc libc6-dev" brew=gcc dnf=gcc apk="gcc musl-dev" ;;
shellcheck) apt=shellcheck brew=shellcheck dnf=ShellCheck apk=shellcheck ;;
*) echo "usage: $0 redis-server|chromium|promtool|nginx|haproxy|node|gcc|curl|faketime|shellcheck" >&2 && exit 2 ;;
esac

if [ "$(id -u)" = 0 ]; then
    as_root=
elif sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    as_root=no
fi

give_up() {
    echo "The tests need the program $program, and $1." >&2
    echo "Install it and try again$2" >&2
    exit 1
}

needs_root() {
    [ "$as_root" != no ] || give_up "only root can install it here" ", for example: sudo $1"
    echo "installing $program: $1"
}

# Debian's package starts a server when it is installed. Only its programs are wanted, and only here: no need to be root,
# unless the lists of packages are missing.
# shellcheck disable=SC2086
take_out_of_the_package() {
    programs=$(cd "$(dirname "$0")/.." && pwd)/.venv/bin
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    cd "$folder"
    echo "installing $program: apt-get download $apt"
    if ! apt-get download -qq $apt 2>/dev/null; then
        needs_root "apt-get update"
        $as_root apt-get update -qq
        apt-get download -qq $apt 2>/dev/null || give_up "apt-get download $apt failed" ""
    fi
    dpkg -x ./*.deb .
    mkdir -p "$programs"
    cp usr/bin/promtool usr/bin/prometheus "$programs"
}

# Without the services that some packages start: only the programs are wanted, and their ports may be needed.
# shellcheck disable=SC2086
install_packages() {
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap '$as_root rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
        $as_root chmod 755 "$policy"
    fi
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends $apt >/dev/null
}

# The lists of packages are split into words on purpose.
# shellcheck disable=SC2086
if command -v brew >/dev/null; then
    brew install --quiet $brew
elif command -v apt-get >/dev/null && [ "$program" = promtool ]; then
    take_out_of_the_package
elif command -v apt-get >/dev/null; then
    needs_root "apt-get install $apt"
    # Lists of packages that are there will do, unless they are too old.
    install_packages 2>/dev/null || {
        $as_root apt-get update -qq
        install_packages
    } || {
        # Debian alone has the small one, since 2024.
        [ "$program" = chromium ] && apt="chromium fonts-dejavu-core" && install_packages
    } || give_up "apt-get install $apt failed" ""
elif command -v dnf >/dev/null; then
    needs_root "dnf install $dnf"
    $as_root dnf install --quiet --assumeyes $dnf ||
        { [ "$program" = redis-server ] && $as_root dnf install --quiet --assumeyes valkey-compat-redis; }
elif command -v apk >/dev/null; then
    needs_root "apk add $apk"
    $as_root apk add --quiet $apk
else
    give_up "this system's package manager is none of apt-get, brew, dnf, apk" ""
fi
