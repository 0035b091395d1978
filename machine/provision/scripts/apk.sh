# shellcheck shell=dash disable=SC2154,SC2034
# Packages, Alpine's way.
pkg_lock_text='[Uu]nable to lock database'

pkg_environment() {
	:
}

pkg_refresh() {
	apk update
}

# The engine is in the repository community, beside main, which a fresh system has as a comment. Those with a tag
# (@edge) do not count: apk installs from them by that tag only.
pkg_add_source() {
	pkg_file=/etc/apk/repositories
	if grep -q '^[^#@].*/community *$' "$pkg_file"; then return; fi
	pkg_line=$(sed -n 's,^\([^#@].*\)/main *$,\1/community,p' "$pkg_file" | head -n 1)
	[ -z "$pkg_line" ] || put "$pkg_file" 644 "$(cat "$pkg_file")
$pkg_line
"
}

pkg_install() {
	apk add "$@"
}

pkg_upgrade() {
	apk add -u "$@"
}

pkg_purge() {
	apk del "$@"
}

pkg_installed() {
	apk info -e "$1" >/dev/null 2>&1
}

pkg_versions() {
	apk info -e -v "$@"
}
