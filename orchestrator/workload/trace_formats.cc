// Lines of the three formats to entries; see trace_formats.h.
#include "orchestrator/workload/trace_formats.h"

#include <algorithm>
#include <istream>
#include <limits>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "common/json_text.h"
#include "common/status_macros.h"
#include "orchestrator/workload/counter_random.h"

namespace regatta {
namespace {

using nlohmann::json;

// One request as every format tells it.
struct Row {
  double time_ms = 0;
  uint64_t input_tokens = 0, output_tokens = 0;
  std::vector<uint64_t> blocks;  // hash ids of the prompt's blocks
};

absl::Status BadColumn(absl::string_view field, absl::string_view value,
                       absl::string_view expected) {
  return absl::InvalidArgumentError(
      absl::StrCat("'", field, "' is '", value, "', expected ", expected));
}

absl::StatusOr<uint64_t> Count(absl::string_view field, absl::string_view text) {
  double value = 0;  // some files write counts as 374.0
  if (!absl::SimpleAtod(text, &value) || !(value >= 0 && value <= kMaxOutputTokens)) {
    return BadColumn(field, text, absl::StrCat("a whole number in 0..", kMaxOutputTokens));
  }
  return static_cast<uint64_t>(value);
}

absl::StatusOr<Row> ReadMooncake(const std::string& text) {
  ASSIGN_OR_RETURN(const json line, ParseJsonLine(text));
  Row row;
  const json time = line.value("timestamp", json());
  if (!time.is_number()) return BadColumn("timestamp", time.dump(), "milliseconds");
  row.time_ms = time.get<double>();
  ASSIGN_OR_RETURN(row.input_tokens,
                   Count("input_length", line.value("input_length", json()).dump()));
  ASSIGN_OR_RETURN(row.output_tokens,
                   Count("output_length", line.value("output_length", json()).dump()));
  for (const json& id : line.value("hash_ids", json::array())) {
    if (!id.is_number_unsigned()) return BadColumn("hash_ids", id.dump(), "whole numbers");
    row.blocks.push_back(id.get<uint64_t>());
  }
  return row;
}

// Which columns of a CSV file hold what; its first line names them.
class CsvColumns {
 public:
  absl::Status ReadHeader(absl::string_view line, TraceFormat format) {
    const bool azure = format == TraceFormat::kAzure;
    names_ = azure ? std::vector<std::string>{"TIMESTAMP", "ContextTokens", "GeneratedTokens"}
                   : std::vector<std::string>{"Timestamp", "Request tokens", "Response tokens"};
    absl::ConsumePrefix(&line, "\xef\xbb\xbf");
    const std::vector<absl::string_view> header = absl::StrSplit(line, ',');
    for (const std::string& name : names_) {
      const auto found = std::find_if(header.begin(), header.end(), [&](absl::string_view cell) {
        return absl::StripAsciiWhitespace(cell) == name;
      });
      if (found == header.end()) {
        return absl::InvalidArgumentError(absl::StrCat("the header has no column '", name, "'"));
      }
      columns_.push_back(found - header.begin());
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Row> Read(absl::string_view line, TraceFormat format) const {
    const std::vector<absl::string_view> cells = absl::StrSplit(line, ',');
    if (*std::max_element(columns_.begin(), columns_.end()) >= cells.size()) {
      return absl::InvalidArgumentError(absl::StrCat("only ", cells.size(), " columns"));
    }
    const auto cell = [&](int i) { return absl::StripAsciiWhitespace(cells[columns_[i]]); };
    Row row;
    ASSIGN_OR_RETURN(row.time_ms, Time(cell(0), format));
    ASSIGN_OR_RETURN(row.input_tokens, Count(names_[1], cell(1)));
    ASSIGN_OR_RETURN(row.output_tokens, Count(names_[2], cell(2)));
    return row;
  }

 private:
  absl::StatusOr<double> Time(absl::string_view text, TraceFormat format) const {
    if (format == TraceFormat::kBurstGpt) {
      double seconds = 0;
      if (absl::SimpleAtod(text, &seconds) && seconds >= 0 && seconds <= 1e9) return seconds * 1e3;
      return BadColumn(names_[0], text, "seconds");
    }
    // "2023-11-16 18:15:46.6805900", of later files with a zone: "...+00:00".
    absl::Time time;
    std::string error;
    const std::string written(text);
    for (const char* form : {"%Y-%m-%d %H:%M:%E*S", "%Y-%m-%d %H:%M:%E*S%Ez"}) {
      if (!absl::ParseTime(form, written, &time, &error)) continue;
      return absl::ToDoubleMilliseconds(time - absl::UnixEpoch());
    }
    return BadColumn(names_[0], text, "2023-11-16 18:15:46.6805900");
  }

  std::vector<std::string> names_;
  std::vector<size_t> columns_;  // time, input, output
};

class TraceReader {
 public:
  TraceReader(const TraceOptions& options, const std::vector<uint32_t>& vocabulary)
      : options_(options), vocabulary_(vocabulary) {}

  bool full() const {
    return options_.num_requests > 0 && trace_.entries.size() == options_.num_requests;
  }

  absl::Status TakeLine(const std::string& line) {
    const bool csv = options_.format != TraceFormat::kMooncake;
    if (csv && !std::exchange(has_header_, true)) return columns_.ReadHeader(line, options_.format);
    absl::StatusOr<Row> row = csv ? columns_.Read(line, options_.format) : ReadMooncake(line);
    if (!row.ok()) return row.status();
    if (row->blocks.size() * kTraceBlockTokens >= row->input_tokens + kTraceBlockTokens) {
      return absl::InvalidArgumentError(
          absl::StrCat(row->blocks.size(), " hash_ids are more than input_length ",
                       row->input_tokens, " has blocks of ", kTraceBlockTokens));
    }
    Add(*row);
    return absl::OkStatus();
  }

  Trace Take() { return std::move(trace_); }

 private:
  void Add(const Row& row) {
    const auto over = [](uint64_t count, uint32_t limit) { return limit > 0 && count > limit; };
    if (row.input_tokens == 0 || row.output_tokens == 0 ||
        over(row.input_tokens, options_.max_input_tokens) ||
        over(row.output_tokens, options_.max_output_tokens)) {
      ++trace_.left_out;
      return;
    }
    const uint64_t index = trace_.entries.size();
    if (index == 0) first_ms_ = row.time_ms;
    DatasetEntry& entry = trace_.entries.emplace_back();
    entry.task_id = absl::StrCat(index);
    entry.synthetic = true;
    entry.timestamp_ms = std::max(0.0, row.time_ms - first_ms_);
    entry.output_tokens = static_cast<uint32_t>(row.output_tokens);
    entry.input_ids.reserve(row.input_tokens);
    for (uint64_t block : row.blocks) {
      AppendTokens(RandomStream::kBlockTokens, block,
                   std::min<uint64_t>(kTraceBlockTokens, row.input_tokens - entry.input_ids.size()),
                   entry.input_ids);
    }
    // What no block covers is nobody else's.
    AppendTokens(RandomStream::kTokens, index, row.input_tokens - entry.input_ids.size(),
                 entry.input_ids);
  }

  void AppendTokens(RandomStream stream, uint64_t key, uint64_t count, std::vector<uint32_t>& ids) {
    for (uint64_t k = 0; k < count; ++k) {
      ids.push_back(vocabulary_[DrawBelow(vocabulary_.size(), options_.seed, stream, key, k)]);
    }
  }

  const TraceOptions& options_;
  const std::vector<uint32_t>& vocabulary_;
  bool has_header_ = false;
  CsvColumns columns_;
  double first_ms_ = 0;
  Trace trace_;
};

}  // namespace

absl::StatusOr<TraceFormat> ParseTraceFormat(absl::string_view name) {
  if (name == "mooncake") return TraceFormat::kMooncake;
  if (name == "azure") return TraceFormat::kAzure;
  if (name == "burstgpt") return TraceFormat::kBurstGpt;
  return absl::InvalidArgumentError(
      absl::StrCat("--format is '", name, "', must be mooncake, azure or burstgpt"));
}

absl::StatusOr<Trace> ReadTrace(std::istream& in, const std::string& path,
                                const TraceOptions& options,
                                const std::vector<uint32_t>& vocabulary) {
  if (vocabulary.empty()) {
    return absl::InvalidArgumentError("the vocabulary has no ordinary token");
  }
  TraceReader reader(options, vocabulary);
  std::string line;
  for (size_t number = 1; !reader.full() && std::getline(in, line); ++number) {
    if (absl::StripAsciiWhitespace(line).empty()) continue;
    const absl::Status status = reader.TakeLine(line);
    if (status.ok()) continue;
    return absl::InvalidArgumentError(absl::StrCat(path, ":", number, ": ", status.message()));
  }
  Trace trace = reader.Take();
  if (trace.entries.empty()) return absl::InvalidArgumentError(absl::StrCat(path, ": no request"));
  return trace;
}

}  // namespace regatta
