// Sums of tokens against one limit; see length_check.h.
#include "orchestrator/workload/length_check.h"

#include "absl/strings/str_cat.h"

namespace regatta {
namespace {

struct Length {
  uint64_t prompt = 0;  // of the last turn: all that came before it too
  uint64_t output = 0;
  uint64_t total() const { return prompt + output; }
};

// Of the longest request of `entry`, its last: a session's prompts grow turn by turn.
Length LongestOf(const DatasetEntry& entry) {
  Length length{entry.input_ids.size(), entry.output_tokens};
  for (const DatasetTurn& turn : entry.next_turns) {
    length = {length.total() + turn.input_ids.size(), turn.output_tokens};
  }
  return length;
}

// Entries with a length over a limit.
struct TooLong {
  size_t count = 0;
  const DatasetEntry* first = nullptr;  // by line
};

template <typename LengthOf>
TooLong FindTooLong(const Dataset& dataset, uint64_t limit, const LengthOf& length_of) {
  TooLong found;
  for (const DatasetEntry& entry : dataset.entries) {
    if (length_of(LongestOf(entry)) <= limit) continue;
    ++found.count;
    if (found.first == nullptr || entry.line < found.first->line) found.first = &entry;
  }
  return found;
}

}  // namespace

absl::Status CheckRequestLengths(const Dataset& dataset, const LengthLimit& limit) {
  if (limit.tokens == 0) return absl::OkStatus();
  const auto [count, first] =
      FindTooLong(dataset, limit.tokens, [](const Length& length) { return length.total(); });
  if (first == nullptr) return absl::OkStatus();
  const Length length = LongestOf(*first);
  const bool of_file = first->line > 0;
  const char* advice = of_file ? "shorten them or leave them out"
                               : "give a lower --target-input-len or --target-output-len";
  return absl::InvalidArgumentError(
      absl::StrCat(PlaceOf(dataset, *first), ": ", length.prompt, " tokens in and ", length.output,
                   " out ", first->next_turns.empty() ? "" : "at the last turn ", "are ",
                   length.total(), ", over ", limit.tokens, ", ", limit.source, "; so are ", count,
                   " of ", dataset.entries.size(), of_file ? " lines" : " prompts", ": ",
                   limit.remedy, limit.remedy.empty() ? "" : ", or ", advice));
}

absl::Status CheckPromptLengths(const Dataset& dataset, const LengthLimit& limit) {
  if (limit.tokens == 0) return absl::OkStatus();
  const auto [count, first] =
      FindTooLong(dataset, limit.tokens, [](const Length& length) { return length.prompt; });
  if (first == nullptr) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      PlaceOf(dataset, *first), ": ", LongestOf(*first).prompt, " tokens in are over ",
      limit.tokens, ", ", limit.source, ", and prompts are not cut into chunks there; so are ",
      count, " of ", dataset.entries.size(), first->line > 0 ? " lines" : " prompts", ": ",
      limit.remedy));
}

}  // namespace regatta
