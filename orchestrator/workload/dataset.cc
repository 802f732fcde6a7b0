// JSON Lines in and out; see dataset.h.
#include "orchestrator/workload/dataset.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/atomic_file.h"
#include "common/input_file.h"
#include "common/json_text.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

using nlohmann::json;

constexpr double kMaxTimeMs = 1e12;  // 31 years
constexpr size_t kMaxTurns = 10'000;

// The value as written, shortened, for error messages.
std::string Shown(const json& value) {
  constexpr size_t kLongest = 60;
  std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > kLongest) text = text.substr(0, kLongest) + "...";
  return text;
}

absl::Status BadField(absl::string_view field, const json& value, absl::string_view expected) {
  return absl::InvalidArgumentError(
      absl::StrCat("'", field, "' is ", Shown(value), ", expected ", expected));
}

absl::StatusOr<std::vector<uint32_t>> ParseIds(const char* field, const json& value) {
  if (!value.is_array() || value.empty()) {
    return BadField(field, value, "a non-empty list of token ids");
  }
  std::vector<uint32_t> ids;
  ids.reserve(value.size());
  for (const json& id : value) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() > std::numeric_limits<int32_t>::max()) {
      return BadField(field, id, "token ids in 0..2147483647");
    }
    ids.push_back(id.get<uint32_t>());
  }
  return ids;
}

absl::StatusOr<std::string> ParseText(const char* field, const json& value) {
  if (!value.is_string()) return BadField(field, value, "a string");
  return value.get<std::string>();
}

// Of a line or of one turn.
absl::Status ParsePrompt(const json& from, std::string& prompt, std::vector<uint32_t>& ids) {
  for (const char* field : {"input_ids", "logits"}) {
    if (!from.contains(field) || from[field].is_null()) continue;
    ASSIGN_OR_RETURN(ids, ParseIds(field, from[field]));
    return absl::OkStatus();
  }
  if (!from.contains("prompt")) {
    return absl::InvalidArgumentError("neither 'prompt' nor 'input_ids' is given");
  }
  ASSIGN_OR_RETURN(prompt, ParseText("prompt", from["prompt"]));
  if (prompt.empty()) return BadField("prompt", from["prompt"], "some text");
  return absl::OkStatus();
}

absl::StatusOr<uint32_t> ParseOutputTokens(const json& from) {
  const json output = from.value("output_tokens", json());
  if (!output.is_number_unsigned() || output.get<uint64_t>() < 1 ||
      output.get<uint64_t>() > kMaxOutputTokens) {
    return BadField("output_tokens", output,
                    absl::StrCat("a whole number in 1..", kMaxOutputTokens));
  }
  return output.get<uint32_t>();
}

absl::StatusOr<std::optional<double>> ParseMilliseconds(const char* field, const json& from) {
  const json value = from.value(field, json());
  if (value.is_null()) return std::nullopt;
  if (!value.is_number() || !(value.get<double>() >= 0 && value.get<double>() <= kMaxTimeMs)) {
    return BadField(field, value, absl::StrCat("milliseconds in 0..", kMaxTimeMs));
  }
  return value.get<double>();
}

absl::StatusOr<DatasetTurn> ParseTurn(const json& from) {
  if (!from.is_object()) return BadField("turns", from, "JSON objects");
  DatasetTurn turn;
  RETURN_IF_ERROR(ParsePrompt(from, turn.prompt, turn.input_ids));
  ASSIGN_OR_RETURN(turn.output_tokens, ParseOutputTokens(from));
  ASSIGN_OR_RETURN(turn.delay_ms, ParseMilliseconds("delay_ms", from));
  return turn;
}

