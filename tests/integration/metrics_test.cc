// GET /metrics of a real router over real ranks, scraped all the while: there before there are
// ranks, exact about every request and token, never going down, the same names as in
// docs/METRICS.md.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "orchestrator/cluster/child_process.h"
#include "tests/router/http/raw_client.h"
#include "tests/testing/prometheus_text.h"
#include "tests/testing/served_model.h"

namespace regatta::testing {
namespace {

// Scrapes every 50 ms, from when the router listens, and holds every answer against the one before.
class Scraper {
 public:
  explicit Scraper(std::string address_file) : address_file_(std::move(address_file)) {
    std::filesystem::remove(address_file_);
    thread_ = std::thread([this] { Run(); });
  }
  ~Scraper() { Stop(); }

  void Stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  // After Stop.
  std::string Address() const {
    std::string address;
    std::ifstream(address_file_) >> address;
    return address;
  }
  ParsedMetrics Scrape() {
    const RawResponse response = RawClient(Address()).Ask(Get("/metrics"));
    EXPECT_EQ(response.status, 200) << response.error;
    const auto parsed = ParseMetrics(response.body);
    EXPECT_TRUE(parsed.ok()) << parsed.status();
    ++scrapes_;
    return parsed.ok() ? *parsed : ParsedMetrics();
  }
  int scrapes() const { return scrapes_; }

 private:
  void Run() {
    while (!stop_) {
      absl::SleepFor(absl::Milliseconds(50));
      if (Address().empty()) continue;
      ParsedMetrics now = Scrape();
      ExpectNothingWentDown(now);
      before_ = std::move(now);
    }
  }
  void ExpectNothingWentDown(const ParsedMetrics& now) const {
    for (const auto& [name, family] : before_.families) {
      if (family.type == "gauge") continue;
      for (const MetricSample& sample : family.samples) {
        const double value = now.Sum(sample.name, sample.labels);
        EXPECT_GE(value, sample.value) << sample.name;
      }
    }
  }

