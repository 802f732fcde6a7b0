// response_format: what the output must look like, as a constraint of the cluster's API.
#pragma once

#include "proto/inference.pb.h"
#include "router/grammar/output_constraint.h"
#include "router/openai/request_fields.h"

namespace regatta {

// Reads it into `request.constraint`, which stays unset for text; errors go to `fields`. A schema
// is kept to the letter whatever its `strict` says. Where the schema stands: kResponseSchema.
void ReadResponseFormat(RequestFields& fields, GenerateRequest& request);

inline constexpr char kResponseSchema[] = "response_format.json_schema.schema";

// Sets a constraint to the schema. INVALID_ARGUMENT naming `field`: larger than kMaxSchemaBytes.
absl::Status SetSchema(std::string_view field, std::string schema, GenerateRequest& request);

}  // namespace regatta
