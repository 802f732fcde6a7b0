// Drawing tokens; see sampler.h.
#include "worker/sampler.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"

namespace regatta {

absl::Status Sampler::Allocate(uint32_t penalty_rows, uint32_t vocab_size) {
  counts_.resize(vocab_size);
  const size_t count_bytes = size_t{penalty_rows} * vocab_size * sizeof(int32_t);
  device_rows_ = ops_.Allocate(max_rows_ * sizeof(int32_t));
  device_ids_ = ops_.Allocate(max_rows_ * sizeof(int32_t));
  bool complete = device_rows_.data() != nullptr && device_ids_.data() != nullptr;
  if (penalty_rows > 0) {
    prompt_counts_ = ops_.Allocate(count_bytes);
    output_counts_ = ops_.Allocate(count_bytes);
    pool_.prompt_counts =
        Tensor::Of(prompt_counts_.data(), DType::kInt32, penalty_rows, vocab_size);
    pool_.output_counts =
        Tensor::Of(output_counts_.data(), DType::kInt32, penalty_rows, vocab_size);
    complete = complete && pool_.prompt_counts && pool_.output_counts;
  }
  if (complete) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("no memory for ", penalty_rows, " penalty rows of ", vocab_size, " tokens"));
}

void Sampler::Admit(const StepPlan& plan, const SlotTable& slots) {
  for (const Admission& admission : plan.admissions()) {
    const int row = slots.slot(admission.slot()).sampling.penalty_row;
    if (row < 0) continue;
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
}

void Sampler::Draw(const StepPlan& plan, const StepBatch& batch, const Tensor& logits,
                   const int32_t* slots, int32_t* drawn, Model& model, PendingDraws& pending) {
  pending.result.Clear();
  pending.reported.clear();
  if (!batch.sampling.empty()) {
    ops_.Sample(logits, batch.sampling, pool_, slots, drawn, *pending.draws);
  }
  int draw = 0;
  for (int entry = 0; entry < plan.slot_size(); ++entry) {
    const bool samples = SamplesAt(plan, entry);
    const bool reports_draw = samples && batch.sampling[draw].num_logprobs >= 0;
    if (samples) pending.result.add_slot(plan.slot(entry));
    if (reports_draw || WantsAllLogits(plan, entry)) {
      Logprobs& logprobs = *pending.result.add_logprobs();
      pending.reported.push_back(reports_draw ? draw : -1);
      if (WantsAllLogits(plan, entry)) AddGivenLogprobs(batch, entry, model, logprobs);
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

void Sampler::AddGivenLogprobs(const StepBatch& batch, int entry, Model& model,
                               Logprobs& logprobs) {
  const int end = batch.query_start[entry + 1] - 1;  // the last token predicts none that is given
  for (int row = batch.query_start[entry]; row < end; row += max_rows_) {
    const int count = std::min(max_rows_, end - row);
    std::vector<int32_t> rows(count);
    std::iota(rows.begin(), rows.end(), row);
    ops_.CopyToDevice(device_rows_.data(), rows.data(), count * sizeof(int32_t));
    ops_.CopyToDevice(device_ids_.data(), &batch.token_ids[row + 1], count * sizeof(int32_t));
    const Tensor logits = model.Logits(static_cast<const int32_t*>(device_rows_.data()), count);
    std::vector<float> given(count);
    ops_.TokenLogprobs(logits, static_cast<const int32_t*>(device_ids_.data()), given.data());
    logprobs.mutable_prompt()->Add(given.begin(), given.end());
  }
}

}  // namespace regatta
