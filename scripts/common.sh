# shellcheck shell=bash
# Shared by the scripts: where things are, how they speak. Sourced with the top folder as $PWD.

say() { printf '==> %s\n' "$*"; }
die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# Runs a command as root.
as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "needs root: run as root, or install sudo"
	fi
}

# The Debian release this machine runs, "12" or "13"; derivatives count as the newest they resemble.
debian_version() {
	local id='' version=''
	# shellcheck disable=SC1091
	[ ! -r /etc/os-release ] || { . /etc/os-release && id=${ID:-} version=${VERSION_ID:-}; }
	[ "$id" = debian ] || return 1
	printf '%s\n' "${version%%.*}"
}

# build_dir DIR [meson option]...: configures DIR once (again if the options changed), then builds all, or
# what is in the array build_targets.
build_targets=()
build_dir() {
	local dir=$1 stamp
	shift
	stamp="CC=${CC:-} $*"
	if [ "$(cat "$dir/.options" 2>/dev/null)" != "$stamp" ] || [ ! -f "$dir/build.ninja" ]; then
		rm -rf "$dir"
		say "meson setup $dir $*"
		meson setup "$dir" "$@" >"$dir.log" 2>&1 || {
			cat "$dir.log" >&2
			rm -f "$dir.log"
			return 1
		}
		rm -f "$dir.log"
		printf '%s' "$stamp" >"$dir/.options"
	else
		# a test that appeared since is picked up by configuring again
		meson setup --reconfigure "$dir" >/dev/null
	fi
	say "ninja -C $dir"
	ninja -C "$dir" --quiet "${build_targets[@]}"
}
