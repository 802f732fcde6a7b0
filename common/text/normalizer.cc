// Normalisation forms by ICU, which is the reference implementation of Unicode; the other steps.
#include "common/text/normalizer.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/stringpiece.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <cstdint>
#include <type_traits>
#include <utility>

#include "common/check.h"
#include "common/status_macros.h"
#include "common/text/utf8.h"

namespace regatta {
namespace {

const icu::Normalizer2& Instance(UnicodeForm form) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* instance = nullptr;
  switch (form) {
    case UnicodeForm::kNfc:
      instance = icu::Normalizer2::getNFCInstance(status);
      break;
    case UnicodeForm::kNfd:
      instance = icu::Normalizer2::getNFDInstance(status);
      break;
    case UnicodeForm::kNfkc:
      instance = icu::Normalizer2::getNFKCInstance(status);
      break;
    case UnicodeForm::kNfkd:
      instance = icu::Normalizer2::getNFKDInstance(status);
      break;
  }
  CHECK(U_SUCCESS(status)) << "ICU cannot load its normalisation data: " << u_errorName(status);
  return *instance;
}

// Characters after which a run of marks is cut. Reordering a run costs its length squared;
// Unicode's Stream-Safe Text Format (UAX #15, section 13) allows 30 marks.
constexpr int kLongestRun = 512;

// Where the stretch of `text` that begins at `begin` ends: at the end of the text, or within a run
// of marks too long.
size_t StretchEnd(const icu::Normalizer2& normalizer, std::string_view text, size_t begin) {
  constexpr UChar32 kFirstMark = 0x300;
  const auto* data = reinterpret_cast<const uint8_t*>(text.data());
  int run = 0;
  for (size_t i = begin; i < text.size();) {
    size_t character = i;
    UChar32 c;
    U8_NEXT(data, i, text.size(), c);
    run = c < kFirstMark || normalizer.hasBoundaryBefore(c) ? 0 : run + 1;
    if (run > kLongestRun) return character;
  }
  return text.size();
}

icu::StringPiece Piece(std::string_view text) {
  return icu::StringPiece(text.data(), static_cast<int32_t>(text.size()));
}

// False also for text that has to be taken in several stretches.
bool IsNormalized(const icu::Normalizer2& normalizer, std::string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  return StretchEnd(normalizer, text, 0) == text.size() &&
         normalizer.isNormalizedUTF8(Piece(text), status) && U_SUCCESS(status);
}

void NormalizeInStretches(const icu::Normalizer2& normalizer, std::string_view text,
                          std::string& out) {
  out.clear();
  icu::StringByteSink<std::string> sink(&out, static_cast<int32_t>(text.size()));
  for (size_t begin = 0; begin < text.size();) {
    size_t end = StretchEnd(normalizer, text, begin);
    UErrorCode status = U_ZERO_ERROR;
    normalizer.normalizeUTF8(0, Piece(text.substr(begin, end - begin)), sink, nullptr, status);
    CHECK(U_SUCCESS(status)) << u_errorName(status);
    begin = end;
  }
}

// Character by character, whatever stands around it: a final sigma is not told apart.
void AppendLowercase(std::string_view text, std::string& out) {
  const auto* data = reinterpret_cast<const uint8_t*>(text.data());
  for (size_t i = 0; i < text.size();) {
    UChar32 c;
    U8_NEXT(data, i, text.size(), c);
    constexpr UChar32 kDottedI = 0x130;  // The only one that becomes two characters.
    if (c == kDottedI) {
      out.append("i\u0307");
      continue;
    }
    uint8_t bytes[U8_MAX_LENGTH];
    int32_t size = 0;
    U8_APPEND_UNSAFE(bytes, size, u_tolower(c));
    out.append(reinterpret_cast<const char*>(bytes), size);
  }
}

std::string_view Strip(const StripRule& rule, std::string_view text) {
  const auto* data = reinterpret_cast<const uint8_t*>(text.data());
  int32_t begin = 0, end = static_cast<int32_t>(text.size());
  for (int32_t i = 0; rule.left && begin < end; begin = i) {
    UChar32 c;
    U8_NEXT(data, i, end, c);
    if (!u_isUWhiteSpace(c)) break;
  }
  for (int32_t i = end; rule.right && begin < end; end = i) {
    UChar32 c;
    U8_PREV(data, begin, i, c);
    if (!u_isUWhiteSpace(c)) break;
  }
  return text.substr(begin, end - begin);
}

// One step; the result is `text`, a part of it, or `out`.
struct StepApplier {
  std::string_view text;
  bool first;
  std::string& out;

  std::string_view operator()(UnicodeForm form) const {
    if (IsAscii(text)) return text;  // Every form leaves ASCII as it is.
    const icu::Normalizer2& normalizer = Instance(form);
    if (IsNormalized(normalizer, text)) return text;
    NormalizeInStretches(normalizer, text, out);
    return out;
  }
  std::string_view operator()(LowercaseRule) const {
    out.clear();
    AppendLowercase(text, out);
    return out;
  }
  std::string_view operator()(const StripRule& rule) const { return Strip(rule, text); }
  std::string_view operator()(const PrependRule& rule) const {
    if (text.empty() || (rule.first_only && !first)) return text;
    out.assign(rule.text).append(text);
    return out;
  }
  std::string_view operator()(const PatternReplacer& replacer) const {
    return replacer.Apply(text, out);
  }
};

}  // namespace

absl::StatusOr<Normalizer> Normalizer::Create(const std::vector<NormalizerStep>& steps) {
  Normalizer normalizer;
  for (const NormalizerStep& step : steps) {
    if (const auto* rule = std::get_if<ReplaceRule>(&step)) {
      ASSIGN_OR_RETURN(PatternReplacer replacer, PatternReplacer::Create(*rule));
      normalizer.steps_.emplace_back(std::move(replacer));
    } else {
      std::visit(
          [&](const auto& plain) {
            if constexpr (!std::is_same_v<decltype(plain), const ReplaceRule&>) {
              normalizer.steps_.emplace_back(plain);
            }
          },
          step);
    }
  }
  return normalizer;
}

std::string_view Normalizer::Apply(std::string_view text, bool first, Scratch& scratch) const {
  size_t next = 0;  // The buffer that does not hold `text`.
  for (const Step& step : steps_) {
    std::string& out = scratch.buffers[next];
    std::string_view result = std::visit(StepApplier{text, first, out}, step);
    if (result.data() == out.data()) next = 1 - next;
    text = result;
  }
  return text;
}

}  // namespace regatta
