// The place is a payload of the status; see schema_error.h.
#include "router/grammar/schema_error.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"

namespace regatta {
namespace {

constexpr absl::string_view kPointerPayload = "regatta.dev/schema-pointer";

}  // namespace

absl::Status SchemaError(absl::string_view pointer, absl::string_view what, absl::StatusCode code) {
  absl::Status status(code, absl::StrCat(pointer, " ", what));
  status.SetPayload(kPointerPayload, absl::Cord(pointer));
  return status;
}

std::string SchemaPointer(const absl::Status& status) {
  const auto pointer = status.GetPayload(kPointerPayload);
  return pointer ? std::string(*pointer) : "";
}

}  // namespace regatta
