# Run by regatta_embedded_files: writes OUT, a C++ file that holds the text FILES (separated by '|') as EmbeddedFile constants.
string(REPLACE "|" ";" FILES "${FILES}")
set(entries)
foreach(path ${FILES})
  get_filename_component(name "${path}" NAME)
  file(READ "${path}" text)
  file(SHA256 "${path}" hash)
  string(FIND "${text}" ")~embedded~\"" end)
  if(NOT end EQUAL -1)
    message(FATAL_ERROR "${path} contains the mark that ends it in C++")
  endif()
  string(APPEND entries "    {\"${name}\", \"${hash}\", R\"~embedded~(${text})~embedded~\"},\n")
endforeach()
file(WRITE "${OUT}" "// Made by cmake/embed.cmake.
#include \"${HEADER}\"

namespace regatta {

absl::Span<const EmbeddedFile> ${FUNCTION}() {
  static constexpr EmbeddedFile kFiles[] = {
${entries}  };
  return kFiles;
}

}  // namespace regatta
")
