# shellcheck shell=bash
# Completion of machine and docker-machine for bash. `machine __complete` knows what may stand where;
# this only tells it the words and shows its answer.

# The word $1 as the command would get it, into REPLY: without quotes, ~/ at its beginning resolved.
# Nothing is expanded or run.
_docker_machine_plain() {
	local rest=$1 quote='' c
	REPLY=
	# shellcheck disable=SC2088 # the tilde is what was typed
	if [[ $rest == '~/'* ]]; then
		REPLY=$HOME/ rest=${rest:2}
	fi
	while [[ -n $rest ]]; do
		c=${rest:0:1} rest=${rest:1}
		case $quote$c in
		"''" | '""') quote='' ;;
		"'" | '"') quote=$c ;;
		"\\" | "\"\\") REPLY+=${rest:0:1} rest=${rest:1} ;;
		*) REPLY+=$c ;;
		esac
	done
}

# The words up to the cursor, into words. Bash has cut them at = : and @ as well; what stands together
# in the line is put together again. piece is what bash will replace of the last one.
_docker_machine_words() {
	local line=${COMP_LINE:0:COMP_POINT} rest word i
	words=()
	for ((i = 0; i <= COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		rest=${line#"${line%%[![:space:]]*}"}
		[[ ${#word} -le ${#rest} ]] || word=$rest # the cursor is within it
		if [[ ${#words[@]} -gt 0 && $rest == "$line" && -n $word ]]; then
			words[-1]+=$word
		else
			words+=("$word")
		fi
		line=${rest#"$word"}
		piece=$word
	done
	[[ $piece != *[!=:@]* ]] && piece=''
	return 0
}

# Files for a last word that may be something else, too: after machines, readline's own come too late.
_docker_machine_files() {
	local file
	while IFS= read -r file; do
		[[ -d $file ]] && file+=/
		printf -v file %q "$file"
		COMPREPLY+=("$file")
	done < <(compgen -f -- "$1")
}

_docker_machine() {
	local -a words plain=()
	local piece REPLY word before kind value rest
	COMPREPLY=()
	_docker_machine_words
	for word in "${words[@]}"; do
		_docker_machine_plain "$word"
		plain+=("$REPLY")
	done
	# what bash keeps of the last word
	before=${words[-1]%"$piece"}
	word=${plain[-1]}
	# the wrapper's own command takes the words of env
	if declare -F __docker_machine_use >/dev/null; then
		if [[ ${#plain[@]} -gt 2 && ${plain[1]} == use ]]; then
			plain[1]="env"
		elif [[ ${#plain[@]} -eq 2 && use == "$word"* ]]; then
			COMPREPLY+=(use)
		fi
	fi
	{
		IFS= read -r kind
		while IFS=$'\t' read -r value rest; do
			[[ $value == "$word"* ]] || continue
			[[ $value != *[:=] ]] || compopt -o nospace 2>/dev/null
			value=${value#"$before"}
			[[ $piece == [\'\"]* ]] || printf -v value %q "$value"
			COMPREPLY+=("$value")
		done
	} < <(command "${plain[0]}" __complete -- "${plain[@]:1}" 2>/dev/null </dev/null)
	case $kind in
	:files)
		if [[ ${#COMPREPLY[@]} -gt 0 ]]; then
			_docker_machine_files "$word"
		else
			compopt -o default 2>/dev/null
		fi
		;;
	:dirs) compopt -o dirnames 2>/dev/null ;;
	esac
	return 0
}

complete -F _docker_machine machine docker-machine
