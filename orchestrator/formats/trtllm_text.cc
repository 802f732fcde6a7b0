// Lines to fields; see trtllm_text.h. Sections and labels: tensorrt_llm/bench/dataclasses/
// reporting.py, and terminal_report.cc of ours.
#include "orchestrator/formats/trtllm_text.h"

#include <algorithm>
#include <set>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/status_macros.h"
#include "common/string_views.h"
#include "common/text/utf8.h"

namespace regatta {
namespace {

using nlohmann::json;

constexpr absl::string_view kBackend = "BACKEND";  // behind its name
constexpr absl::string_view kMachine = "MACHINE DETAILS", kRequests = "REQUEST DETAILS",
                            kWorld = "WORLD + RUNTIME INFORMATION",
                            kOverview = "PERFORMANCE OVERVIEW", kDataset = "DATASET DETAILS";
constexpr absl::string_view kNotes = "notes";  // below the last section, without a header
constexpr absl::string_view kOther = "other";

enum class Kind { kText, kNumber, kPercent };

// A line "label: value" of a section, and its field; units in parentheses are no part of a label.
struct Line {
  absl::string_view section, label;
  const char *object, *field;
  Kind kind = Kind::kNumber;
  bool required = false;
};

constexpr Line kLines[] = {
    {kBackend, "Model", "engine", "model", Kind::kText},
    {kBackend, "Model Path", "engine", "model_path", Kind::kText},
    {kBackend, "TensorRT LLM Version", "engine", "version", Kind::kText},
    {kBackend, "TensorRT-LLM Version", "engine", "version", Kind::kText},
    {kBackend, "Regatta Version", "engine", "version", Kind::kText},
    {kBackend, "Version", "engine", "version", Kind::kText},
    {kBackend, "Dtype", "engine", "dtype", Kind::kText},
    {kBackend, "KV Cache Dtype", "engine", "kv_cache_dtype", Kind::kText},
    {kBackend, "Quantization", "engine", "quantization", Kind::kText},
    {kRequests, "Number of requests", "request_info", "num_requests"},
    {kRequests, "Number of concurrent requests", "request_info", "avg_num_concurrent_requests"},
    {kRequests, "Average Input Length", "request_info", "avg_input_length"},
    {kRequests, "Average Output Length", "request_info", "avg_output_length"},
    {kWorld, "TP Size", "world_info", "tp_size"},
    {kWorld, "PP Size", "world_info", "pp_size"},
    {kWorld, "EP Size", "world_info", "ep_size"},
    {kWorld, "DP Size", "world_info", "dp_size"},
    {kWorld, "Max Runtime Batch Size", "world_info", "max_batch_size"},
    {kWorld, "Max Runtime Tokens", "world_info", "max_num_tokens"},
    {kWorld, "Scheduling Policy", "world_info", "scheduling_policy", Kind::kText},
    {kWorld, "KV Memory Percentage", "world_info", "kv_cache_percentage", Kind::kPercent},
    {kOverview, "Request Throughput", "performance", "request_throughput_req_s", Kind::kNumber,
     true},
    {kOverview, "Total Output Throughput", "performance", "system_output_throughput_tok_s",
     Kind::kNumber, true},
    {kOverview, "Total Token Throughput", "performance", "system_total_throughput_tok_s"},
    {kOverview, "Total Latency", "performance", "total_latency_ms", Kind::kNumber, true},
    {kOverview, "Average request latency", "performance", "avg_request_latency_ms"},
    {kOverview, "Per User Output Throughput [w/ ctx]", "performance",
     "output_throughput_per_user_tok_s"},
    {kOverview, "Per GPU Output Throughput", "performance", "output_throughput_per_gpu_tok_s"},
    {kOverview, "Average time-to-first-token [TTFT]", "streaming_metrics", "avg_ttft_ms"},
    {kOverview, "Average time-per-output-token [TPOT]", "streaming_metrics", "avg_tpot_ms"},
    {kOverview, "Per User Output Speed", "streaming_metrics", "token_output_speed_tok_s"},
    {kOverview, "Per User Output Speed [1/TPOT]", "streaming_metrics", "token_output_speed_tok_s"},
    {kDataset, "Dataset Path", "dataset", "dataset_path", Kind::kText},
    {kDataset, "Number of Sequences", "dataset", "num_requests"},
    {kNotes, "! load", "regatta", "load_name", Kind::kText},
    {kNotes, "! failed requests", "regatta", "failed_requests"},
    {kNotes, "! requests cancelled on purpose", "regatta", "cancelled_requests"},
};

// "[TPOT] P99    : 8.1306" and the like.
struct Breakdown {
  absl::string_view tag;
  const char *object, *field;
};
constexpr Breakdown kBreakdowns[] = {
    {"[TPOT]", "streaming_metrics", "tpot_percentiles"},
    {"[TTFT]", "streaming_metrics", "ttft_percentiles"},
    {"[GTPS]", "streaming_metrics", "gen_tps_percentiles"},
    {"[Latency]", "performance", "request_latency_percentiles_ms"},
};

// Names of a distribution's figures, in breakdowns and as rows of the data set's table.
struct Statistic {
  absl::string_view name, row;
  const char* field;
};
constexpr Statistic kStatistics[] = {
    {"MINIMUM", "MIN", "minimum"}, {"MAXIMUM", "MAX", "maximum"}, {"AVERAGE", "AVG", "average"},
    {"P50", "P50", "p50"},         {"P90", "P90", "p90"},         {"P95", "P95", "p95"},
    {"P99", "P99", "p99"},
};

bool IsRule(absl::string_view line) {
  return line.size() >= 20 && line.find_first_not_of('=') == absl::string_view::npos;
}

absl::string_view SectionOf(absl::string_view name) {
  if (absl::EndsWith(name, kBackend) || name == "ENGINE DETAILS") return kBackend;
  for (const absl::string_view section : {kMachine, kRequests, kWorld, kOverview, kDataset}) {
    if (name == section) return section;
  }
  return kOther;
}

bool IsUnknown(absl::string_view value) {
  return value.empty() || value == "-" || value == "None" || value == "N/A";
}

// Reads the lines of one file, each as part of its section.
class Reader {
 public:
  Reader(const std::string& file, std::vector<Document>& documents)
      : file_(file), documents_(documents) {}

