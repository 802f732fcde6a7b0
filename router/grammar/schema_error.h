// Errors of a JSON Schema that know their place in it.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace regatta {

// An error at `pointer`, a JSON pointer in the notation "#/properties/a/pattern", with which its
// message begins.
absl::Status SchemaError(absl::string_view pointer, absl::string_view what,
                         absl::StatusCode code = absl::StatusCode::kInvalidArgument);

// The place of such an error; empty for errors that are not a schema's.
std::string SchemaPointer(const absl::Status& status);

}  // namespace regatta
