// Chat templates of checkpoints, over a conversation with everything in it: refused with a reason,
// or rendered within their limits.
#include <chrono>
#include <nlohmann/json.hpp>
#include <string>

#include "common/check.h"
#include "common/jinja/template.h"
#include "common/text/utf8.h"
#include "tests/fuzz/fuzz_input.h"

namespace regatta::jinja {
namespace {

constexpr size_t kMaxText = 1 << 16;
const Limits kLimits = {50'000, kMaxText, std::chrono::milliseconds(2'000)};

const Dict& Variables() {
  static const Value& variables = *new Value(*FromJson(nlohmann::ordered_json::parse(R"({
    "messages": [{"role": "system", "content": " Be brief.\n"}, {"role": "user", "content": "Grüße 😀"},
                 {"role": "assistant", "content": "", "tool_calls": [{"id": "abcdefghi", "type": "function",
                    "function": {"name": "f", "arguments": {"x": [1, 2.5, null, true]}}}]},
                 {"role": "tool", "content": "7", "tool_call_id": "abcdefghi"}],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    "documents": null, "add_generation_prompt": true, "bos_token": "<s>", "eos_token": "</s>"})")));
  return variables.dict();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto parsed = Template::Parse(FuzzInput(data, size).Rest());
  if (!parsed.ok()) {
    CHECK(!parsed.status().message().empty());
    return 0;
  }
  const auto text = parsed->Render(Variables(), kLimits, 1'800'000'000);
  if (text.ok()) {
    CHECK(text->size() <= kMaxText && IsValidUtf8(*text));
  } else {
    CHECK(!text.status().message().empty());
  }
  return 0;
}

}  // namespace regatta::jinja
