# bash completion for ringback, ringback-worker and ringback-notifier: the program itself
# is asked what may stand at the cursor.
_ringback() {
    local line=${COMP_LINE:0:COMP_POINT} words current candidate stem=
    read -ra words <<<"$line"
    [[ $line != *[[:space:]] ]] || words+=("")
    current=${words[-1]}
    # What stands behind the last "=" is all that readline takes for the word.
    [[ $current != *=* || $COMP_WORDBREAKS != *=* ]] || stem=${current%=*}=
    COMPREPLY=()
    while IFS=$'\t' read -r candidate _; do
        COMPREPLY+=("${candidate#"$stem"}")
    done < <("${words[0]/#\~/$HOME}" --complete "${words[@]:1}" 2>/dev/null)
    if [[ ${#COMPREPLY[@]} -gt 0 && ${COMPREPLY[0]} == *= ]]; then
        compopt -o nospace 2>/dev/null || true
    fi
}
complete -o bashdefault -o default -F _ringback ringback ringback-worker ringback-notifier
