# The engine's service under systemd. Another init system brings the same functions.
service_active() {
	systemctl is-active -q docker.service
}

service_enable() {
	systemctl is-enabled -q docker.service 2>/dev/null || systemctl enable -q docker.service
}

service_restart() {
	if [ "$(systemctl show -p NeedDaemonReload --value docker.service)" != no ]; then
		systemctl daemon-reload || return
	fi
	systemctl reset-failed docker.service 2>/dev/null # earlier restarts do not count against this one
	timeout 180 systemctl restart docker.service
}

service_log() {
	journalctl -u docker.service -n 20 --no-pager -o cat
}
