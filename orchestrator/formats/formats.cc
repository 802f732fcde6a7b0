// The table of formats, and what reading and writing have in common; see formats.h.
#include "orchestrator/formats/formats.h"

#include <fnmatch.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/status_macros.h"
#include "orchestrator/formats/format.h"
#include "orchestrator/report/frontier.h"
#include "orchestrator/report/report.h"
#include "orchestrator/statistics/load_name.h"

namespace regatta {
namespace {

using nlohmann::json;

constexpr double kMostGpus = 65536;

std::vector<const Format*> Formats() {
  return {&VllmFormat(),   &AiperfFormat(), &InferencexFormat(),
          &TrtllmFormat(), &CsvFormat(),    &MarkdownFormat()};
}

absl::StatusOr<const Format*> FindFormat(const std::string& name, const char* flag = "--format") {
  std::vector<std::string> known;
  for (const Format* format : Formats()) {
    if (format->name == name) return format;
    known.push_back(format->name);
  }
  return absl::InvalidArgumentError(
      absl::StrCat(flag, " is '", name, "', must be one of ", absl::StrJoin(known, ", ")));
}

// The elements of an array, else the value itself.
void AddDocuments(const TextFile& file, json value, std::vector<Document>& documents) {
  if (!value.is_array()) {
    documents.push_back({file.name, file.name, std::move(value)});
    return;
  }
  for (size_t i = 0; i < value.size(); ++i) {
    documents.push_back({file.name, absl::StrCat(file.name, "[", i, "]"), std::move(value[i])});
  }
}

absl::Status UnknownFormat(const std::string& source) {
  return absl::InvalidArgumentError(
      absl::StrCat(source, ": is in no known format; known are:\n", FormatsHelp()));
}

// Of a file that is no JSON what its text is, if anything.
absl::StatusOr<bool> SplitText(const TextFile& file, std::vector<Document>& documents) {
  for (const Format* format : Formats()) {
    if (format->split == nullptr) continue;
    const size_t before = documents.size();
    ASSIGN_OR_RETURN(const bool split, format->split(file, documents));
    if (!split) continue;
    for (size_t i = before; i < documents.size(); ++i) documents[i].format = format;
    return true;
  }
  return false;
}

// Unlike lines of a log: "[TRT-LLM] ...", "[2026-11-27 10:00:00] ...".
bool BeginsLikeJson(absl::string_view text) {
  text = absl::StripLeadingAsciiWhitespace(text);
  if (absl::StartsWith(text, "{")) return true;
  if (!absl::ConsumePrefix(&text, "[")) return false;
  text = absl::StripLeadingAsciiWhitespace(text);
  const size_t word = std::min(text.find_first_not_of("-+.0123456789eE"), text.size());
  const bool number = word > 0;
  text = absl::StripLeadingAsciiWhitespace(text.substr(word));
  return text.empty() || absl::StrContains(number ? ",]" : "{[\"]tfn", text.substr(0, 1));
}

// The text of a format; or JSON, or JSON Lines: then each line is a document.
absl::Status ParseDocuments(const TextFile& file, std::vector<Document>& documents) {
  if (file.text.size() > kMaxImportBytes) return ParseImportedJson(file.text, file.name).status();
  ASSIGN_OR_RETURN(const bool split, SplitText(file, documents));
  if (split) return absl::OkStatus();
  absl::StatusOr<json> whole = ParseImportedJson(file.text, file.name);
  if (whole.ok()) {
    AddDocuments(file, *std::move(whole), documents);
    return absl::OkStatus();
  }
  size_t number = 0;
  for (absl::string_view line : absl::StrSplit(file.text, '\n')) {
    ++number;
    if (absl::StripAsciiWhitespace(line).empty()) continue;
    const std::string source = absl::StrCat(file.name, ":", number);
    absl::StatusOr<json> value = ParseImportedJson(line, source);
    // A first line that is no JSON: the file is none, in one piece or in lines.
    if (!value.ok() && !BeginsLikeJson(file.text)) return UnknownFormat(file.name);
    if (!value.ok()) return number == 1 ? whole.status() : value.status();
    documents.push_back({file.name, source, *std::move(value)});
    if (documents.size() > kMaxImportRequests) {
      return absl::InvalidArgumentError(
          absl::StrCat(file.name, ": has more than ", kMaxImportRequests, " lines"));
    }
  }
  return absl::OkStatus();
}

const Format* FormatOf(const Document& document) {
  if (document.format != nullptr) return document.format;
  for (const Format* format : Formats()) {
    if (format->recognizes != nullptr && format->recognizes(document.value)) return format;
  }
  return nullptr;
}

// The one format that all documents have.
absl::StatusOr<const Format*> Recognize(const std::vector<Document>& documents) {
  const Format* found = nullptr;
  for (const Document& document : documents) {
    const Format* looks = FormatOf(document);
    if (looks == nullptr) return UnknownFormat(document.source);
    if (found != nullptr && looks != found) {
      return absl::InvalidArgumentError(absl::StrCat(
          document.source, ": is ", looks->name, ", the files before it are ", found->name,
          ": import one format at a time, --format says which of a folder"));
    }
    found = looks;
  }
  return found;
}

// As our own layouts are named (common/layout.h); empty where no size is told.
std::string SizesName(const WorldInfo& world) {
  std::vector<std::string> parts;
  for (const auto& [name, size] : {std::pair("tp", world.tp_size()),
                                   {"ep", world.ep_size()},
                                   {"pp", world.pp_size()},
                                   {"dp", world.dp_size()}}) {
    if (size > 1) parts.push_back(absl::StrCat(name, size));
  }
  if (parts.empty() && world.tp_size() > 0) return "tp1";
  return absl::StrJoin(parts, "-");
}

// When requests were sent is what the file says, else what the caller says.
absl::Status SettleLoad(uint32_t asked, ImportDraft& draft, ImportedPoint& point) {
  RegattaInfo& info = *point.report.mutable_regatta();
  if (!KnowsLoad(info)) {
    info.set_concurrency(asked > 0 ? asked : point.likely_users);
    if (asked == 0 && point.likely_users > 0) {
      draft.notes.insert("concurrency is the mean number of running requests");
    }
  } else if (asked > 0 && asked != info.concurrency()) {
    draft.notes.insert("--concurrency is of points whose load is not told: the others keep theirs");
  }
  if (!KnowsLoad(info)) {
    return absl::InvalidArgumentError(
        absl::StrCat(point.source,
                     ": does not say its concurrency, nor a rate of requests: give --concurrency, "
                     "or, of aiperf, its folder: profile_export_aiperf.json says both"));
  }
  info.mutable_load()->set_arrival(ArrivalOf(info));
  if (HasSchedule(LoadOf(info)) && !info.has_latency_scheduled_ms()) {
    draft.notes.insert(
        "latencies are from when requests were sent: when they were due is not told");
  }
  for (RequestRecord& record : point.requests) record.set_concurrency(info.concurrency());
  return absl::OkStatus();
}

// What the caller knows better, and what follows from the rest.
absl::Status Finish(const ImportOptions& options, ImportDraft& draft, ImportedPoint& point) {
  PointReport& report = point.report;
  if (!options.model.empty()) report.mutable_engine()->set_model(options.model);
  if (!options.device.empty()) report.mutable_machine()->set_name(options.device);
  WorldInfo& world = *report.mutable_world_info();
  if (options.gpus > 0) world.set_world_size(options.gpus);
  if (world.world_size() == 0) {
    world.set_world_size(1);
    draft.notes.insert("the files do not say how many GPUs there were: counted as one");
  }
  RegattaInfo& info = *report.mutable_regatta();
  RETURN_IF_ERROR(SettleLoad(options.concurrency, draft, point));
  if (info.layout().empty()) info.set_layout(SizesName(world));
  info.set_performance_figure(true);
  Performance& performance = *report.mutable_performance();
  performance.set_output_throughput_per_gpu_tok_s(performance.system_output_throughput_tok_s() /
                                                  world.world_size());
  return absl::OkStatus();
}

// Points that one frontier is drawn through: other partitions and concurrencies of the same.
std::string SubjectOf(const PointReport& point) {
  return absl::StrJoin({point.engine().model(), point.machine().name(), point.engine().backend(),
                        point.engine().quantization()},
                       "\n");
}

// Drawn lengths have another mean and maximum at every point.
bool SameLengths(const PointReport& a, const PointReport& b) {
  const auto alike = [](double x, double y) { return std::abs(x - y) <= 0.1 * std::max(x, y); };
  return alike(a.dataset().avg_isl(), b.dataset().avg_isl()) &&
         alike(a.dataset().avg_osl(), b.dataset().avg_osl());
}

StoredRun MakeRun(std::vector<const ImportedPoint*> points, const Origin& origin) {
  StoredRun run;
  run.sweep.set_schema(kSweepSchema);
  run.sweep.set_completed(true);
  *run.sweep.mutable_imported() = origin;
  run.sweep.set_created_utc(points[0]->report.regatta().started_utc());
  run.sweep.set_dataset_path(points[0]->report.dataset().dataset_path());
  std::stable_sort(points.begin(), points.end(), [](const auto* a, const auto* b) {
    return LoadOf(a->report.regatta()) < LoadOf(b->report.regatta());
  });
  for (const ImportedPoint* point : points) {
    PointReport& report = *run.sweep.add_points();
    report = point->report;
    report.mutable_regatta()->set_run_number(run.sweep.points_size());
    report.mutable_regatta()->set_imported(true);
    for (const RequestRecord& record : point->requests) {
      run.requests.push_back(record);
      run.requests.back().set_run_number(run.sweep.points_size());
    }
  }
  return run;
}

std::vector<StoredRun> GroupIntoRuns(const ImportDraft& draft, const Origin& origin) {
  using Group = std::vector<const ImportedPoint*>;
  std::map<std::string, std::vector<Group>> groups;  // of a subject, by lengths
  for (const ImportedPoint& point : draft.points) {
    std::vector<Group>& lengths = groups[SubjectOf(point.report)];
    const auto group = std::find_if(lengths.begin(), lengths.end(), [&](const Group& other) {
      return SameLengths(other.front()->report, point.report);
    });
    (group == lengths.end() ? lengths.emplace_back() : *group).push_back(&point);
  }
  std::vector<StoredRun> runs;
  for (const auto& [subject, lengths] : groups) {
    for (const Group& points : lengths) runs.push_back(MakeRun(points, origin));
  }
  return runs;
}

}  // namespace

std::string FormatsHelp() {
  std::string text;
  for (const Format* format : Formats()) {
    absl::StrAppendFormat(&text, "  %-14s%s\n", format->name, format->what);
  }
  return text;
}

bool HasKnownName(const std::string& name, const std::string& format) {
  for (const Format* known : Formats()) {
    if (format != "auto" && format != known->name) continue;
    const std::vector<std::string> patterns = absl::StrSplit(known->files, ' ');
    for (const std::string& pattern : patterns) {
      if (::fnmatch(pattern.c_str(), name.c_str(), 0) == 0) return true;
    }
  }
  return false;
}

absl::Status CheckExportFormat(const std::string& format) {
  return FindFormat(format, "--export").status();
}

absl::StatusOr<std::vector<TextFile>> ExportRun(const StoredRun& run, const std::string& format) {
  ASSIGN_OR_RETURN(const Format* chosen, FindFormat(format));
  StoredRun completed{run.sweep, run.requests};
  completed.sweep.clear_points();
  for (const PointReport& point : run.sweep.points()) {
    if (HasCompleted(point)) *completed.sweep.add_points() = point;
  }
  if (completed.sweep.points_size() == 0) {
    return absl::InvalidArgumentError("the run has no point with a completed request");
  }
  return chosen->write(completed);
}

absl::StatusOr<std::vector<StoredRun>> ImportFiles(absl::Span<const TextFile> files,
                                                   const ImportOptions& options) {
  std::vector<Document> documents;
  for (const TextFile& file : files) RETURN_IF_ERROR(ParseDocuments(file, documents));
  if (documents.empty()) return absl::InvalidArgumentError("there is nothing in the files");
  const Format* format = nullptr;
  if (options.format == "auto") {
    ASSIGN_OR_RETURN(format, Recognize(documents));
  } else {
    ASSIGN_OR_RETURN(format, FindFormat(options.format));
  }
  ImportDraft draft;
  RETURN_IF_ERROR(format->read(documents, draft));
  if (draft.points.size() > kMaxImportPoints) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the files have ", draft.points.size(), " points, must have at most ", kMaxImportPoints));
  }
  for (ImportedPoint& point : draft.points) RETURN_IF_ERROR(Finish(options, draft, point));
  Origin origin;
  origin.set_format(format->name);
  origin.set_published_by(options.published_by);
  origin.set_tool(draft.tool);
  for (const TextFile& file : files) origin.add_files(file.name);
  for (const std::string& note : draft.notes) origin.add_notes(note);
  return GroupIntoRuns(draft, origin);
}

