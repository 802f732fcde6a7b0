// Errors of schemas name the field of the request, the path within it, the value and the limit.
#include "router/openai/schema_place.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "router/grammar/schema_error.h"
#include "tests/router/openai/api_fixture.h"

namespace regatta {
namespace {

using nlohmann::json;

const char kField[] = "response_format.json_schema.schema";

std::string Named(const std::string& pointer) {
  return std::string(NameSchemaPlace(SchemaError(pointer, "is wrong"), {{"#", kField}}).message());
}

TEST(SchemaPlace, PointersBecomePathsOfFields) {
  const std::string field = kField;
  EXPECT_EQ(Named("#"), field + ": is wrong");
  EXPECT_EQ(Named("#/properties/a/pattern"), field + ".properties.a.pattern: is wrong");
  EXPECT_EQ(Named("#/anyOf/0/items"), field + ".anyOf[0].items: is wrong");
  EXPECT_EQ(Named("#/$defs/node/prefixItems/12"), field + ".$defs.node.prefixItems[12]: is wrong");
  // Names that an author chose are names, whatever they look like.
  EXPECT_EQ(Named("#/properties/0/type"), field + ".properties.0.type: is wrong");
  EXPECT_EQ(Named("#/properties/properties/type"), field + ".properties.properties.type: is wrong");
  EXPECT_EQ(Named("#/properties/a b~1c\"/type"),
            field + R"(.properties["a b/c\""].type: is wrong)");
}

TEST(SchemaPlace, OtherErrorsStayAsTheyAre) {
  const absl::Status other = absl::InvalidArgumentError("#/x y");
  EXPECT_EQ(NameSchemaPlace(other, {{"#", kField}}), other);
  const absl::Status elsewhere = SchemaError("#/ab", "is wrong");
  EXPECT_EQ(NameSchemaPlace(elsewhere, {{"#/a", kField}}), elsewhere);
  EXPECT_EQ(
      NameSchemaPlace(SchemaError("#", "x", absl::StatusCode::kResourceExhausted), {{"#", kField}})
          .code(),
      absl::StatusCode::kResourceExhausted);
}

class SchemaErrorAnswerTest : public ApiFixture {
 protected:
  // What a chat with these fields answers when its constraint fails at `pointer`.
  json ErrorAt(const json& fields, const std::string& pointer) {
    const auto exchange = Chat(fields);
    EXPECT_EQ(exchange->status(), 0u) << exchange->body();
    sink_.Fail(sink_.size() - 1, SchemaError(pointer, "must be 1; it is 2"));
    exchange->Run();
    EXPECT_EQ(exchange->status(), 400u);
    return exchange->error();
  }
  static json Tool(const std::string& name) {
    return {{"type", "function"},
            {"function", {{"name", name}, {"parameters", {{"type", "object"}}}}}};
  }
};

TEST_F(SchemaErrorAnswerTest, ResponseFormatIsNamed) {
  const json format = {{"type", "json_schema"},
                       {"json_schema", {{"name", "x"}, {"schema", {{"type", "object"}}}}}};
  const json error = ErrorAt({{"response_format", format}}, "#/properties/a/minLength");
  EXPECT_EQ(error["param"], "response_format.json_schema.schema.properties.a.minLength");
  EXPECT_EQ(error["message"],
            "response_format.json_schema.schema.properties.a.minLength: must be 1; it is 2");
  EXPECT_EQ(ErrorAt({{"response_format", format}}, "#/properties/a: b/type")["param"],
            R"(response_format.json_schema.schema.properties["a: b"].type)");
}

TEST_F(SchemaErrorAnswerTest, TheToolIsNamed) {
  const json tools = {Tool("get"), Tool("add")};
  const json named = {{"type", "function"}, {"function", {{"name", "add"}}}};
  EXPECT_EQ(ErrorAt({{"tools", tools}, {"tool_choice", named}}, "#/properties/a/type")["param"],
            "tools[1].function.parameters.properties.a.type");
  const json any = {{"tools", tools}, {"tool_choice", "required"}};
  EXPECT_EQ(ErrorAt(any, "#/items/anyOf/0/properties/parameters/required")["param"],
            "tools[0].function.parameters.required");
  EXPECT_EQ(ErrorAt(any, "#/items/anyOf/1/properties/parameters")["param"],
            "tools[1].function.parameters");
  // References were moved with the schema; the client knows them as they were.
  sink_.Forget();
  const auto moved = Chat(any);
  sink_.Fail(0, SchemaError("#/items/anyOf/1/properties/parameters/properties/a/$ref",
                            "points to nothing; it is "
                            "\"#/items/anyOf/1/properties/parameters/$defs/A\""));
  moved->Run();
  EXPECT_EQ(moved->error()["message"],
            "tools[1].function.parameters.properties.a.$ref: points to nothing; it is "
            "\"#/$defs/A\"");
  // What we made around them is nobody's field.
  EXPECT_EQ(ErrorAt(any, "#/items")["param"], "tools");
}

}  // namespace
}  // namespace regatta
