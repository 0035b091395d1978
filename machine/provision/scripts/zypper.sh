# shellcheck shell=dash disable=SC2154,SC2034
# Packages, SUSE's way.
pkg_lock_text='System management is locked|transaction lock'

pkg_environment() {
	export ZYPP_LOCK_TIMEOUT=300
}

pkg_refresh() {
	zypper -n refresh
}

# pkg_add_source PRODUCT: a module of SUSE's, for a system that is registered; others may have it from elsewhere.
pkg_add_source() {
	[ "$1" ] && command -v SUSEConnect >/dev/null || return 0
	# shellcheck disable=SC1091
	pkg_release=$(. /etc/os-release && echo "$VERSION_ID")
	SUSEConnect -p "$1/$pkg_release/$(uname -m)" || :
}

pkg_install() {
	zypper -n install "$@"
}

pkg_upgrade() {
	zypper -n update "$@"
}

pkg_purge() {
	zypper -n remove "$@"
}
