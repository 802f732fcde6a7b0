// A walk over all fields that are set; see finite_numbers.h.
#include "orchestrator/report/finite_numbers.h"

#include <google/protobuf/descriptor.h>

#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "proto/results.pb.h"

namespace regatta {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr double kLargest = 1e100;

// `index` is ignored of a field that is not repeated.
double NumberIn(const Message& message, const FieldDescriptor& field, int index) {
  const Reflection& reflection = *message.GetReflection();
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_FLOAT) {
    return field.is_repeated() ? reflection.GetRepeatedFloat(message, &field, index)
                               : reflection.GetFloat(message, &field);
  }
  return field.is_repeated() ? reflection.GetRepeatedDouble(message, &field, index)
                             : reflection.GetDouble(message, &field);
}

bool MayBeInfinite(const FieldDescriptor& field) {
  return field.containing_type() == PlannedPoint::descriptor() && field.name() == "request_rate";
}

absl::Status CheckNumber(const FieldDescriptor& field, double value, const std::string& name) {
  if (std::abs(value) <= kLargest) return absl::OkStatus();
  if (MayBeInfinite(field) && std::isinf(value) && value > 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(name, " is ", value, ", must be a number of at most ", kLargest,
                   " in size: the file was changed since it was written"));
}

absl::Status CheckMessage(const Message& message, const std::string& prefix) {
  const Reflection& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const FieldDescriptor::CppType type = field->cpp_type();
    const bool number =
        type == FieldDescriptor::CPPTYPE_DOUBLE || type == FieldDescriptor::CPPTYPE_FLOAT;
    if (!number && type != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    const bool repeated = field->is_repeated();
    const int count = repeated ? reflection.FieldSize(message, field) : 1;
    for (int i = 0; i < count; ++i) {
      const std::string name =
          absl::StrCat(prefix, field->name(), repeated ? absl::StrCat("[", i, "]") : "");
      if (number) {
        RETURN_IF_ERROR(CheckNumber(*field, NumberIn(message, *field, i), name));
        continue;
      }
      RETURN_IF_ERROR(CheckMessage(repeated ? reflection.GetRepeatedMessage(message, field, i)
                                            : reflection.GetMessage(message, field),
                                   name + "."));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckFinite(const Message& message) { return CheckMessage(message, ""); }

}  // namespace regatta
