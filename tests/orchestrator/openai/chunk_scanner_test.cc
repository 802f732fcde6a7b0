// The scanner beside the whole parser: what it takes, what it leaves, and that they never differ.
#include "orchestrator/openai/chunk_scanner.h"

#include <gtest/gtest.h>

#include <random>

namespace regatta {
namespace {

// Events of vLLM, SGLang, TensorRT-LLM, OpenAI and Regatta, as they come most often.
const char* const kUsual[] = {
    R"({"id":"cmpl-1","object":"text_completion","created":1700000000,"model":"m","choices":[{"index":0,"text":" the","logprobs":null,"finish_reason":null,"stop_reason":null}],"usage":{"prompt_tokens":9,"total_tokens":11,"completion_tokens":2}})",
    R"({"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"He said \"no\"\n"},"logprobs":null,"finish_reason":null}]})",
    R"({"choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning_content":null},"finish_reason":null,"matched_stop":null}],"usage":null})",
    R"({"choices":[{"index":0,"delta":{"reasoning_content":"hm","content":"b"},"finish_reason":"length"}],"error":null})",
    R"({"id":"x","choices":[],"usage":{"prompt_tokens":5,"total_tokens":9,"completion_tokens":4,"prompt_tokens_details":null}})",
    R"({"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":4,"prompt_tokens_details":{"audio":0,"cached_tokens":3}}})",
    R"( { "choices" : [ { "text" : "a\\b\/c\t" , "finish_reason" : "stop" , "p" : -0.25 , "q" : [true, false, {"x": []}] }, 7 ] } )",
};

bool Same(const CompletionChunk& a, const CompletionChunk& b) {
  if (a.text != b.text || a.finish != b.finish || a.usage.has_value() != b.usage.has_value()) {
    return false;
  }
  return !a.usage || a.usage->SerializeAsString() == b.usage->SerializeAsString();
}

// True when the scanner took it; then both must agree.
bool Taken(const std::string& text) {
  CompletionChunk scanned;
  if (!ScanCompletionChunk(text, scanned)) return false;
  const auto whole = ParseWholeCompletionChunk(text);
  EXPECT_TRUE(whole.ok()) << text << ": " << whole.status();
  if (whole.ok()) {
    EXPECT_TRUE(Same(scanned, *whole)) << text;
  }
  return true;
}

TEST(ChunkScannerTest, UsualEventsAreTaken) {
  for (const char* text : kUsual) EXPECT_TRUE(Taken(text)) << text;
}

TEST(ChunkScannerTest, UnusualEventsAreLeftToTheParser) {
  for (const char* text :
       {"",
        "{",
        "[]",
        "{}",
        "null",
        R"({"choices":7})",
        R"({"choices":[]} x)",
        R"({"choices":[],"choices":[]})",
        R"({"choices":[{"text":"a","text":"b"}]})",
        R"({"error":{"message":"m"},"choices":[]})",
        R"({"choices":[{"text":"\u0041"}]})",
        "{\"choices\":[{\"text\":\"\xc3\xa9\"}]}",
        "{\"choices\":[{\"text\":\"\n\"}]}",
        R"({"choices":[{"text":"a}]})",
        R"({"choices":[],"created":1e999})",
        R"({"choices":[],"created":01})",
        R"({"choices":[],})",
        R"({"choices":[1,]})",
        R"({"choices":[],"usage":{"prompt_tokens":-1}})",
        R"({"choices":[],"usage":{"prompt_tokens":1.0}})",
        R"({"choices":[],"usage":{"prompt_tokens":99999999999999999999}})",
        R"({"choices":[],"usage":{"prompt_tokens_details":{"cached_tokens":null}}})"}) {
    EXPECT_FALSE(Taken(text)) << text;
  }
  EXPECT_FALSE(
      Taken(R"({"choices":[],"a":)" + std::string(100, '[') + std::string(100, ']') + "}"));
}

// Events with a few bytes changed, removed, doubled or spliced from another: 200,000 of them.
TEST(ChunkScannerTest, NeitherDiffersWhateverTheBytes) {
  std::mt19937_64 random(20260101);
  const auto below = [&](size_t bound) { return random() % bound; };
  const std::string alphabet = "{}[]\",:\\/ntu01-.eE +\n\xc3\xa9null";
  int taken = 0;
  for (int i = 0; i < 200'000; ++i) {
    std::string text = kUsual[below(std::size(kUsual))];
    for (size_t edits = 1 + below(3); edits > 0; --edits) {
      const size_t at = below(text.size());
      switch (below(4)) {
        case 0:
          text[at] = alphabet[below(alphabet.size())];
          break;
        case 1:
          text.erase(at, 1 + below(6));
          break;
        case 2:
          text.insert(at, text.substr(below(text.size()), below(30)));
          break;
        default:
          const std::string other = kUsual[below(std::size(kUsual))];
          text.insert(at, other.substr(below(other.size()), below(30)));
      }
      if (text.empty()) text = "{";
    }
    taken += Taken(text);
  }
  EXPECT_GT(taken, 20'000);
}

}  // namespace
}  // namespace regatta
