// What the router's OpenAI edge costs: a whole regatta-router process between a worker that draws
// at once and clients that read event streams, all on this machine. CPU figures are of the router's
// process alone; tokens/s are what clients got, on the cores that the worker and the clients share
// with it.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/check.h"
#include "tests/bench/router_process.h"
#include "tests/router/http/raw_client.h"
#include "tests/testing/fake_worker_service.h"

namespace regatta {
namespace {

constexpr uint32_t kShort = 1, kLong = 257;  // tokens of an answer
constexpr char kEventMark[] = "data: {";
constexpr char kEndMark[] = "data: [DONE]";

std::string StreamRequest(uint32_t tokens) {
  return Post("/v1/completions",
              absl::StrCat(R"({"model":"regatta-dense","prompt":"2 + 2 =","stream":true,)",
                           R"("ignore_eos":true,"max_tokens":)", tokens, "}"));
}

size_t CountMarks(const std::string& text, size_t from, const char* mark) {
  size_t count = 0;
  for (size_t at = text.find(mark, from); at != std::string::npos; at = text.find(mark, at + 1)) {
    ++count;
  }
  return count;
}

// Keep-alive connections that one thread reads.
class Clients {
 public:
  Clients(const std::string& address, size_t count)
      : epoll_(epoll_create1(EPOLL_CLOEXEC)), connections_(count), ready_(1024) {
    for (size_t i = 0; i < count; ++i) {
      connections_[i].client = std::make_unique<RawClient>(address);
      epoll_event event = {EPOLLIN, {}};
      event.data.u64 = i;
      CHECK_EQ(epoll_ctl(epoll_, EPOLL_CTL_ADD, connections_[i].client->handle(), &event), 0);
    }
  }
  ~Clients() { close(epoll_); }

  // One request a connection, all at once; returns when all have ended.
  void Round(const std::string& request) {
    left_ = connections_.size();
    for (Connection& connection : connections_) {
      connection.sent = absl::Now();
      CHECK(connection.client->Send(request));
    }
    const absl::Time deadline = absl::Now() + absl::Seconds(120);
    while (left_ > 0) {
      CHECK_LT(absl::Now(), deadline) << left_ << " streams have not ended";
      const int count = epoll_wait(epoll_, ready_.data(), static_cast<int>(ready_.size()), 100);
      for (int i = 0; i < count; ++i) Read(connections_[ready_[i].data.u64]);
    }
  }

  uint64_t events() const { return events_; }
  // Of every request so far, in ms.
  const std::vector<double>& latencies_ms() const { return latencies_ms_; }

 private:
  struct Connection {
    std::unique_ptr<RawClient> client;
    std::string unread;  // an event's beginning
    absl::Time sent;
  };

  void Read(Connection& connection) {
    char buffer[64 << 10];
    const ssize_t bytes = recv(connection.client->handle(), buffer, sizeof buffer, MSG_DONTWAIT);
    CHECK_NE(bytes, 0) << "the router closed a stream";
    if (bytes < 0) return;
    // Marks are looked for in what begins with the last bytes that may be a part of one.
    std::string& text = connection.unread;
    text.append(buffer, bytes);
    events_ += CountMarks(text, 0, kEventMark);
    if (text.find(kEndMark) != std::string::npos) {
      latencies_ms_.push_back(absl::ToDoubleMilliseconds(absl::Now() - connection.sent));
      --left_;
      text.clear();
      return;
    }
    const size_t line = text.rfind("data: ");
    text.erase(0, line != std::string::npos && text.size() - line < sizeof kEndMark
                      ? line
                      : text.size() - std::min(text.size(), sizeof "data:" - 1));
  }

