// A recursive descent over the bytes; see chunk_scanner.h.
#include "orchestrator/openai/chunk_scanner.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>

namespace regatta {
namespace {

constexpr int kMaxDepth = 16;
constexpr int kMaxDigits = 18;  // fits 64 bits

// Every member leaves the position behind what it took, or fails for good.
class Scanner {
 public:
  explicit Scanner(absl::string_view json) : at_(json.data()), end_(json.data() + json.size()) {}

  bool ok() const { return ok_; }
  bool AtEnd() {
    SkipSpace();
    return at_ == end_;
  }
  // The next byte that is no space; 0 at the end.
  char Peek() {
    SkipSpace();
    return at_ == end_ ? 0 : *at_;
  }
  void Fail() { ok_ = false; }

  // Calls `member(key)` for each member; it must take the value.
  template <typename Member>
  void Object(const Member& member) {
    if (!Take('{')) return Fail();
    if (Take('}')) return;
    do {
      if (Peek() != '"') return Fail();
      const absl::string_view key = PlainString();
      if (!ok_ || !Take(':')) return Fail();
      member(key);
      if (!ok_) return;
    } while (Take(','));
    if (!Take('}')) Fail();
  }

  // Calls `element()` for each element; it must take it.
  template <typename Element>
  void Array(const Element& element) {
    if (!Take('[')) return Fail();
    if (Take(']')) return;
    do {
      element();
      if (!ok_) return;
    } while (Take(','));
    if (!Take(']')) Fail();
  }

  // A string with its escapes resolved.
  void String(std::string& value) {
    const char* start = Open();
    while (ok_) {
      const char* stop = PlainEnd();
      value.append(start, stop);
      at_ = stop;
      if (at_ == end_ || (*at_ != '"' && *at_ != '\\')) return Fail();
      if (*at_++ == '"') return;
      if (at_ == end_) return Fail();
      const char resolved = Escaped(*at_++);
      if (resolved == 0) return Fail();
      value.push_back(resolved);
      start = at_;
    }
  }

  // A whole number without sign, at most 2^32 - 1.
  uint32_t Count() {
    SkipSpace();
    uint64_t value = 0;
    const char* first = at_;
    for (; at_ != end_ && IsDigit(*at_); ++at_) {
      if (at_ - first == kMaxDigits) Fail();
      if (!ok_) return 0;
      value = value * 10 + (*at_ - '0');
    }
    const bool leading_zero = at_ - first > 1 && *first == '0';
    const bool fraction = at_ != end_ && (*at_ == '.' || *at_ == 'e' || *at_ == 'E');
    if (at_ == first || leading_zero || fraction) Fail();
    return static_cast<uint32_t>(std::min<uint64_t>(value, std::numeric_limits<uint32_t>::max()));
  }

  // Any value.
  void Skip(int depth = 0) {
    if (depth > kMaxDepth) return Fail();
    switch (Peek()) {
      case '{':
        return Object([&](absl::string_view) { Skip(depth + 1); });
      case '[':
        return Array([&] { Skip(depth + 1); });
      case '"':
        skipped_.clear();
        return String(skipped_);
      case 'n':
        return Word("null");
      case 't':
        return Word("true");
      case 'f':
        return Word("false");
      default:
        return Number();
    }
  }

 private:
  static bool IsDigit(char c) { return c >= '0' && c <= '9'; }
  // Printable ASCII that stands for itself in a string.
  static bool IsPlain(char c) { return c >= ' ' && c < 0x7f && c != '"' && c != '\\'; }

  static char Escaped(char c) {
    constexpr char kFrom[] = "\"\\/bfnrt", kTo[] = "\"\\/\b\f\n\r\t";
    const char* found = c == 0 ? nullptr : std::strchr(kFrom, c);
    return found == nullptr ? 0 : kTo[found - kFrom];
  }

  void SkipSpace() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
  }

  bool Take(char c) {
    if (Peek() != c) return false;
    ++at_;
    return true;
  }

  // The quote; where the string begins.
  const char* Open() {
    if (!Take('"')) Fail();
    return at_;
  }

  const char* PlainEnd() const {
    const char* at = at_;
    while (at != end_ && IsPlain(*at)) ++at;
    return at;
  }

  // A string without escapes, in place.
  absl::string_view PlainString() {
    const char* start = Open();
    const char* stop = PlainEnd();
    if (stop == end_ || *stop != '"') Fail();
    if (!ok_) return {};
    at_ = stop + 1;
    return absl::string_view(start, stop - start);
  }

  void Word(absl::string_view word) {
    if (static_cast<size_t>(end_ - at_) < word.size() ||
        std::memcmp(at_, word.data(), word.size()) != 0) {
      return Fail();
    }
    at_ += word.size();
  }

