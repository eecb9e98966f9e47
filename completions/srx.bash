_srx_completion() {
    local IFS=$'
'
    COMPREPLY=( $( env COMP_WORDS="${COMP_WORDS[*]}" \
                   COMP_CWORD=$COMP_CWORD \
                   _SRX_COMPLETE=complete_bash $1 ) )
    return 0
}

complete -o default -F _srx_completion srx