  const int epoll_;
  std::vector<Connection> connections_;
  std::vector<epoll_event> ready_;
  size_t left_ = 0;
  uint64_t events_ = 0;
  std::vector<double> latencies_ms_;
};

// A router that can hold `streams` of them, and its worker.
struct Edge {
  explicit Edge(size_t streams)
      : worker({.kv_blocks = static_cast<uint32_t>(32 * streams + 4096), .only_token = 7}),
        router(worker.address(),
               {absl::StrCat("--max-batch-size=", streams),
                absl::StrCat("--max-num-tokens=", std::max<size_t>(8192, streams))}) {}
  FakeWorkerService worker;
  RouterProcess router;
};

// CPU microseconds of the router for each of `streams` answers of `tokens` tokens, one round.
double RoundCpuUs(const RouterProcess& router, Clients& clients, size_t streams, uint32_t tokens) {
  const double before = router.CpuSeconds();
  const uint64_t events = clients.events();
  clients.Round(StreamRequest(tokens));
  // Each token is an event of its own, and so is the finish where the last token does not carry it.
  CHECK_GE(clients.events() - events, streams * tokens);
  return 1e6 * (router.CpuSeconds() - before) / static_cast<double>(streams);
}

void BM_Streams(benchmark::State& state) {
  const auto streams = static_cast<size_t>(state.range(0));
  Edge edge(streams);
  Clients clients(edge.router.http_address(), streams);
  RoundCpuUs(edge.router, clients, streams, kLong);
  const double resident_before = edge.router.ResidentMb();
  double short_us = 0, long_us = 0;
  for (auto _ : state) {
    state.PauseTiming();
    short_us += RoundCpuUs(edge.router, clients, streams, kShort);
    state.ResumeTiming();
    long_us += RoundCpuUs(edge.router, clients, streams, kLong);
  }
  const auto rounds = static_cast<double>(state.iterations());
  const double token_us = (long_us - short_us) / rounds / (kLong - kShort);
  state.counters["tokens/s"] = benchmark::Counter(rounds * static_cast<double>(streams) * kLong,
                                                  benchmark::Counter::kIsRate);
  state.counters["token_cpu_us"] = token_us;
  state.counters["request_cpu_us"] = short_us / rounds - kShort * token_us;
  state.counters["resident_MB"] = resident_before;
  state.counters["growth_MB"] = edge.router.ResidentMb() - resident_before;
}
BENCHMARK(BM_Streams)
    ->ArgName("streams")
    ->Arg(1)
    ->Arg(64)
    ->Arg(1024)
    ->Arg(4000)
    ->MinTime(10)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

// Posts the same text over and over until it goes.
class LongPrompts {
 public:
  LongPrompts(const std::string& address, size_t bytes) : address_(address) {
    request_ = Post("/v1/completions",
                    absl::StrCat(R"({"model":"regatta-dense","max_tokens":1,"prompt":")",
                                 std::string(bytes, 'x'), "\"}"));
    thread_ = std::thread([this] {
      while (!stop_) {
        RawClient client(address_);
        client.Send(request_);
        CHECK_EQ(client.ReadResponse().status, 400) << "the prompt is longer than the model takes";
        ++answered_;
      }
    });
  }
  ~LongPrompts() {
    stop_ = true;
    thread_.join();
  }
  int answered() const { return answered_; }

 private:
  const std::string address_;
  std::string request_;
  std::atomic<bool> stop_ = false;
  std::atomic<int> answered_ = 0;
  std::thread thread_;
};

// How much slower than the median the slowest of 64 users' requests is while somebody else's
// prompts of range(0) bytes are read, tokenized and refused.
void BM_BesideLongPrompts(benchmark::State& state) {
  constexpr size_t kStreams = 64;
  Edge edge(kStreams);
  Clients clients(edge.router.http_address(), kStreams);
  const auto bytes = static_cast<size_t>(state.range(0));
  {
    std::unique_ptr<LongPrompts> others;
    if (bytes > 0) others = std::make_unique<LongPrompts>(edge.router.http_address(), bytes);
    for (auto _ : state) clients.Round(StreamRequest(kLong));
    if (others != nullptr) state.counters["long_prompts"] = others->answered();
  }
  std::vector<double> latencies = clients.latencies_ms();
  std::sort(latencies.begin(), latencies.end());
  state.counters["median_ms"] = latencies[latencies.size() / 2];
  state.counters["slowest_ms"] = latencies.back();
  state.counters["slowest/median"] = latencies.back() / latencies[latencies.size() / 2];
}
BENCHMARK(BM_BesideLongPrompts)
    ->ArgName("bytes")
    ->Arg(0)
    ->Arg(1 << 20)
    ->Arg(8 << 20)
    ->MinTime(5)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace regatta
