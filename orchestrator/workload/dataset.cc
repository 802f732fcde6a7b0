// JSON Lines in and out; see dataset.h.
#include "orchestrator/workload/dataset.h"

#include <algorithm>
#include <fstream>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

using nlohmann::json;

// The value as written, shortened, for error messages.
std::string Shown(const json& value) {
  constexpr size_t kLongest = 60;
  std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > kLongest) text = text.substr(0, kLongest) + "...";
  return text;
}

absl::Status Bad(absl::string_view field, const json& value, absl::string_view expected) {
  return absl::InvalidArgumentError(
      absl::StrCat("'", field, "' is ", Shown(value), ", expected ", expected));
}

absl::StatusOr<std::vector<uint32_t>> ParseIds(const char* field, const json& value) {
  if (!value.is_array() || value.empty()) {
    return Bad(field, value, "a non-empty list of token ids");
  }
  std::vector<uint32_t> ids;
  ids.reserve(value.size());
  for (const json& id : value) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() > std::numeric_limits<int32_t>::max()) {
      return Bad(field, id, "token ids in 0..2147483647");
    }
    ids.push_back(id.get<uint32_t>());
  }
  return ids;
}

absl::StatusOr<std::string> ParseText(const char* field, const json& value) {
  if (!value.is_string()) return Bad(field, value, "a string");
  return value.get<std::string>();
}

absl::Status ParsePrompt(const json& line, DatasetEntry& entry) {
  for (const char* field : {"input_ids", "logits"}) {
    if (!line.contains(field) || line[field].is_null()) continue;
    ASSIGN_OR_RETURN(entry.input_ids, ParseIds(field, line[field]));
    return absl::OkStatus();
  }
  if (!line.contains("prompt")) {
    return absl::InvalidArgumentError("neither 'prompt' nor 'input_ids' is given");
  }
  ASSIGN_OR_RETURN(entry.prompt, ParseText("prompt", line["prompt"]));
  if (entry.prompt.empty()) return Bad("prompt", line["prompt"], "some text");
  return absl::OkStatus();
}

absl::Status ParseTaskId(const json& line, size_t number, DatasetEntry& entry) {
  const json id = line.value("task_id", json(number));
  if (!id.is_string() && !id.is_number_integer()) {
    return Bad("task_id", id, "a number or a string");
  }
  entry.task_id = id.is_string() ? id.get<std::string>() : id.dump();
  return absl::OkStatus();
}

absl::StatusOr<DatasetEntry> ParseEntry(const json& line, size_t number) {
  if (!line.is_object()) return Bad("line", line, "a JSON object");
  for (const char* field : {"lora_request", "media_paths", "turns"}) {
    if (line.contains(field) && !line[field].is_null()) {
      return absl::UnimplementedError(absl::StrCat("'", field, "' is not supported"));
    }
  }
  DatasetEntry entry;
  RETURN_IF_ERROR(ParseTaskId(line, number, entry));
  RETURN_IF_ERROR(ParsePrompt(line, entry));
  const json output = line.value("output_tokens", json());
  if (!output.is_number_unsigned() || output.get<uint64_t>() < 1 ||
      output.get<uint64_t>() > kMaxOutputTokens) {
    return Bad("output_tokens", output, absl::StrCat("a whole number in 1..", kMaxOutputTokens));
  }
  entry.output_tokens = output.get<uint32_t>();
  if (line.contains("answer") && !line["answer"].is_null()) {
    ASSIGN_OR_RETURN(entry.answer, ParseText("answer", line["answer"]));
    entry.has_answer = true;
  }
  entry.synthetic = line.value("synthetic", json()) == json(true);
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
    const json line = json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (line.is_discarded()) {
      return AtLine(path, number, absl::InvalidArgumentError("not valid JSON (one object a line)"));
    }
    absl::StatusOr<DatasetEntry> entry = ParseEntry(line, number);
    if (!entry.ok()) return AtLine(path, number, entry.status());
    dataset.entries.push_back(*std::move(entry));
  }
  if (in.bad()) return absl::DataLossError(absl::StrCat(path, ": cannot be read to its end"));
  if (dataset.entries.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": the data set is empty"));
  }
  return dataset;
}

absl::StatusOr<Dataset> LoadDataset(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat("--dataset: cannot read '", path, "'"));
  return ParseDataset(file, path);
}

absl::Status CheckTokenIds(const Dataset& dataset, uint32_t vocab_size, const std::string& model) {
  for (const DatasetEntry& entry : dataset.entries) {
    for (uint32_t id : entry.input_ids) {
      if (id < vocab_size) continue;
      return absl::InvalidArgumentError(
          absl::StrCat(dataset.path, ": task_id ", entry.task_id, ": token id ", id,
                       " is not below the ", vocab_size, " of the vocabulary of '", model, "'"));
    }
  }
  return absl::OkStatus();
}

std::string FormatDatasetEntry(const DatasetEntry& entry) {
  nlohmann::ordered_json line;
  int64_t number = 0;
  if (absl::SimpleAtoi(entry.task_id, &number)) {
    line["task_id"] = number;
  } else {
    line["task_id"] = entry.task_id;
  }
  if (entry.input_ids.empty()) {
    line["prompt"] = entry.prompt;
  } else {
    line["input_ids"] = entry.input_ids;
  }
  line["output_tokens"] = entry.output_tokens;
  if (entry.has_answer) line["answer"] = entry.answer;
  if (entry.synthetic) line["synthetic"] = true;
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

absl::Status WriteDataset(const std::vector<DatasetEntry>& entries, const std::string& path) {
  std::ofstream file;
  if (path != "-") file.open(path, std::ios::binary | std::ios::trunc);
  std::ostream& out = path == "-" ? std::cout : file;
  for (const DatasetEntry& entry : entries) out << FormatDatasetEntry(entry);
  out.flush();
  if (!out) return absl::UnavailableError(absl::StrCat("--output: cannot write '", path, "'"));
  return absl::OkStatus();
}

}  // namespace regatta
