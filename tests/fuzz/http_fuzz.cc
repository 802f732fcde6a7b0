// HTTP requests, one after another on a connection, in two cuts: what is understood, and whether
// something is refused, must not depend on where the network cuts the bytes.
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "common/check.h"
#include "router/http/request_parser.h"
#include "router/http/target.h"
#include "tests/fuzz/fuzz_input.h"

namespace regatta {
namespace {

// Small, so that small inputs reach them.
const HttpLimits kLimits = {
    .max_target_bytes = 64, .max_header_bytes = 512, .max_headers = 8, .max_body_bytes = 256};

struct Outcome {
  std::vector<HttpRequest> requests;
  std::vector<std::string> targets;
  bool refused = false;
};

void CheckLimits(const RequestParser& parser, const HttpRequest& request) {
  CHECK_LE(request.headers.size(), kLimits.max_headers);
  CHECK_LE(request.body.size(), kLimits.max_body_bytes);
  CHECK_LE(parser.target().size(), kLimits.max_target_bytes);
}

void CheckTarget(const std::string& text) {
  const auto target = ParseTarget(text);
  if (!target.ok()) return;
  CHECK(target->path == "*" || target->path[0] == '/') << target->path;
  CHECK(target->path.find("/../") == std::string::npos) << target->path;
  for (const char c : target->path) CHECK(static_cast<uint8_t>(c) >= 0x20) << target->path;
}

void CheckError(const RequestParser& parser) {
  const unsigned status = parser.error_status();
  CHECK(status == 400 || status == 413 || status == 414 || status == 431 || status == 501)
      << status;
  CHECK(!parser.error_message().empty());
}

// Feeds `bytes` in pieces of random sizes up to `longest`, as a connection would.
Outcome Parse(std::string_view bytes, size_t longest, uint32_t seed) {
  std::mt19937 random(seed);
  Outcome outcome;
  std::string unread;
  auto parser = std::make_unique<RequestParser>(kLimits);
  while (!bytes.empty()) {
    const std::string_view piece = bytes.substr(0, 1 + random() % longest);
    bytes.remove_prefix(piece.size());
    unread += piece;
    for (bool more = false; !more && !unread.empty();) {
      std::string_view input = unread;
      const RequestParser::Step step = parser->Feed(input);
      unread.erase(0, unread.size() - input.size());
      // A parser keeps no more of an unfinished line than its limits say.
      CHECK_LE(parser->request().body.size(), kLimits.max_body_bytes);
      switch (step) {
        case RequestParser::Step::kNeedMore:
          more = true;
          CHECK_LE(unread.size(), kLimits.max_header_bytes);
          break;
        case RequestParser::Step::kHeader:
          CheckTarget(parser->target());
          if (parser->has_body()) break;
          [[fallthrough]];
        case RequestParser::Step::kDone:
          CheckLimits(*parser, parser->request());
          outcome.targets.push_back(parser->target());
          outcome.requests.push_back(std::move(parser->request()));
          parser = std::make_unique<RequestParser>(kLimits);
          break;
        case RequestParser::Step::kError:
          CheckError(*parser);
          outcome.refused = true;
          return outcome;
      }
    }
  }
  return outcome;
}

void CheckSame(const Outcome& a, const Outcome& b) {
  CHECK_EQ(a.refused, b.refused);
  CHECK_EQ(a.requests.size(), b.requests.size());
  CHECK(a.targets == b.targets);
  for (size_t i = 0; i < a.requests.size(); ++i) {
    CHECK_EQ(a.requests[i].method, b.requests[i].method);
    CHECK(a.requests[i].headers == b.requests[i].headers);
    CHECK_EQ(a.requests[i].body, b.requests[i].body);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // A header that came in pieces is judged at its end.
  const std::string bytes = std::string(FuzzInput(data, size).Rest()) + "\r\n\r\n";
  const Outcome whole = Parse(bytes, /*longest=*/1 << 20, 0);
  CheckSame(whole, Parse(bytes, /*longest=*/1, 0));
  CheckSame(whole, Parse(bytes, /*longest=*/40, SeedOf(bytes)));
  return 0;
}

}  // namespace regatta
