# shellcheck shell=dash
# The engine's service under OpenRC.
service_active() {
	rc-service docker status >/dev/null 2>&1
}

service_enable() {
	rc-update -q show default | grep -q '^ *docker ' || rc-update -q add docker default
}

# A service that has crashed, or was killed, counts as started until it is told to forget that.
service_restart() {
	service_active || rc-service docker zap >/dev/null 2>&1
	timeout 180 rc-service docker restart
}

# There are no times in it.
service_log() {
	tail -n 60 /var/log/docker.log | grep -v 'level=info\|level=debug' | tail -n 20
}
