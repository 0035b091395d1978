# shellcheck shell=bash
# For ~/.bashrc: `docker-machine use NAME` (or `machine use NAME`) points the docker client in this
# shell at a machine, which a program cannot do. It takes the flags of `env`; `use -u` undoes it.
# DOCKER_MACHINE_WRAPPED=false turns that off. In scripts, where aliases are not expanded, call
# __docker_machine_wrapper docker-machine use NAME.

: "${DOCKER_MACHINE_WRAPPED:=true}"

# $1: the program as called; the rest are env's arguments
__docker_machine_use() {
	local commands word
	for word in "${@:2}"; do
		case $word in
		-h | -help | --help)
			printf 'Usage: %s use [OPTIONS] [arg...]\n\n%s\n\n' "$1" \
				'Sets in this shell what env displays:'
			command "$1" env --help
			return
			;;
		esac
	done
	commands=$(SHELL=bash command "$1" env "${@:2}") || return
	eval "$commands"
	echo "Active machine: ${DOCKER_MACHINE_NAME:-}"
}

__docker_machine_wrapper() {
	if [[ $DOCKER_MACHINE_WRAPPED == true && ${2:-} == use ]]; then
		__docker_machine_use "$1" "${@:3}"
	else
		command "$1" "${@:2}"
	fi
}

alias docker-machine='__docker_machine_wrapper docker-machine'
alias machine='__docker_machine_wrapper machine'