// The first turn is the entry's own request.
absl::Status ParseTurns(const json& turns, DatasetEntry& entry) {
  if (!turns.is_array() || turns.empty() || turns.size() > kMaxTurns) {
    return BadField("turns", turns, absl::StrCat("1 to ", kMaxTurns, " turns"));
  }
  for (const json& from : turns) {
    ASSIGN_OR_RETURN(DatasetTurn turn, ParseTurn(from));
    entry.next_turns.push_back(std::move(turn));
  }
  DatasetTurn& first = entry.next_turns.front();
  for (const DatasetTurn& turn : entry.next_turns) {
    if (turn.input_ids.empty() == first.input_ids.empty()) continue;
    return absl::InvalidArgumentError("'turns' are partly texts and partly token ids");
  }
  entry.prompt = std::move(first.prompt);
  entry.input_ids = std::move(first.input_ids);
  entry.output_tokens = first.output_tokens;
  entry.next_turns.erase(entry.next_turns.begin());
  return absl::OkStatus();
}

absl::Status ParseTaskId(const json& line, size_t number, DatasetEntry& entry) {
  const json id = line.value("task_id", json(number));
  if (!id.is_string() && !id.is_number_integer()) {
    return BadField("task_id", id, "a number or a string");
  }
  entry.task_id = id.is_string() ? id.get<std::string>() : id.dump();
  return absl::OkStatus();
}

absl::StatusOr<DatasetEntry> ParseEntry(const json& line, size_t number) {
  for (const char* field : {"lora_request", "media_paths"}) {
    if (line.contains(field) && !line[field].is_null()) {
      return absl::UnimplementedError(absl::StrCat("'", field, "' is not supported"));
    }
  }
  DatasetEntry entry;
  RETURN_IF_ERROR(ParseTaskId(line, number, entry));
  if (line.contains("turns") && !line["turns"].is_null()) {
    RETURN_IF_ERROR(ParseTurns(line["turns"], entry));
  } else {
    RETURN_IF_ERROR(ParsePrompt(line, entry.prompt, entry.input_ids));
    ASSIGN_OR_RETURN(entry.output_tokens, ParseOutputTokens(line));
  }
  ASSIGN_OR_RETURN(entry.timestamp_ms, ParseMilliseconds("timestamp", line));
  if (line.contains("answer") && !line["answer"].is_null()) {
    ASSIGN_OR_RETURN(entry.answer, ParseText("answer", line["answer"]));
    entry.has_answer = true;
  }
  entry.synthetic = line.value("synthetic", json()) == json(true);
  const json prefix = line.value("prefix_tokens", json(0u));
  if (!prefix.is_number_unsigned() || prefix.get<uint64_t>() > entry.input_ids.size()) {
    return BadField("prefix_tokens", prefix, "a part of input_ids");
  }
  entry.prefix_tokens = prefix.get<uint32_t>();
  return entry;
}

absl::Status AtLine(const std::string& path, size_t number, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(path, ":", number, ": ", status.message()));
}

}  // namespace

bool Dataset::has_answers() const {
  return std::any_of(entries.begin(), entries.end(),
                     [](const DatasetEntry& entry) { return entry.has_answer; });
}

bool Dataset::has_sessions() const {
  return std::any_of(entries.begin(), entries.end(),
                     [](const DatasetEntry& entry) { return !entry.next_turns.empty(); });
}

double Dataset::mean_input_length() const {
  double sum = 0, count = 0;
  for (const DatasetEntry& entry : entries) {
    sum += entry.input_ids.size();
    count += !entry.input_ids.empty();
  }
  return count > 0 ? sum / count : 0;
}

double Dataset::mean_output_length() const {
  double sum = 0;
  for (const DatasetEntry& entry : entries) sum += entry.output_tokens;
  return entries.empty() ? 0 : sum / entries.size();
}

absl::StatusOr<Dataset> ParseDataset(std::istream& in, const std::string& path) {
  Dataset dataset;
  dataset.path = path;
  std::string text;
  for (size_t number = 1; std::getline(in, text); ++number) {
    if (absl::StripAsciiWhitespace(text).empty()) continue;
    const absl::StatusOr<json> line = ParseJsonLine(text);
    if (!line.ok()) return AtLine(path, number, line.status());
    absl::StatusOr<DatasetEntry> entry = ParseEntry(*line, number);
    if (!entry.ok()) return AtLine(path, number, entry.status());
    entry->line = static_cast<uint32_t>(number);
    dataset.entries.push_back(*std::move(entry));
  }
  if (in.bad()) return absl::DataLossError(absl::StrCat(path, ": cannot be read to its end"));
  if (dataset.entries.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": the data set is empty"));
  }
  return dataset;
}

