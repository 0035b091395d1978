# shellcheck shell=dash disable=SC2154
# Gives the host its name, for now and for later boots, which start from an image. Takes $name.
main() {
	put /var/lib/boot2docker/etc/hostname 644 "$name
"
	/usr/bin/sethostname "$name" || fail "cannot set the host name"
}

{
	main </dev/null 2>&1
	exit
}
