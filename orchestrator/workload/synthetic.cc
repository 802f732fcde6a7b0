// Length and token draws; see synthetic.h.
#include "orchestrator/workload/synthetic.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "orchestrator/workload/counter_random.h"

namespace regatta {
namespace {

constexpr uint32_t kMaxRequests = 10'000'000;

absl::Status BadOption(absl::string_view option, double value, absl::string_view limit) {
  return absl::InvalidArgumentError(absl::StrCat(option, " is ", value, ", must be ", limit));
}

std::string TaskId(const SyntheticOptions& options, uint32_t index) {
  if (options.random_task_id_min >= 0) {
    const uint64_t range = options.random_task_id_max - options.random_task_id_min + 1;
    return absl::StrCat(options.random_task_id_min +
                        DrawBelow(range, options.seed, RandomStream::kTaskId, index, 0));
  }
  return absl::StrCat(options.task_id >= 0 ? options.task_id : static_cast<int64_t>(index));
}

absl::Status CheckOptions(const SyntheticOptions& options, size_t vocabulary) {
  if (options.num_requests < 1 || options.num_requests > kMaxRequests) {
    return BadOption("--num-requests", options.num_requests, absl::StrCat("in 1..", kMaxRequests));
  }
  if (vocabulary == 0) return absl::InvalidArgumentError("the vocabulary has no ordinary token");
  const int64_t low = options.random_task_id_min, high = options.random_task_id_max;
  if ((low >= 0 || high >= 0) && (low < 0 || high < low)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--rand-task-id is ", low, " ", high, ", must be 0 <= first <= second"));
  }
  if ((options.num_prefix_prompts > 0) != (options.prefix_length > 0)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--num-prefix-prompts is ", options.num_prefix_prompts, " and --prefix-length is ",
        options.prefix_length, ": both must be given, or neither"));
  }
  if (options.prefix_length > kMaxOutputTokens) {
    return BadOption("--prefix-length", options.prefix_length,
                     absl::StrCat("at most ", kMaxOutputTokens));
  }
  RETURN_IF_ERROR(CheckLengths(options.input, "input"));
  return CheckLengths(options.output, "output");
}

// The shared prefix of request `index`: a function of which prefix was drawn.
void AppendPrefix(const SyntheticOptions& options, const std::vector<uint32_t>& vocabulary,
                  uint32_t index, DatasetEntry& entry) {
  if (options.num_prefix_prompts == 0) return;
  const uint64_t prefix =
      DrawBelow(options.num_prefix_prompts, options.seed, RandomStream::kPrefixChoice, index, 0);
  for (uint32_t k = 0; k < options.prefix_length; ++k) {
    entry.input_ids.push_back(vocabulary[DrawBelow(vocabulary.size(), options.seed,
                                                   RandomStream::kPrefixTokens, prefix, k)]);
  }
  entry.prefix_tokens = options.prefix_length;
}

}  // namespace

absl::StatusOr<RangeMeaning> ParseRangeMeaning(absl::string_view name) {
  if (name == "vllm") return RangeMeaning::kVllm;
  if (name == "inferencemax") return RangeMeaning::kInferenceMax;
  return absl::InvalidArgumentError(
      absl::StrCat("--range-ratio-meaning is '", name, "', must be vllm or inferencemax"));
}

absl::StatusOr<LengthDistribution> RangeOf(uint32_t length, double ratio, RangeMeaning meaning) {
  if (!(ratio >= 0 && ratio <= 1)) return BadOption("--range-ratio", ratio, "in 0..1");
  const bool vllm = meaning == RangeMeaning::kVllm;
  const double low = std::floor(length * (vllm ? 1 - ratio : ratio));
  const double high = vllm ? std::ceil(length * (1 + ratio)) : length;
  LengthDistribution lengths;
  lengths.kind = LengthDistribution::Kind::kUniform;
  lengths.minimum = static_cast<uint32_t>(std::max(1.0, low));
  lengths.maximum = static_cast<uint32_t>(high);
  return lengths;
}

absl::Status CheckLengths(const LengthDistribution& lengths, const std::string& name) {
  const std::string limit = absl::StrCat("in 1..", kMaxOutputTokens);
  if (lengths.kind == LengthDistribution::Kind::kNormal) {
    if (!(lengths.mean >= 1 && lengths.mean <= kMaxOutputTokens)) {
      return BadOption(absl::StrCat("--", name, "-mean"), lengths.mean, limit);
    }
    if (!(lengths.stdev >= 0 && lengths.stdev <= kMaxOutputTokens)) {
      return BadOption(absl::StrCat("--", name, "-stdev"), lengths.stdev,
                       absl::StrCat("in 0..", kMaxOutputTokens));
    }
    return absl::OkStatus();
  }
  if (lengths.minimum < 1 || lengths.minimum > kMaxOutputTokens) {
    return BadOption(absl::StrCat("--", name, "-min"), lengths.minimum, limit);
  }
  if (lengths.maximum < lengths.minimum || lengths.maximum > kMaxOutputTokens) {
    return BadOption(absl::StrCat("--", name, "-max"), lengths.maximum,
                     absl::StrCat("in ", lengths.minimum, "..", kMaxOutputTokens));
  }
  return absl::OkStatus();
}

uint32_t DrawLength(const LengthDistribution& lengths, uint64_t seed, RandomStream stream,
                    uint64_t index) {
  if (lengths.kind == LengthDistribution::Kind::kUniform) {
    const uint64_t range = static_cast<uint64_t>(lengths.maximum) - lengths.minimum + 1;
    return lengths.minimum + DrawBelow(range, seed, stream, index, 0);
  }
  const double length = std::ceil(lengths.mean + lengths.stdev * DrawNormal(seed, stream, index));
  return static_cast<uint32_t>(std::clamp(length, 1.0, static_cast<double>(kMaxOutputTokens)));
}

absl::StatusOr<std::vector<DatasetEntry>> MakeSyntheticDataset(
    const SyntheticOptions& options, const std::vector<uint32_t>& vocabulary) {
  RETURN_IF_ERROR(CheckOptions(options, vocabulary.size()));
  std::vector<DatasetEntry> entries(options.num_requests);
  for (uint32_t i = 0; i < options.num_requests; ++i) {
    DatasetEntry& entry = entries[i];
    entry.task_id = TaskId(options, i);
    entry.synthetic = true;
    entry.output_tokens = DrawLength(options.output, options.seed, RandomStream::kOutputLength, i);
    AppendPrefix(options, vocabulary, i, entry);
    const uint32_t own = DrawLength(options.input, options.seed, RandomStream::kInputLength, i);
    for (uint32_t k = 0; k < own; ++k) {
      entry.input_ids.push_back(
          vocabulary[DrawBelow(vocabulary.size(), options.seed, RandomStream::kTokens, i, k)]);
    }
  }
  return entries;
}

}  // namespace regatta
