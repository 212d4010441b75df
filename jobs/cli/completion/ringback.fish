# fish completion for ringback, ringback-worker and ringback-notifier: the program itself is
# asked what may stand at the cursor.
function __ringback_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l found ($words[1] --complete $words[2..-1] "$current" 2>/dev/null)
    if test (count $found) -eq 0
        __fish_complete_path "$current"
    else
        printf '%s\n' $found
    end
end
for program in ringback ringback-worker ringback-notifier
    complete -c $program -f -a '(__ringback_complete)'
end
