// Control characters and ill-formed UTF-8 to U+FFFD; see printable.h.
#include "orchestrator/terminal/printable.h"

#include <google/protobuf/descriptor.h>

#include <vector>

#include "absl/strings/str_replace.h"
#include "common/text/utf8.h"

namespace regatta {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr char kReplacement[] = "\xef\xbf\xbd";

// Bytes of the control character that `text` begins with; 0 = it begins with another. C1 is
// 0xc2 0x80 to 0xc2 0x9f in UTF-8.
size_t ControlBytes(absl::string_view text) {
  const auto byte = [&text](size_t i) { return static_cast<unsigned char>(text[i]); };
  if (byte(0) == '\n' || byte(0) == '\t') return 0;
  if (byte(0) < 0x20 || byte(0) == 0x7f) return 1;
  return byte(0) == 0xc2 && text.size() > 1 && byte(1) >= 0x80 && byte(1) < 0xa0 ? 2 : 0;
}

void MakeFieldPrintable(const FieldDescriptor& field, Message& message) {
  const Reflection& reflection = *message.GetReflection();
  const int count = field.is_repeated() ? reflection.FieldSize(message, &field) : 1;
  for (int i = 0; i < count; ++i) {
    if (field.type() == FieldDescriptor::TYPE_MESSAGE) {
      MakePrintable(field.is_repeated() ? *reflection.MutableRepeatedMessage(&message, &field, i)
                                        : *reflection.MutableMessage(&message, &field));
    } else if (field.is_repeated()) {
      reflection.SetRepeatedString(&message, &field, i,
                                   Printable(reflection.GetRepeatedString(message, &field, i)));
    } else {
      reflection.SetString(&message, &field, Printable(reflection.GetString(message, &field)));
    }
  }
}

}  // namespace

std::string Printable(absl::string_view bytes) {
  std::string well_formed, printable;
  AppendUtf8Lossy({bytes.data(), bytes.size()}, well_formed);
  printable.reserve(well_formed.size());
  absl::string_view text = well_formed;
  while (!text.empty()) {
    const size_t control = ControlBytes(text);
    if (control > 0) {
      printable += kReplacement;
    } else {
      printable += text.front();
    }
    text.remove_prefix(control > 0 ? control : 1);
  }
  return printable;
}

std::string PrintableLine(absl::string_view bytes) {
  return absl::StrReplaceAll(Printable(bytes), {{"\n", " "}, {"\t", " "}});
}

void MakePrintable(Message& message) {
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->type() == FieldDescriptor::TYPE_STRING ||
        field->type() == FieldDescriptor::TYPE_MESSAGE) {
      MakeFieldPrintable(*field, message);
    }
  }
}

}  // namespace regatta
