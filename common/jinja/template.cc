// Parsing, rendering, and data from JSON; see template.h.
#include "common/jinja/template.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "common/jinja/ast.h"
#include "common/jinja/errors.h"
#include "common/jinja/interpreter.h"
#include "common/jinja/runtime.h"
#include "common/status_macros.h"
#include "common/text/utf8.h"

namespace regatta::jinja {
namespace {

using Json = nlohmann::ordered_json;

std::string WellFormed(std::string_view text) {
  std::string out;
  AppendUtf8Lossy(text, out);
  return out;
}

absl::StatusOr<Value> FromJsonAt(const Json& json, int depth);

absl::StatusOr<Value> ListFrom(const Json& json, int depth) {
  auto list = std::make_shared<Sequence>();
  for (const Json& item : json) {
    ASSIGN_OR_RETURN(Value value, FromJsonAt(item, depth + 1));
    list->items.push_back(std::move(value));
  }
  list->depth = DepthAbove(list->items);
  return Value(std::shared_ptr<const Sequence>(std::move(list)));
}

absl::StatusOr<Value> DictFrom(const Json& json, int depth) {
  auto dict = std::make_shared<Dict>();
  for (const auto& [key, item] : json.items()) {  // JSON's keys are different already
    ASSIGN_OR_RETURN(Value value, FromJsonAt(item, depth + 1));
    dict->Append(Value(WellFormed(key)), std::move(value));
  }
  return Value(std::shared_ptr<const Dict>(std::move(dict)));
}

absl::StatusOr<Value> FromJsonAt(const Json& json, int depth) {
  RETURN_IF_ERROR(CheckDepth(depth));
  switch (json.type()) {
    case Json::value_t::boolean:
      return Value(json.get<bool>());
    case Json::value_t::number_integer:
      return Value(Integer{json.get<int64_t>()});
    case Json::value_t::number_unsigned:
      return Value(Integer{json.get<uint64_t>()});
    case Json::value_t::number_float:
      return Value(json.get<double>());
    case Json::value_t::string:
      return Value(WellFormed(json.get_ref<const std::string&>()));
    case Json::value_t::array:
      return ListFrom(json, depth);
    case Json::value_t::object:
      return DictFrom(json, depth);
    default:
      return Value(None());
  }
}

}  // namespace

Template::Template(std::unique_ptr<const Program> program) : program_(std::move(program)) {}
Template::Template(Template&&) noexcept = default;
Template::~Template() = default;

absl::StatusOr<Template> Template::Parse(std::string_view source) {
  if (source.size() > kMaxTemplateBytes) {
    return Error("the template has ", std::to_string(source.size()), " bytes, the limit is ",
                 std::to_string(kMaxTemplateBytes));
  }
  ASSIGN_OR_RETURN(Program program, jinja::Parse(WellFormed(source)));
  return Template(std::make_unique<const Program>(std::move(program)));
}

absl::StatusOr<std::string> Template::Render(const Dict& variables, const Limits& limits,
                                             int64_t now_s) const {
  Runtime runtime(limits, now_s);
  return Interpreter(*program_, variables, runtime).Render();
}

absl::StatusOr<Value> FromJson(const Json& json) { return FromJsonAt(json, 1); }

}  // namespace regatta::jinja
