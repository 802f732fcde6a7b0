// Drawing tokens; see sampler.h.
#include "worker/sampler.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace regatta {
namespace {

constexpr size_t kRowsAlignment = 256;

// All elements take four bytes.
size_t ArrayBytes(int64_t rows, int64_t width) {
  return (rows * width * sizeof(int32_t) + kRowsAlignment - 1) / kRowsAlignment * kRowsAlignment;
}

// Calls visit(array, dtype, width of a row) for each array of the pool.
template <typename Visit>
void ForEachArray(SamplePool& pool, int64_t vocab_size, const Visit& visit) {
  visit(pool.prompt_counts, DType::kInt32, vocab_size);
  visit(pool.output_counts, DType::kInt32, vocab_size);
  visit(pool.bias_ids, DType::kInt32, kMaxBias);
  visit(pool.bias, DType::kFloat32, kMaxBias);
  visit(pool.bias_hidden, DType::kFloat32, kMaxBias);
  visit(pool.masks, DType::kInt32, MaskWords(vocab_size));
}

}  // namespace

absl::Status Sampler::Allocate(uint32_t sampling_rows, uint32_t vocab_size) {
  counts_.resize(vocab_size);
  device_rows_ = ops_.Allocate(max_rows_ * sizeof(int32_t));
  device_ids_ = ops_.Allocate(max_rows_ * sizeof(int32_t));
  bool complete = device_rows_.data() != nullptr && device_ids_.data() != nullptr;
  if (sampling_rows > 0) {
    size_t bytes = 0;
    ForEachArray(pool_, vocab_size,
                 [&](Tensor&, DType, int64_t width) { bytes += ArrayBytes(sampling_rows, width); });
    memory_ = ops_.Allocate(bytes);
    complete = complete && memory_.data() != nullptr;
    char* place = static_cast<char*>(memory_.data());
    ForEachArray(pool_, vocab_size, [&](Tensor& array, DType dtype, int64_t width) {
      array = Tensor::Of(place, dtype, sampling_rows, width);
      place += ArrayBytes(sampling_rows, width);
    });
  }
  if (complete) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("no memory for ", sampling_rows, " sampling rows of ", vocab_size, " tokens"));
}

absl::StatusOr<Buffer> Sampler::MakeMaskStaging() const {
  if (!pool_.masks) return Buffer();
  const size_t bytes = pool_.masks.num_elements() * sizeof(uint32_t);
  Buffer staging = ops_.AllocateHost(bytes);
  if (staging.data() != nullptr) return staging;
  return absl::ResourceExhaustedError(absl::StrCat("no memory for ", bytes, " bytes of masks"));
}

void Sampler::Admit(const StepPlan& plan, const SlotTable& slots) {
  for (const Admission& admission : plan.admissions()) {
    const SampleRow& sampling = slots.slot(admission.slot()).sampling;
    if (sampling.penalty_row >= 0) CountContext(admission, sampling.penalty_row);
    if (sampling.bias_row >= 0) PlaceBias(admission.sampling(), sampling.bias_row);
  }
}

void Sampler::CountContext(const Admission& admission, int row) {
  const auto& tokens = admission.penalty_tokens();
  const auto upload = [&](auto begin, auto end, const Tensor& pool) {
    std::fill(counts_.begin(), counts_.end(), 0);
    for (auto token = begin; token != end; ++token) ++counts_[*token];
    ops_.CopyToDevice(pool.Rows(row, 1).data, counts_.data(), counts_.size() * sizeof(int32_t));
  };
  const auto prompt_end = tokens.begin() + admission.prompt_length();
  upload(tokens.begin(), prompt_end, pool_.prompt_counts);
  upload(prompt_end, tokens.end(), pool_.output_counts);
}

