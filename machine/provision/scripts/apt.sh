# shellcheck shell=dash disable=SC2154,SC2034
# Packages, Debian's way.
pkg_lock_text='Could not get lock|Unable to acquire the dpkg frontend lock|Unable to lock (the administration )?directory'

# Also for the apt-get calls of an install script.
pkg_environment() {
	printf '%s\n' 'DPkg::Lock::Timeout "300";' 'Acquire::Retries "3";' \
		'Dpkg::Options { "--force-confdef"; "--force-confold"; };' >"$tmp/apt.conf"
	export DEBIAN_FRONTEND=noninteractive APT_CONFIG="$tmp/apt.conf" NEEDRESTART_MODE=l
}

pkg_refresh() {
	apt-get -q update
}

pkg_add_source() {
	:
}

pkg_install() {
	apt-get -q -y install "$@"
}

pkg_upgrade() {
	apt-get -q -y install --only-upgrade "$@"
}

pkg_purge() {
	apt-get -q -y purge "$@"
}

pkg_installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

pkg_versions() {
	dpkg-query -W -f '${Package} ${Version}\n' "$@"
}
