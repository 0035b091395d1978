# shellcheck shell=dash disable=SC2154
# Puts certificates ($ca, $cert, $key) and engine options ($options) in place and restarts the engine if that changed
# anything, if it does not run as it should, or if $force is 1. Empty contents are left alone. $pending exists from the
# first change to the end of the restart, so that an interrupted run is finished by the next; it lies in /run, as a
# reboot restarts the engine too.
listening() {
	cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -Eq "^ *[0-9]+: [0-9A-F]+:$port_hex [0-9A-F]+:0000 0A "
}

main() {
	pending=/run/machine.restart
	port_hex=$(printf %04X "$port")
	[ -z "$ca" ] || put "$dir/ca.pem" 644 "$ca"
	[ -z "$cert" ] || put "$dir/server.pem" 644 "$cert"
	[ -z "$key" ] || put "$dir/server-key.pem" 600 "$key"
	[ -z "$options" ] || put "$options_file" 644 "$options"
	firewall_open
	service_enable || fail "cannot enable the engine's service"
	if [ "$force" = 1 ] || [ -e "$pending" ] || ! service_active || ! listening; then
		: >"$pending"
		since=$(date +%s)
		if ! service_restart; then
			service_log "$since"
			fail "the engine did not start"
		fi
		if ! wait_for 60 listening; then
			service_log "$since"
			fail "the engine started, but does not listen on port $port"
		fi
		rm -f "$pending"
		echo @@restarted
	fi
}

{
	main </dev/null 2>&1
	exit
}
