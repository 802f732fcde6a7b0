// str() and repr().
#include "common/jinja/print.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "common/jinja/errors.h"
#include "common/jinja/unicode.h"
#include "common/status_macros.h"

namespace regatta::jinja {
namespace {

class ReprWriter {
 public:
  ReprWriter(Runtime& runtime, std::string& out) : runtime_(runtime), out_(out) {}

  absl::Status Write(const Value& value, int depth) {
    RETURN_IF_ERROR(CheckDepth(depth));  // namespaces may hold themselves
    RETURN_IF_ERROR(runtime_.Spend(1));
    RETURN_IF_ERROR(runtime_.SpendAppend(out_.size(), 0));
    switch (value.kind()) {
      case Kind::kString:
        return WriteString(value.string());
      case Kind::kSequence:
        return WriteSequence(value.sequence(), value.TypeName(), depth);
      case Kind::kDict:
        return WriteDict(value.dict(), depth);
      case Kind::kNamespace:
        out_ += "<Namespace ";
        RETURN_IF_ERROR(WriteDict(value.name_space().attributes, depth));
        out_ += ">";
        return absl::OkStatus();
      default:
        WriteScalar(value);
        return absl::OkStatus();
    }
  }

 private:
  void WriteScalar(const Value& value) {
    switch (value.kind()) {
      case Kind::kNone:
        out_ += "None";
        break;
      case Kind::kBool:
        out_ += value.Truthy() ? "True" : "False";
        break;
      case Kind::kInteger:
        out_ += IntegerText(value.integer());
        break;
      case Kind::kFloat:
        out_ += FloatText(value.number());
        break;
      case Kind::kUndefined:
        out_ += "Undefined";
        break;
      default:
        out_ += Concat("<", value.TypeName(), " object>");
    }
  }

  absl::Status WriteString(std::string_view text) {
    RETURN_IF_ERROR(runtime_.SpendAppend(out_.size(), text.size()));
    const bool has_single = text.find('\'') != std::string_view::npos;
    const char quote = has_single && text.find('"') == std::string_view::npos ? '"' : '\'';
    out_.push_back(quote);
    for (size_t i = 0, length; i < text.size(); i += length) {
      char32_t c = DecodeFirst(text.substr(i), &length);
      WriteCodePoint(c, text.substr(i, length), quote);
    }
    out_.push_back(quote);
    return absl::OkStatus();
  }

  void WriteCodePoint(char32_t c, std::string_view bytes, char quote) {
    if (c == static_cast<char32_t>(quote) || c == '\\') {
      out_.push_back('\\');
      out_.append(bytes);
    } else if (c == '\n') {
      out_ += "\\n";
    } else if (c == '\r') {
      out_ += "\\r";
    } else if (c == '\t') {
      out_ += "\\t";
    } else if (IsPrintable(c)) {
      out_.append(bytes);
    } else {
      char escape[12];
      const char* format = c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x";
      std::snprintf(escape, sizeof(escape), format, static_cast<unsigned>(c));
      out_ += escape;
    }
  }

  absl::Status WriteSequence(const Sequence& sequence, const char* type_name, int depth) {
    using Type = Sequence::Type;
    if (sequence.type == Type::kRange) {
      WriteRange(sequence.items);
      return absl::OkStatus();
    }
    const bool tuple = sequence.type == Type::kTuple;
    const bool view = sequence.type != Type::kList && !tuple;
    if (view) out_ += Concat(type_name, "(");
    out_ += tuple ? "(" : "[";
    for (size_t i = 0; i < sequence.items.size(); ++i) {
      if (i > 0) out_ += ", ";
      RETURN_IF_ERROR(Write(sequence.items[i], depth + 1));
    }
    if (tuple && sequence.items.size() == 1) out_ += ",";
    out_ += tuple ? ")" : "]";
    if (view) out_ += ")";
    return absl::OkStatus();
  }

  // By its items: Python keeps the stop that was given, which may lie behind this one.
  void WriteRange(const Values& items) {
    const Integer first = items.empty() ? Integer{0} : items.front().integer();
    const Integer step = items.size() < 2 ? Integer{1} : items[1].integer() - first;
    const Integer stop = items.empty() ? Integer{0} : items.back().integer() + step;
    out_ += Concat("range(", IntegerText(first), ", ", IntegerText(stop));
    if (step != 1) out_ += Concat(", ", IntegerText(step));
    out_ += ")";
  }

  absl::Status WriteDict(const Dict& dict, int depth) {
    out_ += "{";
    bool first = true;
    for (const auto& [key, value] : dict.items()) {
      if (!first) out_ += ", ";
      first = false;
      RETURN_IF_ERROR(Write(key, depth + 1));
      out_ += ": ";
      RETURN_IF_ERROR(Write(value, depth + 1));
    }
    out_ += "}";
    return absl::OkStatus();
  }

  Runtime& runtime_;
  std::string& out_;
};

}  // namespace

std::string IntegerText(Integer value) {
  const bool negative = value < 0;
  // The magnitude as unsigned: the least value has no positive counterpart.
  auto magnitude = static_cast<unsigned __int128>(value);
  if (negative) magnitude = -magnitude;
  std::string digits;
  do {
    digits.push_back(static_cast<char>('0' + static_cast<int>(magnitude % 10)));
    magnitude /= 10;
  } while (magnitude != 0);
  if (negative) digits.push_back('-');
  std::reverse(digits.begin(), digits.end());
  return digits;
}

std::string FloatText(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[64];
  auto end = std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific);
  std::string shortest(buffer, end.ptr);
  int exponent = std::atoi(shortest.c_str() + shortest.find('e') + 1);
  if (exponent < -4 || exponent >= 16) return shortest;
  end = std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::fixed);
  std::string fixed(buffer, end.ptr);
  if (fixed.find('.') == std::string::npos) fixed += ".0";
  return fixed;
}

absl::Status AppendRepr(const Value& value, Runtime& runtime, std::string& out) {
  RETURN_IF_ERROR(ReprWriter(runtime, out).Write(value, 0));
  return runtime.SpendAppend(out.size(), 0);  // Escapes are longer than what they stand for.
}

absl::Status AppendStr(const Value& value, Runtime& runtime, std::string& out) {
  if (value.IsUndefined()) return absl::OkStatus();
  if (!value.IsString()) return AppendRepr(value, runtime, out);
  RETURN_IF_ERROR(runtime.SpendAppend(out.size(), value.string().size()));
  out.append(value.string());
  return absl::OkStatus();
}

absl::StatusOr<std::string> Str(const Value& value, Runtime& runtime) {
  std::string text;
  RETURN_IF_ERROR(AppendStr(value, runtime, text));
  return text;
}

}  // namespace regatta::jinja
