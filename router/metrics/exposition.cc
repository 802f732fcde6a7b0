// From what was counted to families of series; see exposition.h.
#include "router/metrics/exposition.h"

#include <algorithm>
#include <initializer_list>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/version.h"
#include "router/metrics/buckets.h"

namespace regatta {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::initializer_list<std::pair<const char*, std::string>>;

constexpr std::pair<FinishReason, const char*> kEnds[] = {{FINISH_REASON_STOP, "stop"},
                                                          {FINISH_REASON_LENGTH, "length"},
                                                          {FINISH_REASON_CANCELLED, "abort"},
                                                          {FINISH_REASON_ERROR, "error"}};
constexpr absl::StatusCode kRefusals[] = {absl::StatusCode::kInvalidArgument,
                                          absl::StatusCode::kResourceExhausted,
                                          absl::StatusCode::kUnavailable};

// What one scrape shows, and the writer of its families.
class Writer {
 public:
  Writer(const RouterMetrics& metrics, const ExpositionOptions& options)
      : metrics_(metrics), options_(options), snapshot_(metrics.Take()), http_(options.http()) {}

  std::vector<MetricFamily> Write() {
    WriteTable(false);
    if (options_.vllm_names) WriteTable(true);
    return std::move(families_);
  }

 private:
  void WriteTable(bool aliases) {
    aliases_ = aliases;
    const char* previous = "";
    for (const MetricRow& row : MetricTable()) {
      if (aliases && *row.alias == 0) continue;
      if (absl::string_view(row.name) != previous) {
        families_.emplace_back();
        families_.back().name = aliases ? absl::StrCat("vllm:", row.alias) : row.name;
        families_.back().help = row.meaning;
        families_.back().type = row.type;
        previous = row.name;
      }
      part_ = row.part;
      std::visit([this](auto source) { Write(source); }, row.source);
    }
  }

  ClientMetric& Add(Labels labels = {}) {
    ClientMetric& metric = families_.back().metric.emplace_back();
    metric.label.reserve(labels.size() + 2);
    metric.label.push_back({"model_name", options_.model_name});
    if (aliases_) metric.label.push_back({"engine", "0"});
    for (const auto& [name, value] : labels) metric.label.push_back({name, value});
    return metric;
  }
  void Value(double value, Labels labels = {}) {
    ClientMetric& metric = Add(labels);
    (families_.back().type == MetricType::Counter ? metric.counter.value : metric.gauge.value) =
        value;
  }

  void Write(GroupCounter counter) { Value(snapshot_.totals.Get(counter)); }

  void Write(GroupHistogram histogram) {
    WriteHistogram(snapshot_.totals.Get(histogram), metrics_.bounds().Of(histogram));
  }
  void WriteHistogram(const HistogramTotals& totals, const std::vector<double>& bounds) {
    ClientMetric& metric = *part_ == 0 ? Add() : Add({{"part", part_}});
    metric.histogram.bucket.reserve(totals.counts.size());
    uint64_t cumulative = 0;
    for (size_t i = 0; i < totals.counts.size(); ++i) {
      cumulative += totals.counts[i];
      metric.histogram.bucket.push_back(
          {cumulative, i < bounds.size() ? bounds[i] : std::numeric_limits<double>::infinity()});
    }
    metric.histogram.sample_count = cumulative;
    metric.histogram.sample_sum = totals.sum;
  }

  void Write(Figure figure) {
    switch (figure) {
      case Figure::kRunning:
        return Value(Sum(&GroupMetrics::running));
      case Figure::kWaiting:
        return Value(metrics_.unplaced() + Sum(&GroupMetrics::waiting));
      case Figure::kKvUsage:
        return Value(FullestGroup());
      case Figure::kCacheConfig:
        return WriteCacheConfig();
      case Figure::kSuccess:
        for (const auto& [reason, name] : kEnds) {
          Value(metrics_.ends().Get(reason), {{"finished_reason", name}});
        }
        return;
      case Figure::kRefused:
        return WriteRefused();
      case Figure::kGroups:
        return Value(snapshot_.groups.size());
      case Figure::kGrammarCompile:
        return WriteHistogram(metrics_.grammar_compile(), StepTimeBounds());
      case Figure::kHttpConnections:
        return Value(http_.connections);
      case Figure::kHttpRequests:
        for (const RouteCount& count : http_.requests) {
          Value(count.requests, {{"method", count.method},
                                 {"route", count.route},
                                 {"status", absl::StrCat(count.status)}});
        }
        return;
      case Figure::kBuild:
        return Value(1, {{"version", kVersion}, {"commit", BuildCommit()}});
      case Figure::kRankCompute:
      case Figure::kRankTimedSteps:
        return WriteRankTotals(figure);
      default:
        for (const auto& group : snapshot_.groups) WriteGroup(figure, *group);
    }
  }

