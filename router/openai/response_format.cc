// Reading of response_format.
#include "router/openai/response_format.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/string_views.h"
#include "router/openai/tools.h"

namespace regatta {
namespace {

void ReadSchema(RequestFields& fields, const OrderedJson& format, GenerateRequest& request) {
  RequestFields of_format(format, "response_format.json_schema", fields.status());
  const std::optional<std::string> name = of_format.String("name");
  if (!name || !IsToolName(*name)) {
    of_format.Fail("name", "expected 1 to 64 letters, digits, '_' or '-'");
  }
  of_format.String("description");
  of_format.Bool("strict", false);
  const OrderedJson* schema = of_format.Object("schema");
  of_format.RefuseOthers();
  if (schema == nullptr) return of_format.Fail("schema", "is missing");
  const absl::Status status = SetSchema(of_format.PathOf("schema"), schema->dump(), request);
  if (fields.ok()) fields.status() = status;
}

}  // namespace

absl::Status SetSchema(std::string_view field, std::string schema, GenerateRequest& request) {
  if (schema.size() > kMaxSchemaBytes) {
    return absl::InvalidArgumentError(absl::StrCat(View(field), ": the schema has ", schema.size(),
                                                   " bytes; at most ", kMaxSchemaBytes));
  }
  request.mutable_constraint()->set_json_schema(std::move(schema));
  return absl::OkStatus();
}

void ReadResponseFormat(RequestFields& fields, GenerateRequest& request) {
  const OrderedJson* format = fields.Object("response_format");
  if (format == nullptr) return;
  RequestFields of_format(*format, "response_format", fields.status());
  const std::string type = of_format.String("type").value_or("");
  const OrderedJson* schema = of_format.Object("json_schema");
  of_format.RefuseOthers();
  if (type == "json_schema") {
    if (schema == nullptr) return of_format.Fail("json_schema", "is missing");
    return ReadSchema(fields, *schema, request);
  }
  if (schema != nullptr) of_format.Fail("json_schema", "is given, but type is not json_schema");
  if (type == "json_object") {
    request.mutable_constraint()->set_json_object(true);
  } else if (type != "text") {
    of_format.Fail("type", absl::StrCat("is '", type.substr(0, 64),
                                        "'; expected text, json_object or json_schema"));
  }
}

}  // namespace regatta
