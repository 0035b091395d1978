# shellcheck shell=dash disable=SC2154
# The engine's service under systemd. Another init system brings the same functions.
service_active() {
	systemctl is-active -q docker.service
}

service_enable() {
	systemctl is-enabled -q docker.service 2>/dev/null || systemctl enable -q docker.service
}

# NeedDaemonReload does not see the first file of a new drop-in folder, so it is no use asking.
service_restart() {
	systemctl daemon-reload || return
	systemctl reset-failed docker.service 2>/dev/null # earlier restarts do not count against this one
	timeout 180 systemctl restart docker.service
}

# service_log SECONDS: what went wrong since then, by the clock.
service_log() {
	journalctl -u docker.service --since "@$1" -n 60 --no-pager -o cat | grep -v 'level=info\|level=debug' | tail -n 20
}