absl::StatusOr<Dataset> LoadDataset(const std::string& path) {
  absl::StatusOr<std::ifstream> file = OpenInputFile(path);
  if (!file.ok()) return absl::NotFoundError(absl::StrCat("--dataset: ", file.status().message()));
  return ParseDataset(*file, path);
}

std::string PlaceOf(const Dataset& dataset, const DatasetEntry& entry) {
  if (entry.line > 0) return absl::StrCat(dataset.path, ":", entry.line);
  return absl::StrCat(dataset.path, ": task_id ", entry.task_id);
}

absl::Status CheckTokenIds(const Dataset& dataset, uint32_t vocab_size, const std::string& model) {
  const auto check = [&](const DatasetEntry& entry, const std::vector<uint32_t>& ids) {
    const auto bad =
        std::find_if(ids.begin(), ids.end(), [&](uint32_t id) { return id >= vocab_size; });
    if (bad == ids.end()) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(PlaceOf(dataset, entry), ": token id ", *bad,
                                                   " is not below the ", vocab_size,
                                                   " of the vocabulary of '", model, "'"));
  };
  for (const DatasetEntry& entry : dataset.entries) {
    RETURN_IF_ERROR(check(entry, entry.input_ids));
    for (const DatasetTurn& turn : entry.next_turns) RETURN_IF_ERROR(check(entry, turn.input_ids));
  }
  return absl::OkStatus();
}

namespace {

void FormatPrompt(const std::string& prompt, const std::vector<uint32_t>& ids,
                  uint32_t output_tokens, nlohmann::ordered_json& to) {
  if (ids.empty()) {
    to["prompt"] = prompt;
  } else {
    to["input_ids"] = ids;
  }
  to["output_tokens"] = output_tokens;
}

nlohmann::ordered_json FormatTurns(const DatasetEntry& entry) {
  nlohmann::ordered_json turns = nlohmann::ordered_json::array();
  FormatPrompt(entry.prompt, entry.input_ids, entry.output_tokens, turns.emplace_back());
  for (const DatasetTurn& turn : entry.next_turns) {
    nlohmann::ordered_json& to = turns.emplace_back();
    FormatPrompt(turn.prompt, turn.input_ids, turn.output_tokens, to);
    if (turn.delay_ms) to["delay_ms"] = *turn.delay_ms;
  }
  return turns;
}

}  // namespace

std::string FormatDatasetEntry(const DatasetEntry& entry) {
  nlohmann::ordered_json line;
  int64_t number = 0;
  if (absl::SimpleAtoi(entry.task_id, &number)) {
    line["task_id"] = number;
  } else {
    line["task_id"] = entry.task_id;
  }
  if (entry.timestamp_ms) line["timestamp"] = *entry.timestamp_ms;
  if (entry.next_turns.empty()) {
    FormatPrompt(entry.prompt, entry.input_ids, entry.output_tokens, line);
  } else {
    line["turns"] = FormatTurns(entry);
  }
  if (entry.has_answer) line["answer"] = entry.answer;
  if (entry.synthetic) line["synthetic"] = true;
  if (entry.prefix_tokens > 0) line["prefix_tokens"] = entry.prefix_tokens;
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

absl::Status WriteDataset(const std::vector<DatasetEntry>& entries, const std::string& path) {
  const auto write = [&entries](std::ostream& out) {
    for (const DatasetEntry& entry : entries) out << FormatDatasetEntry(entry);
    out.flush();
  };
  absl::Status status;
  if (path != "-") {
    status = WriteFileAtomically(path, write);
  } else {
    errno = 0;
    write(std::cout);
    if (!std::cout) {
      status = absl::UnavailableError(
          absl::StrCat("cannot write to standard output: ", std::strerror(errno)));
    }
  }
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat("--output: ", status.message()));
}

}  // namespace regatta