void Sampler::PlaceBias(const SamplingParams& sampling, int row) {
  ops_.CopyToDevice(pool_.bias_ids.Rows(row, 1).data, sampling.bias_token().data(),
                    sampling.bias_token_size() * sizeof(uint32_t));
  ops_.CopyToDevice(pool_.bias.Rows(row, 1).data, sampling.bias().data(),
                    sampling.bias_size() * sizeof(float));
}

absl::Status Sampler::PlaceMasks(const std::string& masks, int count, const Buffer& staging) {
  const size_t row_bytes = pool_.masks.dim(1) * sizeof(uint32_t);
  if (masks.size() != count * row_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(masks.size(), " bytes of masks where ", count, " of ", row_bytes, " are due"));
  }
  std::memcpy(staging.data(), masks.data(), masks.size());
  ops_.CopyToDevice(pool_.masks.data, staging.data(), masks.size());
  return absl::OkStatus();
}

void Sampler::Draw(const StepPlan& plan, const StepBatch& batch, const Tensor& logits,
                   const int32_t* slots, int32_t* drawn, Model& model, PendingDraws& pending) {
  pending.result.Clear();
  pending.reported.clear();
  if (!batch.sampling.empty()) {
    ops_.Sample(logits, batch.sampling, pool_, slots, drawn, *pending.draws);
  }
  int draw = 0, next_scored = 0, scored_end = 0;
  for (int entry = 0; entry < plan.slot_size(); ++entry) {
    const bool samples = SamplesAt(plan, entry);
    const bool reports_draw = samples && batch.sampling[draw].num_logprobs >= 0;
    if (samples) pending.result.add_slot(plan.slot(entry));
    if (reports_draw || WantsAllLogits(plan, entry)) {
      Logprobs& logprobs = *pending.result.add_logprobs();
      pending.reported.push_back(reports_draw ? draw : -1);
      if (WantsAllLogits(plan, entry)) {
        const ScoredTokens& scored = batch.scored[next_scored++];
        const int begin = std::exchange(scored_end, scored_end + scored.count);
        AddGivenLogprobs(batch, begin, scored_end, scored.num_top, model, logprobs);
      }
    }
    if (samples) ++draw;
  }
}

void PendingDraws::Complete() {
  if (result.slot_size() > 0) draws->Read(drawn);
  for (int draw = 0; draw < result.slot_size(); ++draw) result.add_token(drawn.tokens[draw]);
  for (size_t i = 0; i < reported.size(); ++i) {
    if (reported[i] < 0) continue;
    Logprobs& logprobs = *result.mutable_logprobs(static_cast<int>(i));
    logprobs.set_sampled(drawn.logprobs[reported[i]]);
    for (const auto& [token, logprob] : drawn.top_logprobs[reported[i]]) {
      logprobs.add_top_token(token);
      logprobs.add_top_logprob(logprob);
    }
  }
}

void Sampler::AddGivenLogprobs(const StepBatch& batch, int begin, int end, int num_top,
                               Model& model, Logprobs& logprobs) {
  const auto* rows = static_cast<const int32_t*>(device_rows_.data());
  const auto* ids = static_cast<const int32_t*>(device_ids_.data());
  for (int first = begin; first < end; first += max_rows_) {
    const int count = std::min(max_rows_, end - first);
    const size_t bytes = count * sizeof(int32_t);
    ops_.CopyToDevice(device_rows_.data(), &batch.scored_rows[first], bytes);
    ops_.CopyToDevice(device_ids_.data(), &batch.scored_ids[first], bytes);
    ops_.TokenLogprobs(model.Logits(rows, count), ids, num_top, given_);
    logprobs.mutable_prompt()->Add(given_.given.begin(), given_.given.end());
    logprobs.mutable_prompt_top_token()->Add(given_.top_ids.begin(), given_.top_ids.end());
    logprobs.mutable_prompt_top_logprob()->Add(given_.top_logprobs.begin(),
                                               given_.top_logprobs.end());
  }
}

}  // namespace regatta