  int Digits() {
    const char* first = at_;
    while (at_ != end_ && IsDigit(*at_)) ++at_;
    return static_cast<int>(std::min<ptrdiff_t>(at_ - first, kMaxDigits + 1));
  }

  void Number() {
    Take('-');
    const bool zero = at_ != end_ && *at_ == '0';
    const int whole = Digits();
    if (whole == 0 || whole > kMaxDigits || (zero && whole > 1)) return Fail();
    if (at_ != end_ && *at_ == '.') {
      ++at_;
      if (Digits() == 0) return Fail();
    }
    if (at_ != end_ && (*at_ == 'e' || *at_ == 'E')) Fail();
  }

  const char* at_;
  const char* end_;
  bool ok_ = true;
  std::string skipped_;
};

// Keys whose value counts must come once: of several the last one would win.
class Once {
 public:
  explicit Once(Scanner& scanner) : scanner_(scanner) {}
  void See(int key) {
    if (seen_ & 1u << key) scanner_.Fail();
    seen_ |= 1u << key;
  }

 private:
  Scanner& scanner_;
  unsigned seen_ = 0;
};

void StringOrSkip(Scanner& scanner, std::string& value) {
  if (scanner.Peek() == '"') {
    scanner.String(value);
  } else {
    scanner.Skip();
  }
}

// The parts of a delta or message, in the order in which they count.
void ScanMessage(Scanner& scanner, std::string& text) {
  if (scanner.Peek() != '{') return scanner.Skip();
  std::string parts[3];
  Once once(scanner);
  scanner.Object([&](absl::string_view key) {
    const int part = key == "reasoning_content" ? 0
                     : key == "reasoning"       ? 1
                     : key == "content"         ? 2
                                                : 3;
    if (part == 3) return scanner.Skip();
    once.See(part);
    StringOrSkip(scanner, parts[part]);
  });
  for (const std::string& part : parts) text += part;
}

void ScanChoice(Scanner& scanner, CompletionChunk& chunk) {
  if (scanner.Peek() != '{') return scanner.Skip();
  std::string delta, message, reason;
  Once once(scanner);
  scanner.Object([&](absl::string_view key) {
    if (key == "text") {
      once.See(0);
      StringOrSkip(scanner, chunk.text);
    } else if (key == "delta") {
      once.See(1);
      ScanMessage(scanner, delta);
    } else if (key == "message") {
      once.See(2);
      ScanMessage(scanner, message);
    } else if (key == "finish_reason") {
      once.See(3);
      StringOrSkip(scanner, reason);
    } else {
      scanner.Skip();
    }
  });
  chunk.text += delta;
  chunk.text += message;
  chunk.finish = FinishOf(reason);
}

void ScanChoices(Scanner& scanner, CompletionChunk& chunk) {
  bool first = true;
  scanner.Array([&] {
    if (first) {
      ScanChoice(scanner, chunk);
    } else {
      scanner.Skip();
    }
    first = false;
  });
}

void ScanDetails(Scanner& scanner, Usage& usage) {
  if (scanner.Peek() != '{') return scanner.Skip();
  Once once(scanner);
  scanner.Object([&](absl::string_view key) {
    if (key != "cached_tokens") return scanner.Skip();
    once.See(0);
    usage.set_cached_tokens(scanner.Count());
  });
}

void ScanUsage(Scanner& scanner, CompletionChunk& chunk) {
  if (scanner.Peek() != '{') return scanner.Skip();
  Usage& usage = chunk.usage.emplace();
  Once once(scanner);
  scanner.Object([&](absl::string_view key) {
    if (key == "prompt_tokens") {
      once.See(0);
      usage.set_prompt_tokens(scanner.Count());
    } else if (key == "completion_tokens") {
      once.See(1);
      usage.set_output_tokens(scanner.Count());
    } else if (key == "prompt_tokens_details") {
      once.See(2);
      ScanDetails(scanner, usage);
    } else {
      scanner.Skip();
    }
  });
}

}  // namespace

bool ScanCompletionChunk(absl::string_view json, CompletionChunk& chunk) {
  Scanner scanner(json);
  Once once(scanner);
  bool has_choices = false;
  scanner.Object([&](absl::string_view key) {
    if (key == "choices") {
      once.See(0);
      has_choices = true;
      ScanChoices(scanner, chunk);
    } else if (key == "usage") {
      once.See(1);
      ScanUsage(scanner, chunk);
    } else if (key == "error") {
      once.See(2);
      if (scanner.Peek() != 'n') scanner.Fail();
      scanner.Skip();
    } else {
      scanner.Skip();
    }
  });
  return scanner.ok() && has_choices && scanner.AtEnd();
}

}  // namespace regatta
