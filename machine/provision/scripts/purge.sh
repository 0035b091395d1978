# shellcheck shell=dash disable=SC2154
# Takes the engine's package away that its vendor no longer has, with what belongs to it.
main() {
	tmp=$(mktemp -d) || fail "cannot make a temporary folder"
	trap 'rm -rf "$tmp"' EXIT
	trap 'exit 129' HUP
	trap 'exit 143' TERM
	pkg_environment
	if pkg_installed "$package"; then
		pkg_retry pkg_purge "$package" || fail "cannot remove the package $package"
	fi
}

{
	main </dev/null 2>&1
	exit
}
