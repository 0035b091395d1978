# shellcheck shell=dash disable=SC2154
# Installs the engine with a script from $url, or with one that was sent to the file $script.
fetch() {
	pkg_prepare_fetch >"$tmp/prepare" 2>&1 || cat "$tmp/prepare"
	if command -v curl >/dev/null; then
		case $url in
		https:*) later='=https' ;;
		*) later='=http,https' ;;
		esac
		curl -fsSLg --retry 3 --connect-timeout 30 --max-time 300 --proto-redir "$later" -o "$1" --url "$url"
	elif command -v wget >/dev/null; then
		wget -q -T 60 -O "$1" "$url"
	else
		fail "neither curl nor wget is there, and curl could not be installed"
	fi
}

main() {
	tmp=$(mktemp -d) || fail "cannot make a temporary folder"
	trap 'rm -rf "$tmp" "$script"' EXIT
	trap 'exit 129' HUP
	trap 'exit 143' TERM
	pkg_environment
	if [ "$url" ]; then
		fetch "$tmp/install.sh" || fail "cannot download $url"
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
