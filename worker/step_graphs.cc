// Recording and finding graphs; see step_graphs.h.
#include "worker/step_graphs.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

// A step of more sequences takes longer than launching its operations one by one.
constexpr int kLargestSize = 256;
constexpr int kShortestContext = 512;
constexpr int kContextFactor = 4;
constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kGraphBytes = 2 * kMiB, kLoadedBytes = 96 * kMiB;

}  // namespace

std::vector<int> GraphSizes(const GraphOptions& options, int max_batch_size) {
  if (options.batch_sizes_size() > 0) {
    return {options.batch_sizes().begin(), options.batch_sizes().end()};
  }
  const int asked = static_cast<int>(options.max_batch_size());
  const int largest = std::min(max_batch_size, asked > 0 ? asked : kLargestSize);
  std::vector<int> sizes;
  for (int size = 1; size < largest; size += size < 8 ? size : size < 64 ? 8 : 16) {
    sizes.push_back(size);
  }
  sizes.push_back(largest);
  return sizes;
}

std::vector<int> GraphContexts(int max_seq_len) {
  std::vector<int> contexts;
  for (int context = kShortestContext; context < max_seq_len; context *= kContextFactor) {
    contexts.push_back(context);
  }
  contexts.push_back(max_seq_len);
  return contexts;
}

uint64_t StepGraphs::ReservedBytes(const Shapes& shapes) {
  const size_t count = shapes.sizes.size() * shapes.contexts.size();
  return count == 0 ? 0 : count * kGraphBytes + kLoadedBytes;
}

absl::StatusOr<std::unique_ptr<StepGraphs>> StepGraphs::Record(
    Shapes shapes, Model& model, StepInputs& inputs, Ops& ops,
    absl::FunctionRef<absl::Status(double)> report) {
  std::unique_ptr<StepGraphs> graphs(new StepGraphs(std::move(shapes)));
  const auto& [sizes, contexts, padding] = graphs->shapes_;
  ASSIGN_OR_RETURN(const Buffer staging, inputs.MakeStaging());
  std::string error;
  for (size_t i = 0; i < sizes.size(); ++i) {
    StepBatch batch;
    PadDecode(sizes[i], batch);
    // Once for real: what is chosen or loaded at first use cannot be while recording.
    model.Forward(inputs.Upload(batch, staging));
    if (!ops.Sync(&error)) return absl::InternalError(absl::StrCat("device fault: ", error));
    for (const int context : contexts) {
      batch.max_context_length = context;
      const ForwardInput input = inputs.Upload(batch, staging);
      Recorded recorded;
      recorded.graph = ops.Capture([&] { recorded.logits = model.Forward(input); });
      if (!ops.Healthy(&error) || recorded.graph == nullptr) {
        if (error.empty()) error = "no memory left";
        return absl::InternalError(
            absl::StrCat("recording a step of ", sizes[i], " sequences: ", error));
      }
      graphs->recorded_.push_back(std::move(recorded));
    }
    RETURN_IF_ERROR(report(static_cast<double>(i + 1) / static_cast<double>(sizes.size())));
  }
  return graphs;
}

int StepGraphs::SizeFor(const StepBatch& batch) const {
  if (recorded_.empty() || !IsDecode(batch)) return 0;
  const auto& sizes = shapes_.sizes;
  const auto size = std::lower_bound(sizes.begin(), sizes.end(), batch.num_sequences());
  if (size == sizes.end() || (!shapes_.padding && *size != batch.num_sequences())) return 0;
  return *size;
}

const StepGraphs::Recorded& StepGraphs::For(const StepBatch& batch) const {
  const auto& [sizes, contexts, padding] = shapes_;
  const auto size = std::lower_bound(sizes.begin(), sizes.end(), batch.num_sequences());
  const auto context = std::lower_bound(contexts.begin(), contexts.end(), batch.max_context_length);
  CHECK(size != sizes.end() && *size == batch.num_sequences() && context != contexts.end());
  return recorded_[(size - sizes.begin()) * contexts.size() + (context - contexts.begin())];
}

}  // namespace regatta
