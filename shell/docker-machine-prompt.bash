# shellcheck shell=bash
# For ~/.bashrc: the active machine in the prompt.
#
#     PS1='[\u@\h \W$(__docker_machine_ps1)]\$ '
#     PS1='[\u@\h \W$(__docker_machine_ps1 " (%s)")]\$ '
#
# With DOCKER_MACHINE_PS1_SHOWSTATUS=true the state follows its name, at the price of asking the
# driver at each prompt: R running, R->S stopping, S->R starting, E error or no answer, S any other.

__docker_machine_ps1() {
	local format=${1:- [%s]} state=''
	[[ -n ${DOCKER_MACHINE_NAME:-} ]] || return 0
	if [[ ${DOCKER_MACHINE_PS1_SHOWSTATUS:-false} == true ]]; then
		case $(command docker-machine status "$DOCKER_MACHINE_NAME" 2>/dev/null) in
		Running) state=' R' ;;
		Stopping) state=' R->S' ;;
		Starting) state=' S->R' ;;
		Error | Timeout) state=' E' ;;
		*) state=' S' ;;
		esac
	fi
	# shellcheck disable=SC2059 # the format is the user's
	printf -- "$format" "$DOCKER_MACHINE_NAME$state"
}
