# What is installed for people to read, and the Debian package (./run package).
foreach(page README.md LICENSE config/CHANGELOG.md config/OPERATING.md jobs/GUARANTEES.md
        worker/TROUBLESHOOTING.md notifier/SECURITY.md)
  install(FILES ${page} DESTINATION ${CMAKE_INSTALL_DOCDIR})
endforeach()

# Units and paths of configuration are those of the prefix, so that only /usr makes a package.
find_program(DPKG_PROGRAM dpkg)
if(NOT CMAKE_INSTALL_PREFIX STREQUAL "/usr" OR NOT DPKG_PROGRAM)
  return()
endif()

# Who makes the package, as Debian's tools are told it; else the authors, who have no address
# (.invalid, RFC 2606).
set(RINGBACK_MAINTAINER "The ringback authors <no-address@ringback.invalid>")
if(NOT "$ENV{DEBFULLNAME}" STREQUAL "" AND NOT "$ENV{DEBEMAIL}" STREQUAL "")
  set(RINGBACK_MAINTAINER "$ENV{DEBFULLNAME} <$ENV{DEBEMAIL}>")
endif()
set(debian ${CMAKE_CURRENT_LIST_DIR}/debian)
set(made ${PROJECT_BINARY_DIR}/debian)

# Debian's own form of the changelog, which tells the version and points to ours.
execute_process(COMMAND date -u -R -d ${RINGBACK_RELEASED} OUTPUT_VARIABLE RINGBACK_RELEASED_RFC
                OUTPUT_STRIP_TRAILING_WHITESPACE)
configure_file(${debian}/changelog.in ${made}/changelog @ONLY)
execute_process(COMMAND ${GZIP_PROGRAM} -9nkf ${made}/changelog)
install(FILES ${made}/changelog.gz DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES ${debian}/copyright DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME ringback)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT ${RINGBACK_MAINTAINER})
set(CPACK_STRIP_FILES ON)
set(CPACK_SET_DESTDIR ON) # /etc is not below the prefix
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION web)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "systemd | systemd-standalone-sysusers, passwd")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "tzdata, ca-certificates")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "redis-server | valkey-server, nginx, bash-completion")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${debian}/postinst ${debian}/prerm ${debian}/postrm
    ${debian}/conffiles)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "calls slow services and rings the browser back")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"A web app that must ask a slow external service pushes a job to Redis with
one command and answers its visitor at once. ringback-worker makes the call,
thousands at a time, and ringback-notifier hands the result to the browser
that waits for it over WebSocket, server-sent events or long-poll.

The services are not started before they are configured and enabled.")
include(CPack)
