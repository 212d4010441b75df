#compdef ringback ringback-worker ringback-notifier
# zsh completion: the program itself is asked what may stand at the cursor.
_ringback() {
    local line word
    local -a found whole begun
    found=("${(@f)$("${words[1]}" --complete "${(@)words[2,CURRENT-1]}" "$PREFIX" 2>/dev/null)}")
    for line in $found; do
        word=${line%%$'\t'*}
        if [[ $word == *= ]]; then
            begun+=("${word//:/\\:}:${line#*$'\t'}")
        else
            whole+=("${word//:/\\:}:${line#*$'\t'}")
        fi
    done
    if (( $#whole + $#begun == 0 )); then
        _files
        return
    fi
    _describe -t values 'value' whole -- begun -S ''
}
if [[ $funcstack[1] == _ringback ]]; then
    _ringback "$@"
else
    compdef _ringback ringback ringback-worker ringback-notifier
fi
