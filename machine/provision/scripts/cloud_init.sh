# shellcheck shell=dash disable=SC2154
# Waits until cloud-init is through with its first boot. Takes $seconds.
main() {
	wait_for "$seconds" [ -e /run/cloud-init/result.json ]
}

{
	main </dev/null 2>&1
	exit
}
