# shellcheck shell=dash disable=SC2154
# What package managers have in common. Each brings pkg_lock_text, what it says while somebody else holds its lock, and
# pkg_environment, pkg_refresh, pkg_add_source, pkg_install, pkg_upgrade, pkg_purge, pkg_installed and pkg_versions.
# $tmp is a folder that exists.

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
		grep -Eq "$pkg_lock_text" "$tmp/output" && [ "$(date +%s)" -lt "$pkg_end" ] || return "${pkg_status:-1}"
		echo 'Waiting for another package manager to finish...'
		sleep 1
	done
}

# Images that are updated as a whole have no use for packages.
pkg_check_writable() {
	[ -w /usr ] || fail "the system on this host is read-only and comes as an image: $1 with its own tool (rpm-ostree," \
		"transactional-update, ...), restart it, and go on"
}

# What it takes to download something.
pkg_prepare_fetch() {
	set --
	command -v curl >/dev/null || command -v wget >/dev/null || set -- curl
	[ -s /etc/ssl/certs/ca-certificates.crt ] || [ -s /etc/pki/tls/certs/ca-bundle.crt ] ||
		[ -s /etc/ssl/ca-bundle.pem ] || set -- "$@" ca-certificates
	[ $# -eq 0 ] || { pkg_retry pkg_refresh && pkg_retry pkg_install "$@"; }
}

# fetch URL FILE
fetch() {
	pkg_prepare_fetch >"$tmp/prepare" 2>&1 || cat "$tmp/prepare"
	if command -v curl >/dev/null; then
		case $1 in
		https:*) later='=https' ;;
		*) later='=http,https' ;;
		esac
		curl -fsSLg --retry 3 --connect-timeout 30 --max-time 300 --proto-redir "$later" -o "$2" --url "$1"
	elif command -v wget >/dev/null; then
		wget -q -T 60 -O "$2" "$1"
	else
		fail "neither curl nor wget is there, and curl could not be installed"
	fi
}
