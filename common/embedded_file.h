// EmbeddedFile: a text file that is part of the program; see regatta_embedded_files in
// cmake/regatta.cmake.
#pragma once

#include <string_view>

namespace regatta {

struct EmbeddedFile {
  std::string_view name;    // without folder
  std::string_view sha256;  // of the text, in hexadecimal
  std::string_view text;
};

}  // namespace regatta
