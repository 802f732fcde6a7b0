// Queue, load and affinity; see placement.h.
#include "router/placement.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/check.h"

namespace regatta {
namespace {

constexpr size_t kRememberedPrefixes = 1 << 16;

}  // namespace

Placement::Placement(const PlacementOptions& options)
    : options_(options), affinity_(options.block_size, kRememberedPrefixes) {}

absl::Status Placement::Enqueue(std::unique_ptr<Request>&& request) {
  if (waiting_.size() >= options_.max_queue_size) {
    return absl::ResourceExhaustedError(absl::StrCat("the queue is full: ", waiting_.size(),
                                                     " requests wait (max_queue_size ",
                                                     options_.max_queue_size, ")"));
  }
  const SequenceSpec& spec = request->spec;
  Live live{.turn = {-spec.priority, request->id},
            .prompt = spec.prompt_length,
            .longest = request->longest,
            .deadline_ns = request->queue_deadline_ns};
  if (live.deadline_ns > 0) deadlines_.emplace(live.deadline_ns, request->id);
  const Turn turn = live.turn;
  CHECK(live_.emplace(request->id, live).second) << "request id " << request->id;
  waiting_.emplace(turn, std::move(request));
  return absl::OkStatus();
}

void Placement::Return(std::unique_ptr<Request> request) {
  Live& live = live_.at(request->id);
  Unplace(live);
  // The deadline may have been named to the group that is gone.
  if (live.deadline_ns > 0 && !request->output.started()) {
    deadlines_.emplace(live.deadline_ns, request->id);
  }
  waiting_.emplace(live.turn, std::move(request));
}

void Placement::AddGroup(uint64_t group, uint32_t capacity) {
  CHECK(group != 0);
  groups_[group].capacity = capacity;
}

void Placement::RemoveGroup(uint64_t group) { groups_.erase(group); }

void Placement::Pause(uint64_t group) { groups_.at(group).paused = true; }

void Placement::Resume() {
  for (auto& [id, group] : groups_) group.paused = false;
}

std::optional<uint64_t> Placement::ChooseGroup(const Request& request) const {
  std::optional<uint64_t> least;
  uint64_t least_load = 0;
  for (const auto& [id, group] : groups_) {
    if (!group.has_room()) continue;
    if (!least || group.load < least_load) {
      least = id;
      least_load = group.load;
    }
  }
  if (!least || groups_.size() == 1 || !request.spec.prefix_cache) return least;
  const auto known = affinity_.Find(request.spec.tokens, request.spec.prompt_length);
  const auto it = known ? groups_.find(*known) : groups_.end();
  if (it == groups_.end() || !it->second.has_room()) return least;
  return it->second.load <= least_load + options_.affinity_slack_tokens ? known : least;
}

std::optional<Placement::Assignment> Placement::Next() {
  if (waiting_.empty()) return std::nullopt;
  const auto first = waiting_.begin();
  const std::optional<uint64_t> group = ChooseGroup(*first->second);
  if (!group) return std::nullopt;
  Assignment assignment{*group, std::move(first->second)};
  waiting_.erase(first);
  const SequenceSpec& spec = assignment.request->spec;
  if (groups_.size() > 1 && spec.prefix_cache) {
    affinity_.Remember(spec.tokens, spec.prompt_length, *group);
  }
  Live& live = live_.at(assignment.request->id);
  live.group = *group;
  live.tokens = spec.tokens.size();
  Group& chosen = groups_.at(*group);
  chosen.load += live.tokens;
  ++chosen.sequences;
  return assignment;
}

void Placement::Unplace(Live& live) {
  const auto it = groups_.find(live.group);
  if (it != groups_.end()) {
    it->second.load -= live.tokens;
    --it->second.sequences;
  }
  live.group = 0;
}

void Placement::Forget(uint64_t id) {
  const auto it = live_.find(id);
  CHECK(it != live_.end()) << "request id " << id;
  Unplace(it->second);
  deadlines_.erase({it->second.deadline_ns, id});
  live_.erase(it);
}

void Placement::Finished(uint64_t id) { Forget(id); }

std::unique_ptr<Request> Placement::TakeRequest(uint64_t id) {
  auto node = waiting_.extract(live_.at(id).turn);
  CHECK(!node.empty()) << "request id " << id;
  Forget(id);
  return std::move(node.mapped());
}

Placement::Cancelled Placement::Cancel(uint64_t id) {
  const auto it = live_.find(id);
  if (it == live_.end()) return {};
  if (it->second.group == 0) return {.request = TakeRequest(id)};
  it->second.cancelled = true;
  return {.group = it->second.group};
}

bool Placement::WasCancelled(uint64_t id) const { return live_.at(id).cancelled; }

Placement::Expired Placement::TakeExpired(int64_t now_ns) {
  Expired expired;
  while (!deadlines_.empty() && deadlines_.begin()->first <= now_ns) {
    const uint64_t id = deadlines_.begin()->second;
    deadlines_.erase(deadlines_.begin());
    const Live& live = live_.at(id);
    if (live.group != 0) {
      expired.placed.emplace_back(live.group, id);
    } else if (!waiting_.at(live.turn)->output.started()) {
      expired.waiting.push_back(TakeRequest(id));
    }
  }
  return expired;
}

std::optional<int64_t> Placement::NextDeadline() const {
  if (deadlines_.empty()) return std::nullopt;
  return deadlines_.begin()->first;
}

std::vector<std::unique_ptr<Request>> Placement::TakeWaiting() {
  std::vector<std::unique_ptr<Request>> requests;
  while (!waiting_.empty()) requests.push_back(TakeRequest(waiting_.begin()->first.id));
  return requests;
}

std::vector<uint64_t> Placement::LiveIds() const {
  std::vector<uint64_t> ids;
  ids.reserve(live_.size());
  for (const auto& [id, live] : live_) ids.push_back(id);
  return ids;
}

uint32_t Placement::LongestSequence() const {
  uint32_t longest = 0;
  for (const auto& [id, live] : live_) longest = std::max(longest, live.longest);
  return longest;
}

uint32_t Placement::LongestPrompt() const {
  uint32_t longest = 0;
  for (const auto& [id, live] : live_) longest = std::max(longest, live.prompt);
  return longest;
}

}  // namespace regatta
