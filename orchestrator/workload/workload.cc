// Prompts by position in an endless repetition of the data set; see workload.h.
#include "orchestrator/workload/workload.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "orchestrator/workload/counter_random.h"

namespace regatta {
namespace {

// As many ids as `entry` has, drawn from all prompts of the data set, keyed by the position; what
// is shared stays.
void VaryPrompt(const Dataset& dataset, const DatasetEntry& entry, uint64_t position,
                TokenIds& ids) {
  constexpr uint64_t kSeed = 0;
  ids.mutable_ids()->Add(entry.input_ids.begin(), entry.input_ids.begin() + entry.prefix_tokens);
  for (size_t k = entry.prefix_tokens; k < entry.input_ids.size(); ++k) {
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

constexpr int kSaltTokens = 8;

// Of text prompts: no model is known, so the words are numbers.
std::string SaltText(const WorkloadOptions& options) {
  const uint64_t bits =
      DrawBits(options.cache_salt, RandomStream::kCacheSalt, options.salt_point, 0);
  return absl::StrCat("[", bits % 1'000'000'000, "] ");
}

void Salt(const Dataset& dataset, const WorkloadOptions& options, GenerateRequest& request) {
  if (options.cache_salt < 0) return;
  if (request.has_text()) return request.set_text(SaltText(options) + request.text());
  auto& ids = *request.mutable_token_ids()->mutable_ids();
  const auto draw = [&](uint64_t bound, uint64_t counter) {
    return DrawBelow(bound, options.cache_salt, RandomStream::kCacheSalt, options.salt_point,
                     counter);
  };
  for (int k = 0; k < std::min(kSaltTokens, ids.size()); ++k) {
    const DatasetEntry& from = dataset.entries[draw(dataset.entries.size(), 2 * k)];
    if (!from.input_ids.empty()) ids[k] = from.input_ids[draw(from.input_ids.size(), 2 * k + 1)];
  }
}

}  // namespace

void Conversation::AddPrompt(const GenerateRequest& request) {
  text += request.text();
  ids.insert(ids.end(), request.token_ids().ids().begin(), request.token_ids().ids().end());
}

void Conversation::AddAnswer(const TokenDelta& delta) {
  text += delta.text();
  ids.insert(ids.end(), delta.token_ids().begin(), delta.token_ids().end());
}

Batch::Batch(const Dataset& dataset, const WorkloadOptions& options, uint64_t first, uint32_t size,
             bool repeat)
    : dataset_(&dataset), options_(options), first_(first), size_(size), repeat_(repeat) {
  if (!dataset.has_sessions()) return;
  std::vector<uint32_t> before(size + 1, 0);
  for (uint32_t i = 0; i < size; ++i) {
    before[i + 1] = before[i] + 1 + static_cast<uint32_t>(EntryOf(i).next_turns.size());
  }
  requests_before_ = std::make_shared<const std::vector<uint32_t>>(std::move(before));
}

const DatasetEntry& Batch::EntryOf(uint32_t session) const {
  return dataset_->entries[PositionOf(session) % dataset_->entries.size()];
}

uint32_t Batch::FirstIndex(uint32_t session) const {
  return requests_before_ == nullptr ? session : (*requests_before_)[session];
}

uint32_t Batch::requests() const { return FirstIndex(size_); }

bool Batch::HasTurn(uint32_t session, uint32_t turn) const {
  return turn <= EntryOf(session).next_turns.size();
}

void Batch::SetCommon(const DatasetEntry& entry, uint32_t session, uint32_t turn,
                      PlannedRequest& planned) const {
  planned.entry = &entry;
  planned.index = FirstIndex(session) + turn;
  planned.session = session;
  planned.turn = turn;
  planned.has_next = HasTurn(session, turn + 1);
  GenerateRequest& request = planned.request;
  request.set_request_id(absl::StrCat("bench-", first_ + session));
  if (turn > 0) absl::StrAppend(request.mutable_request_id(), "-", turn);
  const uint32_t output =
      turn == 0 ? entry.output_tokens : entry.next_turns[turn - 1].output_tokens;
  request.set_max_tokens(output);
  request.set_ignore_eos(!options_.honor_eos);
  if (options_.eos_id >= 0) request.add_stop_token_ids(options_.eos_id);
  request.set_no_prefix_cache(!options_.prefix_cache);
  const bool as_text = request.prompt_case() == GenerateRequest::kText;
  request.set_return_text(planned.check_answer || (planned.has_next && as_text));
  request.set_return_token_ids(planned.has_next && !as_text);
}

PlannedRequest Batch::At(uint32_t i) const {
  const DatasetEntry& entry = EntryOf(i);
  PlannedRequest planned;
  planned.check_answer = entry.has_answer && (options_.honor_eos || options_.eos_id >= 0);
  SetPrompt(*dataset_, entry, PositionOf(i), planned.request);
  Salt(*dataset_, options_, planned.request);
  SetCommon(entry, i, 0, planned);
  return planned;
}

PlannedRequest Batch::Next(uint32_t session, uint32_t turn, Conversation said) const {
  const DatasetEntry& entry = EntryOf(session);
  const DatasetTurn& next = entry.next_turns[turn - 1];
  PlannedRequest planned;
  if (next.input_ids.empty()) {
    planned.request.set_text(std::move(said.text) + next.prompt);
  } else {
    auto& ids = *planned.request.mutable_token_ids()->mutable_ids();
    ids.Add(said.ids.begin(), said.ids.end());
    ids.Add(next.input_ids.begin(), next.input_ids.end());
  }
  SetCommon(entry, session, turn, planned);
  return planned;
}

std::vector<int64_t> Batch::TimestampsNs(double speedup) const {
  std::vector<int64_t> times;
  times.reserve(size_);
  for (uint32_t i = 0; i < size_; ++i) {
    const double since_ms = *EntryOf(i).timestamp_ms - *EntryOf(0).timestamp_ms;
    times.push_back(std::llround(since_ms / speedup * 1e6));
  }
  return times;
}

int64_t Batch::DelayNs(uint32_t session, uint32_t turn) const {
  const DatasetTurn& next = EntryOf(session).next_turns[turn - 1];
  const uint64_t key = (first_ + session) << 16 | turn;
  const double drawn =
      options_.turn_delay_mean_ms +
      options_.turn_delay_stdev_ms * DrawNormal(options_.seed, RandomStream::kTurnDelay, key);
  return std::llround(std::max(0.0, next.delay_ms.value_or(drawn)) * 1e6);
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

Batch Workload::Repeat(uint32_t count) const {
  return Batch(*dataset_, options_, next_, count, /*repeat=*/true);
}

}  // namespace regatta
