// Threads of the cluster, of connections and of clients that leave, all at once: every answer is
// whole or cancelled, none is mixed up.
#include <gmock/gmock.h>

#include <atomic>
#include <random>
#include <thread>

#include "tests/router/openai/api_fixture.h"

namespace regatta {
namespace {

using nlohmann::json;

constexpr int kRequests = 64;
constexpr int kDeltas = 200;  // of every choice

class GenerationRaceTest : public ApiFixture {
 protected:
  // The cluster's part of one choice, until it is cancelled or ends.
  void Play(size_t index) {
    const auto to = sink_.at(index);
    for (int i = 0; i < kDeltas; ++i) {
      if (sink_.at(index).cancelled) {
        to.stream->Push(to.tag, MakeDelta("", {}, FINISH_REASON_CANCELLED));
        return to.stream->Flush();
      }
      to.stream->Push(to.tag,
                      MakeDelta(std::to_string(i) + ",", {1},
                                i + 1 == kDeltas ? FINISH_REASON_LENGTH : FINISH_REASON_NONE));
      if (i % 3 == 0 || i + 1 == kDeltas) to.stream->Flush();
    }
  }
};

TEST_F(GenerationRaceTest, AnswersAreWholeOrCancelled) {
  std::string expected;
  for (int i = 0; i < kDeltas; ++i) expected += std::to_string(i) + ",";
  std::vector<std::shared_ptr<FakeExchange>> exchanges;
  for (int i = 0; i < kRequests; ++i) exchanges.push_back(Chat({{"n", 2}, {"stream", i % 2 == 0}}));
  std::atomic<bool> done = false;
  std::thread connections([&] {
    std::mt19937 random(1);
    // A quarter of the clients leaves, on the connection's thread, at some time.
    while (!done) {
      for (int i = 0; i < kRequests; ++i) {
        exchanges[i]->Run();
        if (i % 4 == 3 && random() % 4 == 0) exchanges[i]->Leave();
      }
    }
    for (const auto& exchange : exchanges) exchange->Run();
  });
  std::vector<std::thread> engines;
  for (size_t thread = 0; thread < 2; ++thread) {
    engines.emplace_back([this, thread] {
      for (size_t i = thread; i < 2 * kRequests; i += 2) Play(i);
    });
  }
  for (std::thread& engine : engines) engine.join();
  done = true;
  connections.join();
  for (int i = 0; i < kRequests; ++i) {
    if (!exchanges[i]->complete()) {
      EXPECT_EQ(i % 4, 3);
      EXPECT_TRUE(sink_.at(2 * i).cancelled);
      continue;
    }
    std::string text[2];
    if (i % 2 == 0) {
      for (const json& chunk : exchanges[i]->chunks()) {
        const json& choice = chunk["choices"][0];
        text[choice["index"].get<int>()] += choice["delta"].value("content", "");
      }
    } else {
      for (int c = 0; c < 2; ++c) {
        text[c] = exchanges[i]->json()["choices"][c]["message"]["content"];
      }
    }
    EXPECT_EQ(text[0], expected);
    EXPECT_EQ(text[1], expected);
  }
}

}  // namespace
}  // namespace regatta
