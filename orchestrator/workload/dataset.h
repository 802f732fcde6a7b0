// Benchmark data sets: trtllm-bench's JSON Lines, one request per line. Reads and writes files;
// knows no tokenizer and no load.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace regatta {

// A later turn of a conversation: what the user says once the turn before has been answered.
struct DatasetTurn {
  std::string prompt;               // empty when input_ids is given
  std::vector<uint32_t> input_ids;  // without what was said before
  uint32_t output_tokens = 0;
  std::optional<double> delay_ms;  // after the answer; else drawn
};

// One line: {"task_id": 1, "prompt": "..." | "input_ids": [...], "output_tokens": 128}, and of ours
// "answer" (the exact text expected), "synthetic" (random ids, which carry no meaning),
// "prefix_tokens" (of those, so many at the beginning are shared with other lines), "timestamp" (of
// a trace, ms) and, in place of prompt and output_tokens, "turns" (of a session): a list of {prompt
// | input_ids, output_tokens, "delay_ms" after the answer before it}.
struct DatasetEntry {
  std::string task_id;
  std::string prompt;               // empty when input_ids is given
  std::vector<uint32_t> input_ids;  // wins over prompt, as in trtllm-bench
  uint32_t output_tokens = 0;       // tokens to generate
  std::string answer;
  bool has_answer = false;
  bool synthetic = false;
  std::vector<DatasetTurn> next_turns;  // of the session that this entry begins
  std::optional<double> timestamp_ms;   // of a trace: when it was sent
  uint32_t prefix_tokens = 0;           // of input_ids, shared with other entries
  uint32_t line = 0;                    // of the file, from 1; 0 = of no file
};

struct Dataset {
  std::string path;
  std::vector<DatasetEntry> entries;

  bool has_answers() const;
  bool has_sessions() const;  // of more than one turn
  // Of token ids only; 0 when no entry has any.
  double mean_input_length() const;
  double mean_output_length() const;
};

// Longest output that a line may ask for; more is a unit error in somebody's script.
inline constexpr uint32_t kMaxOutputTokens = 1u << 24;

// Reads JSON Lines; blank lines are skipped. `logits` is an alias of `input_ids`, a missing task_id
// becomes the line's number. INVALID_ARGUMENT names path, line, field and value; UNIMPLEMENTED is
// for adapters and media. An empty data set is an error.
absl::StatusOr<Dataset> ParseDataset(std::istream& in, const std::string& path);

// The same from a file; NOT_FOUND names the path.
absl::StatusOr<Dataset> LoadDataset(const std::string& path);

// "path:line" of an entry, or its path and task_id when no line is known: for error messages.
std::string PlaceOf(const Dataset& dataset, const DatasetEntry& entry);

// INVALID_ARGUMENT names the first entry with a token id that `model` does not have, and the id.
absl::Status CheckTokenIds(const Dataset& dataset, uint32_t vocab_size, const std::string& model);

// One line, with its newline.
std::string FormatDatasetEntry(const DatasetEntry& entry);

// Writes to a file, or to standard output when `path` is "-".
absl::Status WriteDataset(const std::vector<DatasetEntry>& entries, const std::string& path);

}  // namespace regatta
