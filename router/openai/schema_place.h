// Where a client finds what is wrong with a schema: errors of the grammar know a place within the
// schema that was compiled, clients know the fields of their request.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace regatta {

// A part of the compiled schema and the field of the request that it comes from.
struct SchemaPlace {
  std::string pointer;  // "#" for all of it
  std::string field;    // "response_format.json_schema.schema"
  bool made = false;    // by us: what lies below it is nothing that the client wrote
};

// `status` with a message that begins with the field and the path within it, as in
// "tools[0].function.parameters.properties.a.pattern: ..."; unchanged unless it is a schema's error
// in one of `places`.
absl::Status NameSchemaPlace(const absl::Status& status, absl::Span<const SchemaPlace> places);

}  // namespace regatta
