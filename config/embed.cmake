# ringback_embed(<out.c> <header> <prefix> <kind> <file>…): turns files into one C source, so
# that a program carries its scripts and pages. kind `script` makes `const struct rb_script
# <prefix>_<name>`, with the SHA-1 that EVALSHA wants; kind `asset` makes `const struct
# rb_asset <prefix>_<name>`. <name> is the file's, with `_` for `.` and `-`; scripts lose .lua.
set(RINGBACK_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_DIR}/embed_files.cmake)

function(ringback_embed out header prefix kind)
  set(files ${ARGN})
  list(JOIN files "|" joined)
  add_custom_command(
    OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DOUT=${out} -DHEADER=${header} -DPREFIX=${prefix} -DKIND=${kind}
            "-DFILES=${joined}" -P ${RINGBACK_EMBED_SCRIPT}
    DEPENDS ${files} ${RINGBACK_EMBED_SCRIPT}
    VERBATIM)
endfunction()
