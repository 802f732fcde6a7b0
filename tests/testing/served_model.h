// A bundled model behind a real cluster of processes on this host, and its held-out prompts: what
// whole-system tests share.
#pragma once

#include <grpcpp/channel.h>

#include <memory>
#include <string>
#include <vector>

#include "orchestrator/cluster/launcher.h"
#include "proto/inference.pb.h"

namespace regatta::testing {

// Directory of a model trained by us: "regatta-dense" or "regatta-moe".
std::string BundledModel(const std::string& name);

// A prompt that the model has not seen in training, as its chat template renders it, and the right
// answer.
struct HeldOutPrompt {
  int id = 0;  // row of tests/models/heldout.jsonl
  std::string text;
  std::string answer;
};

// Every `stride`-th held-out prompt of a bundled model. Aborts when the file is missing.
std::vector<HeldOutPrompt> HeldOut(const std::string& model, int stride);

// Greedy, stopping at end tokens, returning text and ids.
GenerateRequest GreedyRequest(const std::string& text);
std::vector<GenerateRequest> GreedyRequests(const std::vector<HeldOutPrompt>& prompts);

struct Output {
  std::string text;
  std::vector<uint32_t> token_ids;
  Usage usage;
  absl::Status status;
};

// Sends all requests, at most `concurrency` at once, and returns the outputs in their order. What
// has not ended within `timeout` is cancelled and carries DEADLINE_EXCEEDED or CANCELLED.
std::vector<Output> GenerateAll(const std::shared_ptr<grpc::Channel>& channel,
                                const std::vector<GenerateRequest>& requests, int concurrency,
                                absl::Duration timeout = absl::Seconds(240));

// How many outputs equal their answers exactly. Failed requests are reported as test failures.
int CountExact(const std::vector<HeldOutPrompt>& prompts, const std::vector<Output>& outputs);

// regatta-router and `ranks` regatta-worker processes of one thread each, torn down with the
// object. Logs go to a directory of the test. `arguments` follow --model.
absl::StatusOr<std::unique_ptr<LocalCluster>> LaunchModel(const std::string& model, int ranks,
                                                          std::vector<std::string> arguments);

}  // namespace regatta::testing
