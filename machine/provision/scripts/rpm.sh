# shellcheck shell=dash
# What dnf and zypper have in common.
pkg_installed() {
	rpm -q "$1" >/dev/null 2>&1
}

pkg_versions() {
	rpm -q "$@"
}
