# shellcheck shell=dash disable=SC2154,SC2034
# Packages, Red Hat's way: dnf, or yum where that is all there is. Both wait for their own lock, rpm does not.
pkg_lock_text='transaction lock|holding the yum lock|rpmdb open failed'

pkg_environment() {
	pkg_tool=yum
	if command -v dnf >/dev/null; then pkg_tool=dnf; fi
}

pkg_refresh() {
	"$pkg_tool" -q -y makecache
}

# pkg_add_source URL: of a repository file. A repository of that name that is there is somebody's choice.
pkg_add_source() {
	pkg_file=/etc/yum.repos.d/${1##*/}
	[ -z "$1" ] || [ -e "$pkg_file" ] || {
		fetch "$1" "$tmp/repo" && [ -s "$tmp/repo" ] && put "$pkg_file" 644 "$(cat "$tmp/repo")
"
	}
}

pkg_install() {
	"$pkg_tool" -y install "$@"
}

pkg_upgrade() {
	"$pkg_tool" -y upgrade "$@"
}

pkg_purge() {
	"$pkg_tool" -y remove "$@"
}
