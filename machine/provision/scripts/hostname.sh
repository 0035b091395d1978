# shellcheck shell=dash disable=SC2154
# Gives the host its name, for now and for later boots. Takes $name.

# The name must resolve: a 127.0.1.1 line is replaced or added, unless a line ends in the name already.
hosts_with_name() {
	found=no
	while IFS= read -r line || [ "$line" ]; do
		case $line in
		'#'*) ;;
		*[[:blank:]]"$name") found=yes ;;
		esac
	done </etc/hosts
	[ "$found" = no ] || return 1
	while IFS= read -r line || [ "$line" ]; do
		case $line in
		127.0.1.1[[:blank:]]*)
			[ "$found" = yes ] || printf '127.0.1.1 %s\n' "$name"
			found=yes
			;;
		*) printf '%s\n' "$line" ;;
		esac
	done </etc/hosts
	[ "$found" = yes ] || printf '127.0.1.1 %s\n' "$name"
}

main() {
	[ -e /etc/hosts ] || : >/etc/hosts
	if hosts=$(hosts_with_name); then
		put /etc/hosts 644 "$hosts
"
	fi
	if [ -d /etc/cloud/cloud.cfg.d ]; then # else the next boot would undo it
		put /etc/cloud/cloud.cfg.d/99-machine-hostname.cfg 644 'preserve_hostname: true
'
	fi
	put /etc/hostname 644 "$name
"
	hostname "$name" || hostnamectl set-hostname "$name" || fail "cannot set the host name"
}

{
	main </dev/null 2>&1
	exit
}
