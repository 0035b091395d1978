# shellcheck shell=dash
# The engine's service of boot2docker, whose init script starts it at every boot.
service_active() {
	[ -s /var/run/docker.pid ] && kill -0 "$(cat /var/run/docker.pid)" 2>/dev/null
}

service_enable() {
	:
}

# One that is still starting has not written its pid, and would be started a second time.
service_restart() {
	[ "$(cut -d . -f 1 /proc/uptime)" -gt 120 ] || wait_for 30 service_active
	/etc/init.d/docker restart
}

service_log() {
	for service_file in /var/lib/boot2docker/log/docker.log /var/lib/boot2docker/docker.log; do
		[ -e "$service_file" ] || continue
		tail -n 60 "$service_file" | grep -v 'level=info\|level=debug' | tail -n 20
	done
}
