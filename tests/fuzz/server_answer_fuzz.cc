// What a measured server answers: the same status, body and events wherever the network cuts it;
// the scanner of usual events says what the whole parser says.
#include <string>
#include <string_view>
#include <vector>

#include "common/check.h"
#include "orchestrator/openai/answer_parser.h"
#include "orchestrator/openai/chunk_scanner.h"
#include "orchestrator/openai/completion_chunk.h"
#include "orchestrator/openai/event_reader.h"
#include "tests/fuzz/fuzz_input.h"

namespace regatta {
namespace {

struct Outcome {
  bool refused = false;
  bool done = false;
  unsigned status = 0;
  std::string body;
  std::vector<std::string> events;

  bool operator==(const Outcome& other) const {
    // When a refusal comes, and what came before it, depends on the cut.
    if (!done && !other.done) return true;
    if (refused || other.refused) return refused == other.refused;
    return done == other.done && status == other.status && body == other.body &&
           events == other.events;
  }
};

Outcome Read(std::string_view bytes, size_t piece) {
  Outcome outcome;
  AnswerParser parser;
  EventReader reader;
  while (!bytes.empty() && !outcome.refused && !parser.done()) {
    const std::string_view now = bytes.substr(0, piece);
    bytes.remove_prefix(now.size());
    outcome.refused = !parser.Feed({now.data(), now.size()}).ok();
    outcome.body += parser.body();
    reader.Feed(parser.body(), [&](absl::string_view data) { outcome.events.emplace_back(data); });
    parser.body().clear();
  }
  // Bytes behind the end are refused when they come with it.
  outcome.refused |= parser.done() && !bytes.empty();
  outcome.done = parser.done();
  outcome.status = parser.status();
  return outcome;
}

// Where the scanner is sure, the whole parser agrees.
void CompareParsers(absl::string_view event) {
  CompletionChunk scanned;
  if (!ScanCompletionChunk(event, scanned)) return;
  const auto whole = ParseWholeCompletionChunk(event);
  CHECK(whole.ok()) << whole.status();
  CHECK(scanned.text == whole->text && scanned.finish == whole->finish);
  CHECK(scanned.usage.has_value() == whole->usage.has_value());
  if (scanned.usage) {
    CHECK(scanned.usage->SerializeAsString() == whole->usage->SerializeAsString());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzInput input(data, size);
  const size_t piece = 1 + input.Byte() % 16;
  const std::string_view bytes = input.Rest();
  const Outcome whole = Read(bytes, bytes.size() + 1);
  CHECK(whole == Read(bytes, piece)) << "in pieces of " << piece;
  CompareParsers({bytes.data(), bytes.size()});
  for (const std::string& event : whole.events) {
    CompareParsers(event);
    const auto chunk = ParseCompletionChunk(event);
    CHECK(chunk.ok() || chunk.status().code() != absl::StatusCode::kOk);
  }
  if (!whole.refused && whole.status != 200) {
    CHECK(!StatusOfAnswer(whole.status, whole.body).ok());
  }
  return 0;
}

}  // namespace regatta
