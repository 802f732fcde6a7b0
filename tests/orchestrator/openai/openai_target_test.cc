// The HTTP target against servers that answer as told: streams cut anywhere, counts, connections,
// failures. Served models: tests/e2e.
#include "orchestrator/openai/openai_target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "absl/strings/str_cat.h"
#include "common/clock.h"
#include "orchestrator/openai/model_list.h"
#include "tests/orchestrator/openai/scripted_server.h"

namespace regatta {
namespace {

using testing::Chunk;
using testing::ChunkedHead;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Script;
using testing::ScriptedServer;
using testing::Whole;

std::string Event(const std::string& data) { return "data: " + data + "\n\n"; }
std::string Token(const std::string& text) {
  return Event(R"({"choices":[{"text":")" + text + R"(","finish_reason":null}]})");
}
std::string Last(const std::string& text, int tokens) {
  return Event(R"({"choices":[{"text":")" + text + R"(","finish_reason":"length"}]})") +
         Event(absl::StrCat(R"({"choices":[],"usage":{"prompt_tokens":4,"completion_tokens":)",
                            tokens, "}}")) +
         Event("[DONE]");
}

class Recorder final : public TargetEvents {
 public:
  struct Seen {
    std::vector<uint32_t> counts;
    std::string text;
    TokenDelta last;
    std::optional<absl::Status> end;
  };
  void OnDelta(uint64_t tag, const TokenDelta& delta, int64_t received_ns) override {
    Seen& seen = seen_[tag];
    EXPECT_FALSE(seen.end.has_value());
    EXPECT_LE(received_ns, RealClock().NowNs());
    if (delta.count() > 0) seen.counts.push_back(delta.count());
    seen.text += delta.text();
    seen.last = delta;
  }
  void OnEnd(uint64_t tag, const absl::Status& status, int64_t) override {
    EXPECT_FALSE(seen_[tag].end.has_value()) << "ended twice";
    seen_[tag].end = status;
  }
  Seen& operator[](uint64_t tag) { return seen_[tag]; }

 private:
  std::map<uint64_t, Seen> seen_;
};

class OpenAiTargetTest : public ::testing::Test {
 protected:
  void Serve(std::vector<Script> scripts) {
    server_.emplace(std::move(scripts));
    OpenAiServer server;
    server.url = *ParseHttpUrl(server_->url());
    server.body.model = "m";
    server.api_key = "secret";
    auto target = OpenAiTarget::Make(server, absl::Seconds(5));
    ASSERT_TRUE(target.ok()) << target.status();
    target_ = *std::move(target);
  }
  void Start(uint64_t tag) {
    GenerateRequest request;
    request.set_text("hello");
    request.set_max_tokens(4);
    target_->Start(tag, request);
  }
  // Runs request `tag` to its end.
  Recorder::Seen Run(uint64_t tag) {
    Start(tag);
    return Await(tag);
  }
  Recorder::Seen Await(uint64_t tag) {
    const int64_t deadline_ns = RealClock().NowNs() + 10'000'000'000;
    while (!seen_[tag].end && RealClock().NowNs() < deadline_ns) {
      target_->Poll(RealClock().NowNs() + 50'000'000, seen_);
    }
    EXPECT_TRUE(seen_[tag].end.has_value());
    if (!seen_[tag].end) seen_[tag].end = absl::UnknownError("no end");
    return seen_[tag];
  }
  std::string ErrorOf(uint64_t tag) { return Run(tag).end->ToString(); }