  void WriteGroup(Figure figure, const GroupMetrics& group) {
    const std::string index = absl::StrCat(group.facts().index);
    if (figure == Figure::kGroupRunning) return Value(group.running(), {{"group", index}});
    if (figure == Figure::kGroupWaiting) return Value(group.waiting(), {{"group", index}});
    if (figure == Figure::kGroupBlocks) {
      const uint32_t used = group.used_blocks(), cached = group.cached_blocks();
      // The two are read one after the other.
      const uint32_t held = std::min(used + cached, group.facts().kv_blocks);
      Value(used, {{"group", index}, {"state", "used"}});
      Value(cached, {{"group", index}, {"state", "cached"}});
      return Value(group.facts().kv_blocks - held, {{"group", index}, {"state", "free"}});
    }
    for (uint32_t rank = 0; rank < group.facts().num_ranks; ++rank) {
      const std::optional<double> value = OfRank(figure, group.rank(rank));
      if (value.has_value()) Value(*value, {{"group", index}, {"rank", absl::StrCat(rank)}});
    }
  }

  // Empty: it does not tell.
  static std::optional<double> OfRank(Figure figure, const RankMetrics& rank) {
    if (figure == Figure::kRankCompleted) return rank.completed.Get();
    const GpuReading gpu = rank.gpu.Get().value_or(GpuReading());
    if (figure == Figure::kGpuPower && gpu.has_power_mw()) return gpu.power_mw() / 1e3;
    if (figure == Figure::kGpuEnergy && gpu.has_energy_mj()) return gpu.energy_mj() / 1e3;
    return std::nullopt;
  }

  void WriteRankTotals(Figure figure) {
    for (const auto& [key, totals] : snapshot_.ranks) {
      Value(figure == Figure::kRankCompute ? 1e-9 * totals.compute_ns : totals.timed_steps,
            {{"group", absl::StrCat(key.first)}, {"rank", absl::StrCat(key.second)}});
    }
  }

  void WriteCacheConfig() {
    uint64_t blocks = 0;
    for (const auto& group : snapshot_.groups) {
      const GroupFacts& facts = group->facts();
      blocks += facts.kv_blocks;
      if (aliases_) continue;
      Value(1, {{"group", absl::StrCat(facts.index)},
                {"block_size", absl::StrCat(facts.block_size)},
                {"num_gpu_blocks", absl::StrCat(facts.kv_blocks)},
                {"cache_dtype", facts.kv_cache_dtype}});
    }
    if (!aliases_ || snapshot_.groups.empty()) return;
    const GroupFacts& first = snapshot_.groups.front()->facts();
    Value(1, {{"block_size", absl::StrCat(first.block_size)},
              {"num_gpu_blocks", absl::StrCat(blocks)},
              {"cache_dtype", first.kv_cache_dtype}});
  }

  void WriteRefused() {
    for (const absl::StatusCode code : kRefusals) {
      Value(metrics_.refused(code),
            {{"reason", absl::AsciiStrToLower(absl::StatusCodeToString(code))}});
    }
  }

  uint64_t Sum(uint32_t (GroupMetrics::*figure)() const) const {
    uint64_t sum = 0;
    for (const auto& group : snapshot_.groups) sum += (group.get()->*figure)();
    return sum;
  }
  double FullestGroup() const {
    double fullest = 0;
    for (const auto& group : snapshot_.groups) {
      fullest =
          std::max(fullest, 1.0 * group->used_blocks() / std::max(1u, group->facts().kv_blocks));
    }
    return fullest;
  }

  const RouterMetrics& metrics_;
  const ExpositionOptions& options_;
  const RouterMetrics::Snapshot snapshot_;
  const HttpFigures http_;
  std::vector<MetricFamily> families_;
  bool aliases_ = false;
  const char* part_ = "";
};

}  // namespace

Exposition::Exposition(const RouterMetrics& metrics, ExpositionOptions options)
    : metrics_(metrics), options_(std::move(options)) {}

std::vector<MetricFamily> Exposition::Collect() const { return Writer(metrics_, options_).Write(); }

}  // namespace regatta
