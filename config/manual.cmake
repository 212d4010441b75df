# The pages of the manual, which the programs write themselves: left in manual/ of the build
# folder (`man -l build/manual/ringback.1`), installed compressed as every distribution does.
find_program(GZIP_PROGRAM gzip REQUIRED)
add_custom_target(manual ALL)

# ringback_manual(<page> <depends> <command>…): what the command prints is the page.
function(ringback_manual page depends)
  set(file ${PROJECT_BINARY_DIR}/manual/${page})
  file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/manual)
  add_custom_command(
    OUTPUT ${file} ${file}.gz
    COMMAND ${ARGN} > ${file}
    COMMAND ${GZIP_PROGRAM} -9nkf ${file}
    DEPENDS ${depends}
    VERBATIM)
  add_custom_target(manual_${page} DEPENDS ${file} ${file}.gz)
  add_dependencies(manual manual_${page})
  string(REGEX REPLACE ".*\\." "" section ${page})
  install(FILES ${file}.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endfunction()
