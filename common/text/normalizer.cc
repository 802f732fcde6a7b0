// Normalisation forms by ICU, which is the reference implementation of Unicode.
#include "common/text/normalizer.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/stringpiece.h>

#include <cstdint>
#include <utility>

#include "common/check.h"

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

}  // namespace

std::string_view Normalize(const std::vector<UnicodeForm>& forms, std::string_view text,
                           std::string& storage) {
  for (UnicodeForm form : forms) {
    const icu::Normalizer2& normalizer = Instance(form);
    icu::StringPiece source(text.data(), static_cast<int32_t>(text.size()));
    UErrorCode status = U_ZERO_ERROR;
    if (normalizer.isNormalizedUTF8(source, status) && U_SUCCESS(status)) continue;
    std::string result;
    icu::StringByteSink<std::string> sink(&result, source.size());
    status = U_ZERO_ERROR;
    normalizer.normalizeUTF8(0, source, sink, nullptr, status);
    CHECK(U_SUCCESS(status)) << u_errorName(status);
    storage = std::move(result);
    text = storage;
  }
  return text;
}

}  // namespace regatta