  std::optional<ScriptedServer> server_;
  std::unique_ptr<OpenAiTarget> target_;
  Recorder seen_;
};

TEST_F(OpenAiTargetTest, AStreamIsReadHoweverItIsCut) {
  const std::string answer = ChunkedHead() + Chunk(Token("a")) + Chunk(Token("b")) +
                             Chunk(Token("c") + Last("d", 4)) + "0\r\n\r\n";
  std::vector<Script> scripts;
  for (size_t cut = 1; cut < answer.size(); cut += 7) {
    scripts.push_back({{answer.substr(0, cut), answer.substr(cut)}});
  }
  const size_t runs = scripts.size();
  Serve(std::move(scripts));
  for (size_t tag = 0; tag < runs; ++tag) {
    const Recorder::Seen seen = Run(tag);
    EXPECT_TRUE(seen.end->ok()) << *seen.end;
    EXPECT_EQ(seen.text, "abcd");
    EXPECT_THAT(seen.counts, ElementsAre(1, 1, 1, 1));
    EXPECT_EQ(seen.last.finish_reason(), FINISH_REASON_LENGTH);
    EXPECT_EQ(seen.last.usage().prompt_tokens(), 4u);
  }
  EXPECT_EQ(server_->connections(), 1);  // Kept for the next request.
  EXPECT_THAT(server_->requests()[0],
              HasSubstr("POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1:"));
  EXPECT_THAT(server_->requests()[0], HasSubstr("\r\nAuthorization: Bearer secret\r\n"));
}

TEST_F(OpenAiTargetTest, InterimAnswersArePassedOverHoweverTheyAreCut) {
  const std::string interim =
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
  const std::string answer = interim + ChunkedHead() + Chunk(Last("d", 1)) + "0\r\n\r\n";
  std::vector<Script> scripts;
  for (size_t cut = 1; cut < interim.size() + 20; cut += 9) {
    scripts.push_back({{answer.substr(0, cut), answer.substr(cut)}});
  }
  std::string endless;
  for (int i = 0; i < 17; ++i) endless += "HTTP/1.1 100 Continue\r\n\r\n";
  scripts.push_back({{endless}});
  const size_t runs = scripts.size();
  Serve(std::move(scripts));
  for (size_t tag = 0; tag + 1 < runs; ++tag) {
    const Recorder::Seen seen = Run(tag);
    EXPECT_TRUE(seen.end->ok()) << *seen.end;
    EXPECT_EQ(seen.text, "d");
  }
  EXPECT_THAT(ErrorOf(runs), HasSubstr("more than 16 interim answers"));
}

TEST_F(OpenAiTargetTest, TheServersCountsAreBelieved) {
  const auto with_usage = [](const std::string& text, int tokens) {
    return Event(R"({"choices":[{"text":")" + text + R"("}],"usage":{"completion_tokens":)" +
                 absl::StrCat(tokens) + "}}");
  };
  Serve({{{ChunkedHead(), Chunk(with_usage("", 1)), Chunk(with_usage("ab", 4)), Chunk(Last("", 4)),
           "0\r\n\r\n"}},
         {{ChunkedHead(), Chunk(Token("abc")), Chunk(Last("d", 7)), "0\r\n\r\n"}}});
  EXPECT_THAT(Run(1).counts, ElementsAre(1, 3));
  EXPECT_THAT(Run(2).counts, ElementsAre(1, 1, 5));  // Five more than there were events.
}

TEST_F(OpenAiTargetTest, AWholeAnswerIsOneDelta) {
  Serve({{{Whole(200, "application/json",
                 R"({"choices":[{"text":"abc","finish_reason":"stop"}],
                     "usage":{"prompt_tokens":2,"completion_tokens":3}})")}}});
  const Recorder::Seen seen = Run(1);
  EXPECT_TRUE(seen.end->ok()) << *seen.end;
  EXPECT_THAT(seen.counts, ElementsAre(3));
  EXPECT_EQ(seen.last.finish_reason(), FINISH_REASON_STOP);
}

TEST_F(OpenAiTargetTest, FailuresSayWhatHappened) {
  Serve({{{Whole(429, "application/json", R"({"error":{"message":"full"}})")}},
         {{ChunkedHead(), Chunk(Token("a"))}, true},
         {{ChunkedHead(), Chunk(Token("a") + Event(R"({"error":{"message":"broken"}})"))}, true},
         {{ChunkedHead(), Chunk(Token("a")), "0\r\n\r\n"}},
         {{"SSH-2.0-OpenSSH\r\n"}, true},
         {{}, true}});
  EXPECT_EQ(ErrorOf(1), "RESOURCE_EXHAUSTED: HTTP 429: full");
  EXPECT_THAT(ErrorOf(2), HasSubstr("UNAVAILABLE: the server closed the connection"));
  EXPECT_THAT(ErrorOf(3), HasSubstr("broken"));
  EXPECT_THAT(ErrorOf(4), HasSubstr("the stream ended before the answer did"));
  EXPECT_THAT(ErrorOf(5), HasSubstr("the answer is no HTTP"));
  EXPECT_THAT(ErrorOf(6), HasSubstr("UNAVAILABLE"));
}

TEST_F(OpenAiTargetTest, AnIdleConnectionThatWasClosedIsReplaced) {
  const std::string answer = ChunkedHead() + Chunk(Last("a", 1)) + "0\r\n\r\n";
  Serve({{{answer}, true}, {{answer}}});
  EXPECT_TRUE(Run(1).end->ok());
  EXPECT_TRUE(Run(2).end->ok());
  EXPECT_EQ(server_->connections(), 2);
}

TEST_F(OpenAiTargetTest, ACancelledRequestEndsAtOnce) {
  Serve({{{ChunkedHead(), Chunk(Token("a"))}}});
  Start(1);
  while (seen_[1].counts.empty()) target_->Poll(RealClock().NowNs() + 50'000'000, seen_);
  target_->Cancel(1);
  target_->Cancel(99);
  EXPECT_EQ(Await(1).end->code(), absl::StatusCode::kCancelled);
}

TEST_F(OpenAiTargetTest, EndlessLinesAreRefused) {
  Serve({{{ChunkedHead(), "5;" + std::string(70'000, 'x')}}});
  EXPECT_THAT(ErrorOf(1), HasSubstr("a header or chunk line of over 65536 bytes"));
}

// However fast a server sends, the caller gets back to its deadlines.
TEST_F(OpenAiTargetTest, AFastServerDoesNotHoldThePoller) {
  Script endless{{ChunkedHead()}};
  for (int i = 0; i < 100'000; ++i) endless.pieces.push_back(Chunk(Token("a")));
  endless.pause = false;
  Serve({endless});
  Start(1);
  while (seen_[1].counts.empty()) target_->Poll(RealClock().NowNs() + 50'000'000, seen_);
  for (int i = 0; i < 20; ++i) {
    const int64_t start_ns = RealClock().NowNs();
    target_->Poll(start_ns + 10'000'000, seen_);
    EXPECT_LT(RealClock().NowNs() - start_ns, 2'000'000'000);
  }
  target_->Cancel(1);
  EXPECT_EQ(Await(1).end->code(), absl::StatusCode::kCancelled);
}

TEST_F(OpenAiTargetTest, NobodyListens) {
  Serve({});
  server_.reset();
  EXPECT_THAT(ErrorOf(1), HasSubstr("UNAVAILABLE: connection: "));
}

ModelPatience Patience(double seconds) { return {absl::Seconds(seconds), absl::Seconds(seconds)}; }

TEST(ModelListTest, WaitingForAServerIsBounded) {
  std::atomic<bool> stop = true;
  const HttpUrl nobody = *ParseHttpUrl("http://127.0.0.1:1");
  EXPECT_EQ(FirstModel(nobody, "", Patience(60), stop).status().code(),
            absl::StatusCode::kCancelled);
  stop = false;
  Script dripping{{"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"}};
  for (int i = 0; i < 3'000; ++i) dripping.pieces.push_back("x");
  ScriptedServer server({dripping});
  const int64_t start_ns = RealClock().NowNs();
  EXPECT_EQ(FirstModel(*ParseHttpUrl(server.url()), "", Patience(0.3), stop).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_LT(RealClock().NowNs() - start_ns, 5'000'000'000);
}

// A port where nobody listens is soon known, one that says it is loading is waited for.
TEST(ModelListTest, ADeadPortIsNotWaitedForAsAServerThatStarts) {
  const std::atomic<bool> stop = false;
  const HttpUrl nobody = *ParseHttpUrl("http://127.0.0.1:1");
  const int64_t start_ns = RealClock().NowNs();
  EXPECT_EQ(FirstModel(nobody, "", {absl::Seconds(1), absl::Seconds(60)}, stop).status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_LT(RealClock().NowNs() - start_ns, 20'000'000'000);
  const Script loading{{Whole(503, "text/plain", "loading")}, true};
  ScriptedServer server({loading,
                         loading,
                         loading,
                         loading,
                         {{Whole(200, "application/json", R"({"data":[{"id":"m"}]})")}, true}});
  const auto model =
      FirstModel(*ParseHttpUrl(server.url()), "", {absl::Seconds(1), absl::Seconds(60)}, stop);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(server.requests().size(), 5u);
}

TEST(ModelListTest, WhoWaitsIsToldWhy) {
  const std::atomic<bool> stop = false;
  ScriptedServer server({{{Whole(503, "text/plain", "loading")}, true},
                         {{Whole(200, "application/json", R"({"data":[{"id":"m"}]})")}, true}});
  std::vector<std::string> told;
  const auto model =
      FirstModel(*ParseHttpUrl(server.url()), "", Patience(20), stop,
                 [&](const absl::Status& why, absl::Duration limit) {
                   told.push_back(absl::StrCat(why.ToString(), ", ", absl::FormatDuration(limit)));
                 });
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_THAT(told, ElementsAre("UNAVAILABLE: HTTP 503: loading, 20s"));
}

TEST(ModelListTest, TheFirstModelIsNamed) {
  const std::atomic<bool> stop = false;
  const auto ask = [&](int status, const std::string& body) {
    ScriptedServer server({{{Whole(status, "application/json", body)}, true}});
    return FirstModel(*ParseHttpUrl(server.url()), "", Patience(2), stop);
  };
  const auto first = ask(200, R"({"object":"list","data":[{"id":"org/m"},{"id":"n"}]})");
  EXPECT_EQ(first->name, "org/m");
  EXPECT_EQ(first->max_model_len, 0u);
  EXPECT_EQ(ask(200, R"({"data":[{"id":"m","max_model_len":4096}]})")->max_model_len, 4096u);
  EXPECT_EQ(ask(200, R"({"data":[{"id":"m","max_model_len":"x"}]})")->max_model_len, 0u);
  EXPECT_THAT(std::string(ask(200, R"({"data":[]})").status().message()),
              HasSubstr("--model-name"));
  EXPECT_THAT(std::string(ask(401, "").status().message()), HasSubstr("OPENAI_API_KEY"));
}

}  // namespace
}  // namespace regatta
