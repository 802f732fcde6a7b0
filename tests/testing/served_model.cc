// Held-out prompts, closed-loop generation, cluster start; see served_model.h.
#include "tests/testing/served_model.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/clock.h"
#include "orchestrator/grpc/grpc_target.h"

namespace regatta::testing {
namespace {

// Keeps `concurrency` requests running and collects what comes back.
class Collector final : public TargetEvents {
 public:
  Collector(Target& target, const std::vector<GenerateRequest>& requests)
      : target_(target), requests_(requests), outputs_(requests.size()) {
    for (Output& output : outputs_) output.status = absl::DeadlineExceededError("not ended");
  }

  void Run(int concurrency, absl::Duration timeout) {
    const int64_t deadline = RealClock().NowNs() + absl::ToInt64Nanoseconds(timeout);
    bool cancelled = false;
    while (ended_ < requests_.size()) {
      while (!cancelled && next_ < requests_.size() && next_ - ended_ < size_t(concurrency)) {
        target_.Start(next_, requests_[next_]);
        ++next_;
      }
      const int64_t now = RealClock().NowNs();
      if (now > deadline + 5'000'000'000) return;
      if (now > deadline && !cancelled) {
        for (size_t tag = 0; tag < next_; ++tag) target_.Cancel(tag);
        cancelled = true;
      }
      target_.Poll(now + 100'000'000, *this);
    }
  }

  std::vector<Output> Take() { return std::move(outputs_); }

 private:
  void OnDelta(uint64_t tag, const TokenDelta& delta, int64_t) override {
    Output& output = outputs_[tag];
    output.text += delta.text();
    output.token_ids.insert(output.token_ids.end(), delta.token_ids().begin(),
                            delta.token_ids().end());
    if (delta.has_usage()) output.usage = delta.usage();
  }
  void OnEnd(uint64_t tag, const absl::Status& status, int64_t) override {
    outputs_[tag].status = status;
    ++ended_;
  }

  Target& target_;
  const std::vector<GenerateRequest>& requests_;
  std::vector<Output> outputs_;
  size_t next_ = 0;
  size_t ended_ = 0;
};

}  // namespace

std::string BundledModel(const std::string& name) {
  return absl::StrCat(REGATTA_SOURCE_DIR "/tests/models/", name);
}

std::vector<HeldOutPrompt> HeldOut(const std::string& model, int stride) {
  const std::string path = BundledModel(model) + "/heldout.jsonl";
  std::ifstream file(path);
  CHECK(file.good()) << path;
  std::vector<HeldOutPrompt> prompts;
  std::string line;
  for (int i = 0; std::getline(file, line); ++i) {
    if (i % stride != 0) continue;
    const auto row = nlohmann::json::parse(line);
    prompts.push_back({row.at("task_id"), row.at("prompt"), row.at("answer")});
  }
  return prompts;
}

GenerateRequest GreedyRequest(const std::string& text) {
  GenerateRequest request;
  request.set_text(text);
  request.set_max_tokens(256);
  request.set_return_text(true);
  request.set_return_token_ids(true);
  return request;
}

std::vector<GenerateRequest> GreedyRequests(const std::vector<HeldOutPrompt>& prompts) {
  std::vector<GenerateRequest> requests;
  for (const HeldOutPrompt& prompt : prompts) requests.push_back(GreedyRequest(prompt.text));
  return requests;
}

std::vector<Output> GenerateAll(const std::shared_ptr<grpc::Channel>& channel,
                                const std::vector<GenerateRequest>& requests, int concurrency,
                                absl::Duration timeout) {
  const std::unique_ptr<Target> target = MakeGrpcTarget(channel, StreamMode::kMultiplexed);
  Collector collector(*target, requests);
  collector.Run(concurrency, timeout);
  return collector.Take();
}

int CountExact(const std::vector<HeldOutPrompt>& prompts, const std::vector<Output>& outputs) {
  CHECK_EQ(prompts.size(), outputs.size());
  int exact = 0;
  for (size_t i = 0; i < prompts.size(); ++i) {
    EXPECT_TRUE(outputs[i].status.ok()) << "prompt " << i << ": " << outputs[i].status;
    exact += outputs[i].text == prompts[i].answer;
  }
  return exact;
}

absl::StatusOr<std::unique_ptr<LocalCluster>> LaunchModel(const std::string& model, int ranks,
                                                          std::vector<std::string> arguments) {
  static int clusters = 0;
  static const std::atomic<bool> never_stop = false;
  LaunchOptions options;
  options.bin_dir = REGATTA_BIN_DIR;
  options.log_dir = absl::StrCat(::testing::TempDir(), "/regatta-", getpid(), "-", clusters++);
  std::filesystem::create_directories(options.log_dir);
  options.workers = ranks;
  options.threads = 1;
  options.router_arguments = {"--model", BundledModel(model)};
  options.router_arguments.insert(options.router_arguments.end(), arguments.begin(),
                                  arguments.end());
  return LocalCluster::Launch(options, never_stop);
}

}  // namespace regatta::testing
