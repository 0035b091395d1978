# shellcheck shell=dash disable=SC2154
# Upgrades those of the packages in $candidates that are installed; says whether that changed anything.
main() {
	tmp=$(mktemp -d) || fail "cannot make a temporary folder"
	trap 'rm -rf "$tmp"' EXIT
	trap 'exit 129' HUP
	trap 'exit 143' TERM
	pkg_check_writable 'upgrade'
	pkg_environment
	set --
	for p in $candidates; do
		if pkg_installed "$p"; then set -- "$@" "$p"; fi
	done
	[ $# -gt 0 ] ||
		fail "the engine was not installed from packages that are known here: upgrade it the way it was installed," \
			"or remove it and let provision install one"
	before=$(pkg_versions "$@")
	pkg_retry pkg_refresh || fail "cannot fetch the lists of packages"
	pkg_retry pkg_upgrade "$@" || fail "cannot upgrade $*"
	[ "$(pkg_versions "$@")" = "$before" ] || echo @@upgraded
}

{
	main </dev/null 2>&1
	exit
}
