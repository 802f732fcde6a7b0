// Regex over PCRE2: compilation, JIT, bounded matching. The dialect is translated in
// regex_dialect.cc.
#include "common/text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

// Backtracks allowed to one match. A megabyte of blanks takes about one million with the usual
// patterns.
constexpr uint32_t kMatchLimit = 20'000'000;
constexpr uint32_t kHeapLimitKib = 64 * 1024;

template <auto Free>
struct Freer {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};

}  // namespace

struct Regex::Scratch::Impl {
  std::unique_ptr<pcre2_match_data, Freer<pcre2_match_data_free>> data{
      pcre2_match_data_create(1, nullptr)};
};

Regex::Scratch::Scratch() : impl_(std::make_unique<Impl>()) {
  CHECK(impl_->data != nullptr) << "out of memory";
}
Regex::Scratch::~Scratch() = default;
Regex::Scratch::Scratch(Scratch&&) noexcept = default;
Regex::Scratch& Regex::Scratch::operator=(Scratch&&) noexcept = default;

struct Regex::Impl {
  std::unique_ptr<pcre2_code, Freer<pcre2_code_free>> code;
  std::unique_ptr<pcre2_match_context, Freer<pcre2_match_context_free>> limits;
  bool jit = false;
};

Regex::Regex(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Regex::~Regex() = default;
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;

absl::StatusOr<Regex> Regex::Compile(const std::string& pattern, bool literal) {
  std::string translated = pattern;
  uint32_t options = PCRE2_UTF | PCRE2_LITERAL;
  if (!literal) {
    ASSIGN_OR_RETURN(translated, PcreFromOniguruma(pattern));
    // Ruby's ^ and $ always match at lines.
    options = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE;
  }
  std::unique_ptr<pcre2_compile_context, Freer<pcre2_compile_context_free>> context(
      pcre2_compile_context_create(nullptr));
  CHECK(context != nullptr) << "out of memory";
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);

  int error = 0;
  PCRE2_SIZE position = 0;
  auto impl = std::make_unique<Impl>();
  impl->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                                 options, &error, &position, context.get()));
  if (impl->code == nullptr) {
    PCRE2_UCHAR message[256] = {};
    pcre2_get_error_message(error, message, sizeof(message));
    return absl::InvalidArgumentError(
        absl::StrCat("pattern \"", pattern, "\": ", reinterpret_cast<const char*>(message),
                     " at byte ", position, " of \"", translated, "\""));
  }
  // Without JIT (not built in, or the kernel forbids executable memory) matching is slower, not
  // different.
  impl->jit = pcre2_jit_compile(impl->code.get(), PCRE2_JIT_COMPLETE) == 0;
  impl->limits.reset(pcre2_match_context_create(nullptr));
  CHECK(impl->limits != nullptr) << "out of memory";
  pcre2_set_match_limit(impl->limits.get(), kMatchLimit);
  pcre2_set_heap_limit(impl->limits.get(), kHeapLimitKib);
  return Regex(std::move(impl));
}

bool Regex::Find(std::string_view text, size_t from, Scratch& scratch, Match& match) const {
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  pcre2_match_data* data = scratch.impl_->data.get();
  int result = PCRE2_ERROR_JIT_STACKLIMIT;
  if (impl_->jit) {
    result = pcre2_jit_match(impl_->code.get(), subject, text.size(), from, 0, data,
                             impl_->limits.get());
  }
  if (result == PCRE2_ERROR_JIT_STACKLIMIT) {  // Deep backtracking: the interpreter uses the heap.
    result = pcre2_match(impl_->code.get(), subject, text.size(), from,
                         PCRE2_NO_JIT | PCRE2_NO_UTF_CHECK, data, impl_->limits.get());
  }
  if (result < 0) return false;
  const PCRE2_SIZE* offsets = pcre2_get_ovector_pointer(data);
  match = {.begin = offsets[0], .end = offsets[1]};
  return true;
}

}  // namespace regatta
