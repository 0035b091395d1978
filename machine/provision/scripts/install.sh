# shellcheck shell=dash disable=SC2154
# Installs the engine with a script from $url, with one that was sent to the file $script,
# or from the $packages of a $source.
from_packages() {
	pkg_add_source "$source" || fail "cannot add $source to the sources of packages"
	pkg_retry pkg_refresh || fail "cannot fetch the lists of packages"
	# shellcheck disable=SC2086 # several words
	pkg_retry pkg_install $packages || fail "cannot install $packages"
}

main() {
	tmp=$(mktemp -d) || fail "cannot make a temporary folder"
	trap 'rm -rf "$tmp" "$script"' EXIT
	trap 'exit 129' HUP
	trap 'exit 143' TERM
	pkg_check_writable 'install Docker'
	pkg_environment
	if [ "$packages" ]; then
		from_packages
	elif [ "$url" ]; then
		fetch "$url" "$tmp/install.sh" || fail "cannot download $url"
		[ -s "$tmp/install.sh" ] || fail "the download of $url is empty"
		pkg_retry sh "$tmp/install.sh"
	else
		pkg_retry sh "$script"
	fi
}

{
	main </dev/null 2>&1
	exit
}
