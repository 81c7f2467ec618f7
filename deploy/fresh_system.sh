#!/usr/bin/env bash
# Proves README's two commands on a fresh Debian: makes a root with debootstrap, clones this repository's HEAD into it, and runs
# deploy/steps.sh there as an ordinary user, without chromium, PostgreSQL or R. Needs root, debootstrap and some 15 GB.
#
#   deploy/fresh_system.sh SUITE [--mirror URL] [--folder FOLDER] [--bind FOLDER]... [--test] [--keep]
#
# SUITE: bookworm (Python 3.11) or trixie (3.13). --mirror: else the first one of this machine's apt sources. --bind: folders of this
# machine that the package index needs, shown inside under the same path, to be read only. --test: README's second command too.
# --keep: leave the root where it is (FOLDER, else a temporary one). Settings of pip (PIP_*, pip.conf), proxies and certificates of
# this machine hold inside, too.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
suite=${1:-}
case "$suite" in
  bookworm | trixie) shift ;;
  *)
    sed -n 's/^#   /usage: /p' "$0" >&2
    exit 2
    ;;
esac
mirror='' folder='' tests='' keep='' binds=()
while [ $# -gt 0 ]; do
  case "$1" in
    --mirror) mirror=$2 && shift 2 ;;
    --folder) folder=$2 && shift 2 ;;
    --bind) binds+=("$2") && shift 2 ;;
    --test) tests=1 && shift ;;
    --keep) keep=1 && shift ;;
    *) echo "'$1' means nothing here; see the head of $0." >&2 && exit 2 ;;
  esac
done
[ "$(id -u)" = 0 ] || { echo "debootstrap needs root: run this as root, or with sudo." >&2 && exit 2; }
command -v debootstrap >/dev/null || { echo "debootstrap is missing: apt-get install debootstrap" >&2 && exit 2; }
if [ -z "$mirror" ]; then
  mirror=$(sed -nE 's/^(URIs:|deb( \[[^]]*\])?) +(https?:[^ ]+).*/\3/p' /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
    grep -v security | head -n 1 || true)
fi
mirror=${mirror:-http://deb.debian.org/debian}
folder=${folder:-$(mktemp -d)}
mkdir -p "$folder"
root=$folder/$suite
mounted=()
tidy() {
  for ((i = ${#mounted[@]} - 1; i >= 0; i--)); do umount -l "${mounted[i]}" || true; done
  # never through a mount that is left
  if [ -z "$keep" ] && ! grep -q " $root/" /proc/mounts; then rm -rf --one-file-system "$root"; fi
}
trap tidy EXIT
say() { printf '\n== %s (%s s)\n' "$1" "$SECONDS"; }
show() { # a folder of this machine inside the root
  mkdir -p "$root$2"
  mount --bind ${3:+-o "$3"} "$1" "$root$2"
  mounted+=("$root$2")
}

say "A fresh $suite from $mirror"
debootstrap --variant=minbase "$suite" "$root" "$mirror" >"$folder/debootstrap.log" 2>&1 || {
  tail -n 5 "$folder/debootstrap.log" >&2
  exit 1
}
mount -t proc proc "$root/proc" && mounted+=("$root/proc")
show /dev /dev
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm" && mounted+=("$root/dev/shm")
mount -t devpts devpts "$root/dev/pts" && mounted+=("$root/dev/pts")
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
printf '127.0.0.1 localhost\n::1 localhost\n' >"$root/etc/hosts" # an installer writes it, debootstrap does not
for path in "${binds[@]}"; do show "$path" "$path" ro; done

chroot "$root" useradd --create-home --shell /bin/sh liminal
git clone --quiet --no-hardlinks "file://$here" "$root/home/liminal/liminal"
settings=()
for name in $(compgen -e | grep -E '^(PIP_|LIMINAL_AUDIT|(http|https|no)_proxy$|(HTTP|HTTPS|NO)_PROXY$|SSL_CERT_FILE$|REQUESTS_CA_BUNDLE$)' || true); do
  settings+=("$name=${!name}")
done
for file in /etc/pip.conf "$HOME/.config/pip/pip.conf"; do
  if [ -f "$file" ]; then
    target=$root/etc/pip.conf
    [ "$file" = /etc/pip.conf ] || target=$root/home/liminal/.config/pip/pip.conf
    mkdir -p "$(dirname "$target")"
    cp "$file" "$target"
  fi
done
chroot "$root" chown -R liminal:liminal /home/liminal
user() { chroot --userspec=liminal:liminal "$root" env -i HOME=/home/liminal USER=liminal LANG=C.UTF-8 PATH=/usr/bin:/bin "${settings[@]}" "$@"; }

say "What README asks of a system"
chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "${settings[@]}" /home/liminal/liminal/deploy/steps.sh system
if [ -f /etc/ssl/certs/ca-certificates.crt ]; then cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"; fi
chroot "$root" python3 --version

say "README's first command, as an ordinary user"
user sh -c 'cd ~/liminal && deploy/steps.sh app'
say "A second start installs nothing, and the app answers"
user sh -c 'cd ~/liminal && deploy/steps.sh app
  LIMINAL_PORT=8599 deploy/steps.sh open >/tmp/app.log 2>&1 & app=$!
  for second in $(seq 90); do
    if .venv/bin/python -c "import urllib.request as r; print(r.urlopen(\"http://127.0.0.1:8599/_stcore/health\").read().decode())" 2>/dev/null
    then kill "$app"; exit 0; fi
    sleep 1
  done
  cat /tmp/app.log; kill "$app"; exit 1'
if [ -n "$tests" ]; then
  say "README's second command"
  user sh -c 'cd ~/liminal && deploy/steps.sh test'
fi
say "$suite: done"
