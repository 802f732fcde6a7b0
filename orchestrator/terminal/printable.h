// Text of others on a terminal: names of remote models, stored or imported results, messages of
// servers. Terminals obey control characters, so none of theirs may get there; a string of a
// protobuf that is not UTF-8 makes its whole message unreadable, so no such bytes may get there.
#pragma once

#include <google/protobuf/message.h>

#include <string>

#include "absl/strings/string_view.h"

namespace regatta {

// `bytes` as UTF-8, with U+FFFD for each ill-formed sequence and for each control character (C0 but
// for line feeds and tabs, DEL, C1).
std::string Printable(absl::string_view bytes);

// The same in one line: line feeds and tabs are spaces.
std::string PrintableLine(absl::string_view bytes);

// `Printable` for all strings in `message`, at any depth.
void MakePrintable(google::protobuf::Message& message);

}  // namespace regatta
