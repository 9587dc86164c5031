# shellcheck shell=bash disable=SC2034
# Set-up shared by ./run and ./test: packages and builds. Sourced, not run; needs bash.
# Quick when nothing is missing: one dpkg-query and one incremental build.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

BUILD_PACKAGES=(cmake ninja-build gcc libc6-dev pkg-config libuv1-dev libcurl4-openssl-dev libjansson-dev
  librabbitmq-dev libinih-dev libarchive-dev libssl-dev libcmocka-dev uthash-dev node-llhttp curl
  python3 ca-certificates)
LINT_PACKAGES=(clang clang-format clang-tidy)

# What the lab needs, by program: a machine with Docker from another source keeps it.
LAB_PROGRAMS=(dockerd:docker.io docker:docker.io nsenter:util-linux ip:iproute2 nft:nftables
  iptables:iptables python3:python3)
TEST_PROGRAMS=(docker-compose:docker-compose fping:fping jq:jq
  /usr/lib/rabbitmq/bin/rabbitmq-server:rabbitmq-server /usr/sbin/sshd:openssh-server
  ssh:openssh-client openssl:openssl systemd-analyze:systemd setpriv:util-linux
  dpkg-shlibdeps:dpkg-dev file:file)
TEST_PACKAGES=(python3-pika)

# Units that some of these packages would start now and at every boot.
SERVICE_UNITS=(docker.service docker.socket containerd.service rabbitmq-server.service
  epmd.service epmd.socket ssh.service ssh.socket)

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "this needs root and there is no sudo: run it as root ($*)"
  fi
}

missing_packages() {
  local package
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
      printf '%s\n' "$package"
  done
}

packages_of_missing_programs() {
  local entry
  for entry in "$@"; do
    PATH=$PATH:/usr/sbin:/sbin command -v "${entry%%:*}" >/dev/null || printf '%s\n' "${entry#*:}"
  done | sort -u
}

# Installs packages without letting any of them start a service: a Docker Engine in the machine's
# own network namespace would change its firewall and forwarding.
install_packages() (
  guard=/usr/sbin/policy-rc.d old_units=' '
  for unit in "${SERVICE_UNITS[@]}"; do
    if systemctl cat "$unit" >/dev/null 2>&1; then old_units+="$unit "; fi
  done
  if [ ! -e "$guard" ]; then
    trap 'as_root rm -f "$guard"' EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$guard" >/dev/null
    as_root chmod 755 "$guard"
  fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" \
    >/dev/null
  for unit in "${SERVICE_UNITS[@]}"; do
    if [[ $old_units != *" $unit "* ]] && systemctl cat "$unit" >/dev/null 2>&1; then
      as_root systemctl disable --quiet "$unit" 2>/dev/null || true
      say "installed, but neither started nor enabled: $unit"
    fi
  done
)

# ensure_packages PACKAGE...: what is missing of them is installed.
ensure_packages() {
  local missing
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    say "no apt on this system: going on without installing. Needed are the equivalents of"
    say "  $*"
    return
  fi
  mapfile -t missing < <(missing_packages "$@")
  if [ ${#missing[@]} -eq 0 ]; then return; fi
  say "installing: ${missing[*]}"
  install_packages "${missing[@]}"
}

# ensure_lab [PROGRAM:PACKAGE...]: what the lab needs, and those programs.
ensure_lab() {
  local packages
  mapfile -t packages < <(packages_of_missing_programs "${LAB_PROGRAMS[@]}" "$@")
  ensure_packages busybox-static "${packages[@]}"
}

# build PRESET [quiet]: configures if need be and builds; on failure the compiler's output is shown.
build() {
  local log
  log=$(mktemp)
  if ! (cd "$root" && { [ -f "$(preset_dir "$1")/build.ninja" ] || cmake --preset "$1"; } &&
        cmake --build --preset "$1" --parallel "$(nproc)") >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    return 1
  fi
  rm -f "$log"
}

preset_dir() {
  if [ "$1" = release ]; then echo "$root/build"; else echo "$root/build-$1"; fi
}