std::string JsonText(const nlohmann::ordered_json& value) {
  return value.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string PointName(const SweepReport& sweep, int index) {
  const auto label = [&sweep](int i) { return LoadLabel(LoadOf(sweep.points(i).regatta())); };
  int same = 1;
  for (int i = 0; i < index; ++i) same += label(i) == label(index);
  const std::string name =
      absl::StrReplaceAll(label(index), {{"/s", "rps"}, {"c=", "c"}, {" ", "-"}});
  return same == 1 ? name : absl::StrCat(name, "-", same);
}

void ReadPercentiles(const JsonFields& fields, const PercentileNames& names, Percentiles& out) {
  out.set_minimum(fields.NumberOr(names.minimum, 0));
  out.set_maximum(fields.NumberOr(names.maximum, 0));
  out.set_average(fields.NumberOr(names.average, 0));
  out.set_p50(fields.NumberOr("p50", 0));
  out.set_p90(fields.NumberOr("p90", 0));
  out.set_p95(fields.NumberOr("p95", 0));
  out.set_p99(fields.NumberOr("p99", 0));
}

uint32_t GpusOf(double all, double per_gpu) {
  if (per_gpu <= 0) return 0;
  return static_cast<uint32_t>(std::clamp(all / per_gpu + 0.5, 0.0, kMostGpus));
}

void SetMeanLengths(double input, double output, PointReport& point) {
  point.mutable_request_info()->set_avg_input_length(input);
  point.mutable_request_info()->set_avg_output_length(output);
  point.mutable_dataset()->set_avg_isl(input);
  point.mutable_dataset()->set_avg_osl(output);
}

}  // namespace regatta
