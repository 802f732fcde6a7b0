// Prompts by position in an endless repetition of the data set; see workload.h.
#include "orchestrator/workload/workload.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "orchestrator/workload/counter_random.h"

namespace regatta {
namespace {

// Ids drawn from all prompts of the data set, keyed by the position: as many as `entry` has.
void VaryPrompt(const Dataset& dataset, const DatasetEntry& entry, uint64_t position,
                TokenIds& ids) {
  constexpr uint64_t kSeed = 0;
  for (size_t k = 0; k < entry.input_ids.size(); ++k) {
    const uint64_t other =
        DrawBelow(dataset.entries.size(), kSeed, RandomStream::kVariation, position, 2 * k);
    const std::vector<uint32_t>& from =
        dataset.entries[other].synthetic ? dataset.entries[other].input_ids : entry.input_ids;
    ids.add_ids(from[DrawBelow(from.size(), kSeed, RandomStream::kVariation, position, 2 * k + 1)]);
  }
}

void SetPrompt(const Dataset& dataset, const DatasetEntry& entry, uint64_t position,
               GenerateRequest& request) {
  if (entry.input_ids.empty()) {
    request.set_text(entry.prompt);
  } else if (entry.synthetic && position >= dataset.entries.size()) {
    VaryPrompt(dataset, entry, position, *request.mutable_token_ids());
  } else {
    request.mutable_token_ids()->mutable_ids()->Add(entry.input_ids.begin(), entry.input_ids.end());
  }
}

}  // namespace

PlannedRequest Batch::At(uint32_t i) const {
  const uint64_t position = first_ + i;
  PlannedRequest planned;
  planned.entry = &dataset_->entries[position % dataset_->entries.size()];
  GenerateRequest& request = planned.request;
  request.set_request_id(absl::StrCat("bench-", position));
  SetPrompt(*dataset_, *planned.entry, position, request);
  request.set_max_tokens(planned.entry->output_tokens);
  planned.check_answer = planned.entry->has_answer && (options_.honor_eos || options_.eos_id >= 0);
  request.set_return_text(planned.check_answer);
  request.set_ignore_eos(!options_.honor_eos);
  if (options_.eos_id >= 0) request.add_stop_token_ids(options_.eos_id);
  request.set_no_prefix_cache(!options_.prefix_cache);
  return planned;
}

uint32_t Batch::reused() const {
  uint32_t count = 0;
  const uint64_t entries = dataset_->entries.size();
  for (uint64_t position = std::max(first_, entries); position < first_ + size_; ++position) {
    count += !dataset_->entries[position % entries].synthetic;
  }
  return count;
}

Batch Workload::Deal(uint32_t count) {
  const Batch batch(*dataset_, options_, next_, count);
  next_ += count;
  return batch;
}

}  // namespace regatta
