# Completion of machine and docker-machine for fish. `machine __complete` knows what may stand where;
# this only tells it the words and shows its answer.

function __docker_machine_complete
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    set -l program (string replace -r '^~/' "$HOME/" -- $words[1])
    set -l lines (command $program __complete -- $words[2..-1] "$word" 2>/dev/null </dev/null)
    set -l before (string match -r -- '^-[^=]*=' "$word")
    set -l rest (string replace -- "$before" '' "$word")
    string join -- \n $lines[2..-1]
    switch "$lines[1]"
        case :files
            for path in (__fish_complete_path "$rest")
                echo -- "$before$path"
            end
        case :dirs
            for path in (__fish_complete_directories "$rest")
                echo -- "$before$path"
            end
    end
end

complete -c docker-machine -f -k -a '(__docker_machine_complete)'
complete -c machine -f -k -a '(__docker_machine_complete)'
