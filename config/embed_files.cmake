# Run by ringback_embed at build time: writes OUT from FILES.
string(REPLACE "|" ";" files "${FILES}")
set(text "/* Made by the build from the files named below. */\n#include \"${HEADER}\"\n")
foreach(file IN LISTS files)
  get_filename_component(base ${file} NAME)
  string(REGEX REPLACE "\\.lua$" "" name ${base})
  string(REGEX REPLACE "[.-]" "_" name ${name})
  file(READ ${file} hex HEX)
  file(SHA1 ${file} sha1)
  file(SIZE ${file} size)
  string(REGEX REPLACE "(..)" "'\\\\x\\1'," bytes "${hex}")
  string(REPEAT "'.x..'," 12 line)
  string(REGEX REPLACE "(${line})" "\\1\n" bytes "${bytes}")
  string(APPEND text "\nstatic const char bytes_of_${name}[] = {\n${bytes}0};\n"
         "const struct rb_${KIND} ${PREFIX}_${name} = {\"${base}\", bytes_of_${name}, ${size}u, "
         "\"${sha1}\"};\n")
endforeach()
file(WRITE ${OUT} "${text}")
