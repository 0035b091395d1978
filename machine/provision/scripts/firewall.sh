# shellcheck shell=dash disable=SC2154
# Lets others reach the engine's port, $port, where a firewall that is known here keeps it closed; says so.
firewall_open() {
	if [ "$firewall" = iptables ]; then
		iptables -w -C INPUT -p tcp -m tcp --dport "$port" -j ACCEPT 2>/dev/null ||
			iptables -w -A INPUT -p tcp -m tcp --dport "$port" -j ACCEPT || echo '@@closed iptables'
		return
	fi
	firewalld_open
	ufw_open
}

firewalld_open() {
	command -v firewall-cmd >/dev/null && firewall-cmd -q --state 2>/dev/null || return
	if firewall-cmd -q --query-port="$port/tcp"; then return; fi
	if firewall-cmd -q --permanent --add-port="$port/tcp" && firewall-cmd -q --add-port="$port/tcp"; then
		echo '@@opened firewalld'
	else
		echo '@@closed firewalld'
	fi
}

ufw_open() {
	command -v ufw >/dev/null && ufw status | grep -q '^Status: active' || return
	if firewall_said=$(ufw allow "$port/tcp"); then
		case $firewall_said in *added*) echo '@@opened ufw' ;; esac
	else
		echo '@@closed ufw'
	fi
}
