# shellcheck shell=dash disable=SC2154
# Packages, Debian's way. Another package manager brings the same functions.
pkg_lock_text='Could not get lock|Unable to acquire the dpkg frontend lock|Unable to lock (the administration )?directory'

# Also for the apt-get calls of an install script. $tmp is a folder that exists.
pkg_environment() {
	printf '%s\n' 'DPkg::Lock::Timeout "300";' 'Acquire::Retries "3";' \
		'Dpkg::Options { "--force-confdef"; "--force-confold"; };' >"$tmp/apt.conf"
	export DEBIAN_FRONTEND=noninteractive APT_CONFIG="$tmp/apt.conf" NEEDRESTART_MODE=l
}

# Runs a command again while somebody else holds a lock.
pkg_retry() {
	pkg_end=$(($(date +%s) + 600))
	while :; do
		echo 1 >"$tmp/status"
		{
			"$@"
			echo $? >"$tmp/status"
		} 2>&1 | tee "$tmp/output"
		pkg_status=$(cat "$tmp/status")
		[ "$pkg_status" != 0 ] || return 0
		grep -Eq "$pkg_lock_text" "$tmp/output" && [ "$(date +%s)" -lt "$pkg_end" ] || return "$pkg_status"
		echo 'Waiting for another package manager to finish...'
		sleep 1
	done
}

pkg_refresh() {
	apt-get -q update
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

# What it takes to download something.
pkg_prepare_fetch() {
	set --
	command -v curl >/dev/null || command -v wget >/dev/null || set -- curl
	[ -s /etc/ssl/certs/ca-certificates.crt ] || set -- "$@" ca-certificates
	[ $# -eq 0 ] || { pkg_retry pkg_refresh && pkg_retry pkg_install "$@"; }
}