  absl::Status Read(absl::string_view line);
  // Ends the report that is being read, if any; INVALID_ARGUMENT says what it lacks.
  absl::Status End();

 private:
  absl::Status Enter(absl::string_view name);
  absl::Status ReadLine(absl::string_view label, absl::string_view value);
  absl::Status ReadMachine(absl::string_view line);
  absl::Status ReadBreakdown(absl::string_view label, absl::string_view value);
  absl::Status ReadLengths(absl::string_view label, absl::string_view values);
  absl::Status SetText(absl::string_view value, json& field);
  absl::Status SetNumber(absl::string_view label, Kind kind, absl::string_view value, json& field);

  template <typename... What>
  absl::Status Complain(size_t line, const What&... what) const {
    return absl::InvalidArgumentError(absl::StrCat(file_, ":", line, ": ", what...));
  }

  const std::string& file_;
  std::vector<Document>& documents_;
  size_t line_ = 0;   // of the file
  size_t begin_ = 0;  // of the report
  bool after_rule_ = false, after_header_ = false;
  absl::string_view section_ = kNotes;
  std::set<absl::string_view> sections_;  // of the report
  json report_;
};

absl::Status Reader::Read(absl::string_view line) {
  ++line_;
  line = absl::StripAsciiWhitespace(line);
  const bool rule = IsRule(line);
  const bool header = after_rule_ && absl::ConsumePrefix(&line, "= ");
  if (rule && !after_header_) section_ = kNotes;
  after_rule_ = rule;
  after_header_ = header;
  if (header) return Enter(absl::StripAsciiWhitespace(line));
  if (sections_.empty()) return absl::OkStatus();  // before the first report
  if (section_ == kMachine) return ReadMachine(line);
  const size_t colon = line.find(':');
  if (colon == absl::string_view::npos) return absl::OkStatus();
  absl::string_view label = line.substr(0, colon);
  label = absl::StripAsciiWhitespace(label.substr(0, label.find(" (")));
  const absl::string_view value = absl::StripAsciiWhitespace(line.substr(colon + 1));
  if (section_ == kOverview && absl::StartsWith(label, "[")) return ReadBreakdown(label, value);
  RETURN_IF_ERROR(ReadLine(label, value));
  return section_ == kDataset ? ReadLengths(label, value) : absl::OkStatus();
}

// A backend begins a report, and so does what the one before it has already.
absl::Status Reader::Enter(absl::string_view name) {
  section_ = SectionOf(name);
  if (section_ == kOther) return absl::OkStatus();
  if (section_ == kBackend || sections_.count(section_) > 0) RETURN_IF_ERROR(End());
  if (sections_.empty()) begin_ = line_;
  sections_.insert(section_);
  if (section_ != kBackend) return absl::OkStatus();
  if (!absl::ConsumeSuffix(&name, kBackend)) name = "trt";  // "ENGINE DETAILS"
  return SetText(absl::AsciiStrToLower(absl::StripAsciiWhitespace(name)),
                 report_["engine"]["backend"]);
}

absl::Status Reader::End() {
  if (sections_.empty()) return absl::OkStatus();
  for (const Line& line : kLines) {
    if (!line.required || report_[line.object].contains(line.field)) continue;
    return Complain(begin_, "the report that begins here has no line '", line.label,
                    "': was it cut off?");
  }
  if (documents_.size() >= kMaxImportPoints) {
    return Complain(begin_, "is one report too many, there may be ", kMaxImportPoints);
  }
  const json& performance = report_["performance"];
  const uint32_t gpus = GpusOf(performance["system_output_throughput_tok_s"],
                               performance.value("output_throughput_per_gpu_tok_s", 0.0));
  if (gpus > 0) report_["world_info"]["world_size"] = gpus;
  documents_.push_back({file_, absl::StrCat(file_, ":", begin_), std::move(report_)});
  report_ = json();
  sections_.clear();
  return absl::OkStatus();
}

absl::Status Reader::ReadLine(absl::string_view label, absl::string_view value) {
  for (const Line& line : kLines) {
    if (line.section != section_ || line.label != label) continue;
    json& field = report_[line.object][line.field];
    return line.kind == Kind::kText ? SetText(value, field)
                                    : SetNumber(label, line.kind, value, field);
  }
  return absl::OkStatus();
}

// "NVIDIA H100 80GB HBM3, memory 79.19 GB, 2.62 GHz".
absl::Status Reader::ReadMachine(absl::string_view line) {
  const size_t memory = line.rfind(", memory ");
  if (memory == absl::string_view::npos) return absl::OkStatus();
  return SetText(line.substr(0, memory), report_["machine"]["name"]);
}

absl::Status Reader::ReadBreakdown(absl::string_view label, absl::string_view value) {
  const size_t space = std::min(label.find(' '), label.size());
  const absl::string_view name = absl::StripAsciiWhitespace(label.substr(space));
  for (const Breakdown& breakdown : kBreakdowns) {
    if (breakdown.tag != label.substr(0, space)) continue;
    for (const Statistic& statistic : kStatistics) {
      if (statistic.name != name) continue;
      json& field = report_[breakdown.object][breakdown.field][statistic.field];
      return SetNumber(label, Kind::kNumber, value, field);
    }
  }
  return absl::OkStatus();
}

// "MIN:   128.0000           128.0000           256.0000".
absl::Status Reader::ReadLengths(absl::string_view label, absl::string_view values) {
  for (const Statistic& statistic : kStatistics) {
    if (statistic.row != label) continue;
    const std::vector<absl::string_view> cells =
        absl::StrSplit(values, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    if (cells.size() != 3) {
      return Complain(line_, "'", label, "' has ", cells.size(),
                      " numbers, must have 3: of input, output and both");
    }
    size_t cell = 0;
    for (const char* lengths : {"isl_stats", "osl_stats", "seq_len_stats"}) {
      json& field = report_["dataset"][lengths][statistic.field];
      RETURN_IF_ERROR(SetNumber(label, Kind::kNumber, cells[cell++], field));
    }
  }
  return absl::OkStatus();
}

absl::Status Reader::SetText(absl::string_view value, json& field) {
  if (!IsValidUtf8(StdView(value))) return Complain(line_, "is not UTF-8");
  field = IsUnknown(value) ? "" : std::string(value);
  return absl::OkStatus();
}

absl::Status Reader::SetNumber(absl::string_view label, Kind kind, absl::string_view value,
                               json& field) {
  constexpr size_t kShown = 60;
  double number = 0;
  absl::string_view digits = value;
  if (kind == Kind::kPercent) absl::ConsumeSuffix(&digits, "%");
  const bool known = !IsUnknown(value);
  if (known && !(absl::SimpleAtod(digits, &number) && number >= 0 && number <= kMaxImportNumber)) {
    return Complain(line_, "'", absl::CHexEscape(label), "' is '",
                    absl::CHexEscape(value.substr(0, kShown)), "', must be a number in 0..",
                    kMaxImportNumber);
  }
  field = kind == Kind::kPercent ? number / 100 : number;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<bool> SplitTrtllmText(const TextFile& file, std::vector<Document>& documents) {
  if (!absl::StrContains(file.text, absl::StrCat("\n= ", kOverview))) return false;
  Reader reader(file.name, documents);
  for (const absl::string_view line : absl::StrSplit(file.text, '\n')) {
    RETURN_IF_ERROR(reader.Read(line));
  }
  RETURN_IF_ERROR(reader.End());
  return true;
}

}  // namespace regatta