  const std::string address_file_;
  std::atomic<bool> stop_ = false;
  std::atomic<int> scrapes_ = 0;
  ParsedMetrics before_;
  std::thread thread_;
};

struct Known {
  uint64_t requests = 0;
  uint64_t prompt_tokens = 0;
  uint64_t output_tokens = 0;
  uint64_t stopped = 0;
};

void AddCompletions(const std::string& address, int count, Known& known) {
  RawClient client(address);
  for (int i = 1; i <= count; ++i) {
    const nlohmann::json body = {
        {"model", "served"}, {"prompt", "2 + 2 ="}, {"max_tokens", i}, {"ignore_eos", true}};
    const RawResponse response = client.Ask(Post("/v1/completions", body.dump()));
    ASSERT_EQ(response.status, 200) << response.body;
    const auto usage = nlohmann::json::parse(response.body).at("usage");
    EXPECT_EQ(usage.at("completion_tokens"), i);
    ++known.requests;
    known.prompt_tokens += usage.at("prompt_tokens").get<uint64_t>();
    known.output_tokens += i;
  }
}

void ExpectTotals(const ParsedMetrics& metrics, const std::string& prefix, const Known& known) {
  const auto sum = [&](const std::string& name, const MetricLabels& labels = {}) {
    return metrics.Sum(prefix + name, labels);
  };
  EXPECT_EQ(sum("prompt_tokens_total", {{"model_name", "served"}}), known.prompt_tokens);
  EXPECT_EQ(sum("generation_tokens_total"), known.output_tokens);
  EXPECT_EQ(sum("request_success_total"), known.requests);
  EXPECT_EQ(sum("request_success_total", {{"finished_reason", "stop"}}), known.stopped);
  EXPECT_EQ(sum("request_prompt_tokens_sum"), known.prompt_tokens);
  EXPECT_EQ(sum("request_generation_tokens_sum"), known.output_tokens);
  EXPECT_EQ(sum("inter_token_latency_seconds_count"), known.output_tokens - known.requests);
  for (const std::string name :
       {"time_to_first_token_seconds", "request_time_per_output_token_seconds",
        "e2e_request_latency_seconds", "request_queue_time_seconds",
        "request_inference_time_seconds", "request_prefill_time_seconds",
        "request_decode_time_seconds"}) {
    EXPECT_EQ(sum(name + "_count"), known.requests) << name;
    EXPECT_GE(sum(name + "_sum"), 0) << name;
  }
  EXPECT_EQ(sum("num_requests_running") + sum("num_requests_waiting"), 0);
}

// `regatta_x` of a table row "| `regatta_x` | ...".
std::set<std::string> DocumentedNames() {
  std::ifstream file(REGATTA_SOURCE_DIR "/docs/METRICS.md");
  std::set<std::string> names;
  for (std::string line; std::getline(file, line);) {
    if (absl::StartsWith(line, "| `regatta_")) names.insert(line.substr(3, line.find('`', 3) - 3));
  }
  return names;
}

TEST(Metrics, ScrapedThroughout_TotalsEqualWhatClientsGot) {
  const std::string address_file =
      absl::StrCat(::testing::TempDir(), "/regatta-metrics-http-", getpid());
  Scraper scraper(address_file);
  auto cluster =
      LaunchModel("regatta-dense", 2,
                  {"--dp", "2", "--http", "127.0.0.1:0", "--http-address-file", address_file,
                   "--served-model-name", "served", "--metrics-vllm-names"});
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  const std::vector<HeldOutPrompt> prompts = HeldOut("regatta-dense", 8);
  Known known;
  for (const Output& output : GenerateAll((*cluster)->channel(), GreedyRequests(prompts), 16)) {
    ASSERT_TRUE(output.status.ok()) << output.status;
    ++known.requests;
    ++known.stopped;
    known.prompt_tokens += output.usage.prompt_tokens();
    known.output_tokens += output.usage.output_tokens();
  }
  scraper.Stop();
  AddCompletions(scraper.Address(), 3, known);
  absl::SleepFor(absl::Milliseconds(300));  // Gauges follow the last token.
  const int before = scraper.scrapes();
  const ParsedMetrics metrics = scraper.Scrape();
  ExpectTotals(metrics, "regatta_", known);
  ExpectTotals(metrics, "vllm:", known);

  EXPECT_EQ(metrics.Sum("regatta_http_requests_total", {{"route", "/metrics"}, {"status", "200"}}),
            before);
  EXPECT_EQ(
      metrics.Sum("regatta_http_requests_total", {{"route", "/v1/completions"}, {"status", "200"}}),
      3);
  EXPECT_EQ(metrics.Sum("regatta_groups"), 2);
  EXPECT_EQ(metrics.Sum("regatta_rank_timed_steps_total"), metrics.Sum("regatta_steps_total"))
      << "a rank a group, and each tells of every step";
  EXPECT_GT(metrics.Sum("regatta_rank_compute_seconds_total"), 0);
  std::set<std::string> own;
  for (const auto& [name, family] : metrics.families) {
    if (!absl::StartsWith(name, "vllm:")) own.insert(name);
  }
  EXPECT_EQ(own, DocumentedNames());
}

TEST(Metrics, ThereWhileWorkersAreAwaited) {
  const std::string address_file =
      absl::StrCat(::testing::TempDir(), "/regatta-awaiting-http-", getpid());
  std::filesystem::remove(address_file);
  auto router = ChildProcess::Start(
      "router",
      {REGATTA_BIN_DIR "/regatta-router", "--model", BundledModel("regatta-dense"), "--workers",
       "127.0.0.1:1", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--http-address-file",
       address_file},
      address_file + ".log");
  ASSERT_TRUE(router.ok()) << router.status();
  std::string address;
  for (const absl::Time deadline = absl::Now() + absl::Seconds(30);
       address.empty() && absl::Now() < deadline; absl::SleepFor(absl::Milliseconds(10))) {
    std::ifstream(address_file) >> address;
  }
  ASSERT_FALSE(address.empty()) << (*router)->LogTail(20);
  const RawResponse response = RawClient(address).Ask(Get("/metrics"));
  EXPECT_EQ(response.status, 200) << response.error;
  const auto metrics = ParseMetrics(response.body);
  ASSERT_TRUE(metrics.ok()) << metrics.status();
  EXPECT_EQ(metrics->Sum("regatta_groups"), 0);
  EXPECT_EQ(RawClient(address).Ask(Get("/live")).status, 200);
  EXPECT_EQ(RawClient(address).Ask(Get("/ready")).status, 503);
}

}  // namespace
}  // namespace regatta::testing
