// The HTTP server's event streams on loopback: one event per stream and tick, as decoding steps
// make them, read by a client thread of the same process. CPU time is of the producer and the
// server's threads, without the client's; most of `system_us` is the kernel's TCP, which delivers
// to the client within the server's send.
#include <benchmark/benchmark.h>
#include <malloc.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "common/check.h"
#include "router/http/http_server.h"
#include "tests/router/http/raw_client.h"

namespace regatta {
namespace {

// As long as a chunk of a chat completion that carries one token.
const char kEvent[] =
    "data: {\"id\":\"chatcmpl-0123456789abcdef0123456789abcdef\",\"object\":"
    "\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"model\",\"choices\":[(\"index\":"
    "0,"
    "\"delta\":(\"content\":\" token\"),\"finish_reason\":null)]}\n\n";
constexpr char kOncePerEvent = '{';

struct CpuTime {
  double user_us = 0;
  double system_us = 0;
};

CpuTime CpuOf(int who) {
  rusage usage;
  CHECK_EQ(getrusage(who, &usage), 0);
  const auto us = [](const timeval& time) { return 1e6 * time.tv_sec + time.tv_usec; };
  return {us(usage.ru_utime), us(usage.ru_stime)};
}

double HeapBytes() {
  const auto info = mallinfo2();
  return static_cast<double>(info.uordblks + info.hblkhd);
}

// Reads all streams on one thread and counts their events.
class Reader {
 public:
  explicit Reader(const std::vector<std::unique_ptr<RawClient>>& clients)
      : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    for (const auto& client : clients) {
      epoll_event event = {EPOLLIN, {}};
      event.data.fd = client->handle();
      CHECK_EQ(epoll_ctl(epoll_, EPOLL_CTL_ADD, client->handle(), &event), 0);
    }
    thread_ = std::thread([this] { Run(); });
  }
  ~Reader() {
    stop_ = true;
    thread_.join();
    close(epoll_);
  }

  // Waits until so many events have come in all.
  void Await(int64_t events) {
    absl::MutexLock lock(&mutex_);
    wanted_ = events;
    auto there = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return events_ >= wanted_; };
    CHECK(mutex_.AwaitWithTimeout(absl::Condition(&there), absl::Seconds(30)))
        << events_ << " of " << wanted_;
  }
  CpuTime cpu() const { return {user_us_, system_us_}; }

 private:
  void Run() {
    std::vector<epoll_event> ready(1024);
    std::vector<char> buffer(64 << 10);
    while (!stop_) {
      const int count = epoll_wait(epoll_, ready.data(), static_cast<int>(ready.size()), 10);
      int64_t events = 0;
      for (int i = 0; i < count; ++i) {
        const ssize_t bytes = recv(ready[i].data.fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (bytes > 0) events += std::count(buffer.data(), buffer.data() + bytes, kOncePerEvent);
      }
      const CpuTime cpu = CpuOf(RUSAGE_THREAD);
      user_us_ = cpu.user_us;
      system_us_ = cpu.system_us;
      absl::MutexLock lock(&mutex_);
      events_ += events;
    }
  }

  const int epoll_;
  std::atomic<bool> stop_ = false;
  std::atomic<double> user_us_ = 0, system_us_ = 0;
  absl::Mutex mutex_;
  int64_t events_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t wanted_ ABSL_GUARDED_BY(mutex_) = 0;
  std::thread thread_;
};

// A server with open streams and their clients.
class Streams {
 public:
  explicit Streams(size_t count) : server_({.listen = "127.0.0.1:0", .threads = 1}) {
    server_.Route("GET", "/stream", [this](std::shared_ptr<Exchange> exchange) {
      exchange->StartEvents({});
      absl::MutexLock lock(&mutex_);
      exchanges_.push_back(std::move(exchange));
    });
    CHECK(server_.Start().ok());
    clients_.resize(count);
    for (auto& client : clients_) {
      client = std::make_unique<RawClient>(server_.address());
      client->Send(Get("/stream"));
      client->ReadUntil("\r\n\r\n");
    }
  }

  void SendEach() {
    for (const auto& exchange : exchanges_) CHECK(exchange->SendEvents(kEvent));
  }
  const std::vector<std::unique_ptr<RawClient>>& clients() const { return clients_; }

 private:
  HttpServer server_;
  absl::Mutex mutex_;
  std::vector<std::shared_ptr<Exchange>> exchanges_;
  std::vector<std::unique_ptr<RawClient>> clients_;
};

// range(0): streams. range(1): ticks that the producer may be ahead of the client; with 1 every
// event is written by itself, with more they gather when the server is behind.
void BM_EventStreams(benchmark::State& state) {
  const auto count = static_cast<size_t>(state.range(0));
  const int64_t ahead = state.range(1);
  const double heap_before = HeapBytes();
  Streams streams(count);
  const double heap_idle = HeapBytes();
  Reader reader(streams.clients());
  int64_t ticks = 0;
  const CpuTime all_before = CpuOf(RUSAGE_SELF), reader_before = reader.cpu();
  for (auto _ : state) {
    streams.SendEach();
    ++ticks;
    if (ticks >= ahead) reader.Await((ticks - ahead + 1) * static_cast<int64_t>(count));
  }
  reader.Await(ticks * static_cast<int64_t>(count));
  const CpuTime all = CpuOf(RUSAGE_SELF), of_reader = reader.cpu();
  const auto events = static_cast<double>(ticks * count);
  const double user = all.user_us - all_before.user_us - of_reader.user_us + reader_before.user_us;
  const double system =
      all.system_us - all_before.system_us - of_reader.system_us + reader_before.system_us;
  state.counters["events/s"] = benchmark::Counter(events, benchmark::Counter::kIsRate);
  state.counters["user_us"] = user / events;
  state.counters["system_us"] = system / events;
  state.counters["idle_bytes"] = (heap_idle - heap_before) / static_cast<double>(count);
  state.counters["busy_bytes"] = (HeapBytes() - heap_before) / static_cast<double>(count);
}
BENCHMARK(BM_EventStreams)
    ->ArgNames({"streams", "ahead"})
    ->ArgsProduct({{1, 64, 1024, 4000}, {1, 16}})
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);

// Small requests on one connection, one after another.
void BM_Requests(benchmark::State& state) {
  HttpServer server({.listen = "127.0.0.1:0", .threads = 1});
  server.Route("POST", "/echo", [](std::shared_ptr<Exchange> exchange) {
    exchange->Reply(200, {{"content-type", "text/plain"}}, "ok");
  });
  CHECK(server.Start().ok());
  RawClient client(server.address());
  const std::string request = Post("/echo", std::string(1000, 'x'));
  for (auto _ : state) CHECK_EQ(client.Ask(request).status, 200);
}
BENCHMARK(BM_Requests)->UseRealTime()->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace regatta
