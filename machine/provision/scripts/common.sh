# shellcheck shell=dash disable=SC2154
# In front of every script that changes a host. Those run as root; what they print is shown when they fail.
# Their parameters are variables set in front of this.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH LC_ALL=C
umask 022

# fail TEXT: TEXT becomes the error, what was printed before goes below it.
fail() {
	printf '@@failed %s\n' "$*"
	exit 1
}

# wait_for SECONDS COMMAND...: until it succeeds; false when time is up.
wait_for() {
	wait_end=$(($(date +%s) + $1))
	shift
	until "$@"; do
		[ "$(date +%s)" -lt "$wait_end" ] || return 1
		sleep 0.1 2>/dev/null || sleep 1 # fractions are no matter of course
	done
}

# put FILE MODE CONTENT: the file is replaced at once, and never readable for more than its mode says.
put() {
	if [ -f "$1" ] && [ "$(cat "$1" && echo .)" = "$3." ]; then
		chmod "$2" "$1" || fail "cannot change the mode of $1"
		return
	fi
	if [ "${pending:-}" ]; then : >"$pending"; fi
	put_new "$@" || fail "cannot write $1"
	if command -v restorecon >/dev/null; then restorecon "$1" || :; fi
}

put_new() {
	[ ! -d "$1" ] || fail "$1 is a folder: remove it"
	rm -f "$1.new" || return
	mkdir -p "${1%/*}" || return
	(umask 077 && printf '%s' "$3" >"$1.new") || return
	chmod "$2" "$1.new" || return
	mv -f "$1.new" "$1" 2>/dev/null && return
	cat "$1.new" >"$1" && rm -f "$1.new" # something is mounted there
}
