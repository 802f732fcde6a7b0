// Normalisation forms by ICU, which is the reference implementation of Unicode.
#include "common/text/normalizer.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/stringpiece.h>
#include <unicode/utf8.h>

#include <cstdint>

#include "common/check.h"
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

std::string NormalizeInStretches(const icu::Normalizer2& normalizer, std::string_view text) {
  std::string result;
  icu::StringByteSink<std::string> sink(&result, static_cast<int32_t>(text.size()));
  for (size_t begin = 0; begin < text.size();) {
    size_t end = StretchEnd(normalizer, text, begin);
    UErrorCode status = U_ZERO_ERROR;
    normalizer.normalizeUTF8(0, Piece(text.substr(begin, end - begin)), sink, nullptr, status);
    CHECK(U_SUCCESS(status)) << u_errorName(status);
    begin = end;
  }
  return result;
}

}  // namespace

std::string_view Normalize(const std::vector<UnicodeForm>& forms, std::string_view text,
                           std::string& storage) {
  if (IsAscii(text)) return text;  // Every form leaves ASCII as it is.
  for (UnicodeForm form : forms) {
    const icu::Normalizer2& normalizer = Instance(form);
    if (IsNormalized(normalizer, text)) continue;
    storage = NormalizeInStretches(normalizer, text);
    text = storage;
  }
  return text;
}

}  // namespace regatta
