// Small limits and tiny pools on purpose: everything that is rare in production is common here.
#include "tests/sim/workload.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "tests/sim/fake_model.h"

namespace regatta::sim {
namespace {

// Few prompts begin alike, some continue one another, so that prefixes of all lengths are shared.
std::vector<uint32_t> MakePrompt(Random& random, uint32_t length, uint32_t families) {
  const uint32_t family = random.Between(1, families);
  const uint32_t shared = random.OneIn(3) ? random.Between(0, length) : length;
  std::vector<uint32_t> tokens;
  for (uint32_t i = 0; i < length; ++i) {
    tokens.push_back(i < shared ? kStopTokens + family * 1000 + i
                                : kStopTokens + random.Between(0, 1 << 20));
  }
  return tokens;
}

void SetSampling(Random& random, SequenceSpec& spec) {
  SamplingParams& sampling = spec.sampling;
  sampling.set_seed(spec.id);
  if (random.OneIn(6)) sampling.set_presence_penalty(0.5f);
  if (random.OneIn(8)) sampling.set_logprobs(true);
  if (random.OneIn(10)) sampling.set_top_logprobs(2);
  if (random.OneIn(8)) {
    sampling.add_bias_token(random.Between(0, 1 << 20));
    sampling.add_bias(static_cast<float>(random.Between(0, 200)) - 100);
  }
  spec.prompt_logprobs = random.OneIn(6);
  spec.constrained = random.OneIn(4);
  for (uint32_t stop = 0; stop < kStopTokens; ++stop) {
    if (random.OneIn(2)) spec.stop_token_ids.push_back(stop);
  }
  if (!spec.constrained && random.OneIn(5)) {
    sampling.set_min_tokens(random.Between(1, 6));
    sampling.mutable_suppressed_until_min_tokens()->Add(spec.stop_token_ids.begin(),
                                                        spec.stop_token_ids.end());
  }
}

SchedulerOptions MakeOptions(Random& random) {
  SchedulerOptions options;
  options.limits.set_max_batch_size(random.Between(1, 8));
  options.limits.set_max_num_tokens(random.OneIn(4) ? random.Between(1, 8) : random.Between(8, 48));
  options.limits.set_max_seq_len(random.Between(6, 56));
  options.block_size = random.OneIn(4) ? 1 : random.Between(2, 8);
  const uint32_t longest = options.limits.max_seq_len() / options.block_size + 2;
  options.num_blocks = random.Between(std::max(2u, longest / 2), longest * random.Between(1, 3));
  options.stages = random.OneIn(2) ? 1 : random.Between(2, 4);
  options.max_inflight = random.Between(1, options.stages + 2);
  options.sampling_rows = random.Between(0, 4);
  if (random.Between(0, 1) == 1) options.mask_work = 400;  // Two masks a step: others wait.
  options.prefix_cache = !random.OneIn(3);
  options.chunked_prefill = !random.OneIn(3);
  options.pace_prompts = !random.OneIn(3);
  options.prefix_cache_secret = random.Next();
  options.expected_output_tokens = random.OneIn(2) ? 1 : random.Between(1, 32);
  return options;
}

}  // namespace

Workload MakeWorkload(uint64_t seed) {
  Random random(seed);
  Workload workload;
  workload.options = MakeOptions(random);
  const uint32_t requests = random.Between(1, 28);
  const uint32_t families = random.Between(1, 4);
  const bool priorities = random.OneIn(3);
  const uint32_t longest = workload.options.limits.max_seq_len() + 1;
  for (uint64_t id = 1; id <= requests; ++id) {
    PlannedRequest request;
    SequenceSpec& spec = request.spec;
    spec.id = id;
    spec.prompt_length =
        random.OneIn(3) ? random.Between(1, longest) : random.Between(1, longest / 3);
    spec.tokens = MakePrompt(random, spec.prompt_length, families);
    spec.max_output_tokens = random.OneIn(3) ? 0 : random.Between(1, 24);
    if (priorities) spec.priority = static_cast<int32_t>(random.Between(0, 2)) - 1;
    spec.prefix_cache = !random.OneIn(6);
    SetSampling(random, spec);
    if (random.OneIn(6)) request.late_stop = random.Between(1, 8);
    workload.requests.push_back(std::move(request));
  }
  workload.cancel_one_in = random.OneIn(2) ? 0 : random.Between(10, 80);
  workload.reforms = random.OneIn(3) ? random.Between(1, 4) : 0;
  workload.slowness = random.Between(1, 6);
  workload.arrival_one_in = random.OneIn(2) ? 1 : random.Between(2, 12);
  return workload;
}

SchedulerOptions Reform(const SchedulerOptions& original, Random& random) {
  SchedulerOptions reformed = original;
  const uint64_t positions = uint64_t{original.num_blocks} * original.block_size;
  reformed.block_size = random.Between(1, 8);
  reformed.num_blocks =
      static_cast<uint32_t>(positions / reformed.block_size) + random.Between(1, 8);
  reformed.stages = random.Between(1, 4);
  reformed.max_inflight = random.Between(1, reformed.stages + 2);
  reformed.prefix_cache = random.OneIn(2);
  return reformed;
}

std::string Describe(const SchedulerOptions& options) {
  return absl::StrCat(
      "max_batch_size ", options.limits.max_batch_size(), ", max_num_tokens ",
      options.limits.max_num_tokens(), ", max_seq_len ", options.limits.max_seq_len(),
      ", block_size ", options.block_size, ", num_blocks ", options.num_blocks, ", stages ",
      options.stages, ", max_inflight ", options.max_inflight, ", sampling_rows ",
      options.sampling_rows, ", expected_output_tokens ", options.expected_output_tokens,
      ", prefix_cache ", options.prefix_cache, ", chunked_prefill ", options.chunked_prefill,
      ", pace_prompts ", options.pace_prompts);
}

}  // namespace regatta::sim
