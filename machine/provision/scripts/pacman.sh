# shellcheck shell=dash disable=SC2154,SC2034
# Packages, Arch's way.
pkg_lock_text='unable to lock database|could not lock database'

pkg_environment() {
	:
}

pkg_refresh() {
	pacman -Sy --noconfirm --noprogressbar
}

pkg_add_source() {
	:
}

pkg_install() {
	pacman -S --noconfirm --noprogressbar --needed "$@"
}

pkg_upgrade() {
	pkg_install "$@"
}

pkg_purge() {
	pacman -R --noconfirm --noprogressbar "$@"
}

pkg_installed() {
	pacman -Q "$1" >/dev/null 2>&1
}

pkg_versions() {
	pacman -Q "$@"
}
