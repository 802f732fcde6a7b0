// UTF-8 of any origin: validation, and replacement of ill-formed bytes by U+FFFD. Knows nothing of
// tokens.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace regatta {

bool IsAscii(std::string_view bytes);

// Characters of valid UTF-8.
size_t CharacterCount(std::string_view text);

// True when `bytes` is well-formed UTF-8 (no surrogates, no overlong forms, at most U+10FFFF).
bool IsValidUtf8(std::string_view bytes);

// Appends `bytes` to `out`; each maximal subpart of an ill-formed sequence becomes one U+FFFD
// (Unicode 15, table 3-8; the same as Python's bytes.decode(errors="replace")).
void AppendUtf8Lossy(std::string_view bytes, std::string& out);

// The same with one U+FFFD for each byte of an ill-formed sequence.
void AppendUtf8PerByte(std::string_view bytes, std::string& out);

// Length (0 to 3) of the suffix that is a proper prefix of some well-formed sequence: more bytes
// may complete it.
size_t IncompleteUtf8Suffix(std::string_view bytes);

}  // namespace regatta
