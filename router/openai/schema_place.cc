// From JSON pointers to paths of fields; see schema_place.h.
#include "router/openai/schema_place.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "router/grammar/schema_error.h"
#include "router/openai/json_text.h"

namespace regatta {
namespace {

bool IsIndex(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
}

// `field`, and the path within it: "field.properties.a.anyOf[0]" of "/properties/a/anyOf/0".
std::string PathOf(const std::string& field, absl::string_view pointer) {
  std::string path = field;
  bool named = false;  // The next part is a name that the author of the schema chose.
  for (absl::string_view part : absl::StrSplit(pointer, '/', absl::SkipEmpty())) {
    const std::string name = absl::StrReplaceAll(part, {{"~1", "/"}, {"~0", "~"}});
    if (!named && IsIndex(name)) {
      absl::StrAppend(&path, "[", name, "]");
    } else {
      AppendPathName(name, path);
    }
    named = !named && (name == "properties" || name == "$defs" || name == "definitions");
  }
  return path;
}

bool Holds(const SchemaPlace& place, absl::string_view pointer) {
  return absl::StartsWith(pointer, place.pointer) &&
         (pointer.size() == place.pointer.size() || pointer[place.pointer.size()] == '/');
}

}  // namespace

absl::Status NameSchemaPlace(const absl::Status& status, absl::Span<const SchemaPlace> places) {
  const std::string pointer = SchemaPointer(status);
  if (pointer.empty()) return status;
  const SchemaPlace* innermost = nullptr;
  for (const SchemaPlace& place : places) {
    if (!Holds(place, pointer)) continue;
    if (innermost == nullptr || innermost->pointer.size() < place.pointer.size()) {
      innermost = &place;
    }
  }
  if (innermost == nullptr) return status;
  const absl::string_view below = absl::string_view(pointer).substr(innermost->pointer.size());
  std::string what(status.message().substr(pointer.size() + 1));
  // References were moved with the schema: they are shown as the client wrote them.
  if (innermost->pointer.size() > 1) absl::StrReplaceAll({{innermost->pointer, "#"}}, &what);
  const std::string path = innermost->made ? innermost->field : PathOf(innermost->field, below);
  return absl::Status(status.code(), absl::StrCat(path, ": ", what));
}

}  // namespace regatta
