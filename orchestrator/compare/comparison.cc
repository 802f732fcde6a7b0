// Figures, verdicts and gates of matched runs; see comparison.h.
#include "orchestrator/compare/comparison.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"
#include "orchestrator/compare/differences.h"
#include "orchestrator/compare/matched_runs.h"
#include "orchestrator/report/frontier.h"
#include "orchestrator/statistics/quantiles.h"
#include "orchestrator/statistics/repeats.h"

namespace regatta {
namespace {

bool HasZero(const MetricSamples& samples) {
  const auto zero = [](double value) { return value <= 0; };
  return std::any_of(samples.a.begin(), samples.a.end(), zero) ||
         std::any_of(samples.b.begin(), samples.b.end(), zero);
}

bool IsMissing(const MetricSamples& samples) {
  const auto zero = [](double value) { return value <= 0; };
  return std::all_of(samples.a.begin(), samples.a.end(), zero) &&
         std::all_of(samples.b.begin(), samples.b.end(), zero);
}

double GeometricMeanOf(const std::vector<double>& values) {
  return UnpairedEffect(std::vector<double>{1.0}, values, kConfidence).ratio;
}

Effect EffectOf(const MatchedLoad& load, const MetricSamples& samples, double confidence) {
  return load.paired ? PairedEffect(samples.a, samples.b, confidence)
                     : UnpairedEffect(samples.a, samples.b, confidence);
}

ComparedFigure CompareFigure(const ComparedMetric& metric, const MatchedLoad& load,
                             const MetricSamples& samples, double margin) {
  ComparedFigure figure;
  figure.set_metric(metric.name);
  figure.set_unit(metric.unit);
  if (HasZero(samples)) {
    figure.set_a(Mean(samples.a));
    figure.set_b(Mean(samples.b));
    figure.set_verdict(VERDICT_NO_RATIO);
    return figure;
  }
  const Effect effect = EffectOf(load, samples, kConfidence);
  figure.set_a(GeometricMeanOf(samples.a));
  figure.set_b(GeometricMeanOf(samples.b));
  figure.set_ratio(effect.ratio);
  figure.set_confidence(effect.confidence);
  if (effect.interval.has_value()) {
    figure.set_low(effect.interval->low);
    figure.set_high(effect.interval->high);
  }
  figure.set_verdict(Judge(effect, metric.higher_is_better, margin));
  return figure;
}

// That a run sent.
double MeanRequests(const std::vector<std::vector<const PointReport*>>& entries) {
  double requests = 0, runs = 0;
  for (const auto& entry : entries) {
    for (const PointReport* run : entry) requests += run->regatta().issued_requests();
    runs += entry.size();
  }
  return Ratio(requests, runs);
}

ComparedLoad CompareLoad(const MatchedLoad& load, double margin) {
  ComparedLoad compared;
  compared.set_load(load.load);
  compared.set_arm(load.arm);
  compared.set_paired(load.paired);
  compared.set_runs_a(load.a.size());
  compared.set_runs_b(load.b.size());
  compared.set_failed_runs_a(load.failed_runs_a);
  compared.set_failed_runs_b(load.failed_runs_b);
  compared.set_requests_a(MeanRequests(load.a));
  compared.set_requests_b(MeanRequests(load.b));
  compared.set_indicative(std::min(load.a.size(), load.b.size()) < kRunsForIntervals);
  for (const ComparedMetric& metric : ComparedMetrics()) {
    const MetricSamples samples = load.SamplesOf(metric);
    if (IsMissing(samples)) continue;
    *compared.add_figures() = CompareFigure(metric, load, samples, margin);
  }
  return compared;
}

// Why there is no ratio of the samples; empty where there is one.
std::string WhyUnjudged(const MatchedLoad& load, const MetricSamples& samples) {
  if (load.a.empty() || load.b.empty()) return "no runs of both in which all requests succeeded";
  return HasZero(samples) ? "zero in some run" : "";
}

GateFinding JudgeGate(const Gate& gate, const MatchedLoad& load, double confidence) {
  GateFinding finding;
  finding.set_condition(gate.text);
  finding.set_load(load.load);
  finding.set_outcome(GATE_NOT_JUDGED);
  const MetricSamples samples = load.SamplesOf(*gate.metric);
  finding.set_unjudged(WhyUnjudged(load, samples));
  if (!finding.unjudged().empty()) return finding;
  const Effect effect = EffectOf(load, samples, confidence);
  finding.set_ratio(effect.ratio);
  finding.set_confidence(effect.confidence);
  if (effect.interval.has_value()) {
    finding.set_low(effect.interval->low);
    finding.set_high(effect.interval->high);
  }
  finding.set_outcome(Decide(gate, effect));
  if (!effect.interval.has_value()) finding.set_unjudged("too few runs for an interval");
  return finding;
}

// At every load that both measured; what A alone measured cannot be judged.
void JudgeGates(const std::vector<Gate>& gates, const MatchedRuns& matched,
                Comparison& comparison) {
  if (gates.empty()) return;
  const size_t loads = matched.loads.size() + matched.unsound.size();
  const double confidence = ConfidenceOfEach(gates.size() * loads);
  for (const Gate& gate : gates) {
    for (const MatchedLoad& load : matched.loads) {
      *comparison.add_gates() = JudgeGate(gate, load, confidence);
    }
    for (const MatchedLoad& load : matched.unsound) {
      *comparison.add_gates() = JudgeGate(gate, load, confidence);
    }
    for (const std::string& load : matched.unmet) {
      GateFinding& finding = *comparison.add_gates();
      finding.set_condition(gate.text);
      finding.set_load(load);
      finding.set_outcome(GATE_NOT_JUDGED);
      finding.set_unjudged("no runs of B to compare with");
    }
  }
}

ComparedSide SideOf(const std::string& name, const ComparedRun& run) {
  ComparedSide side;
  side.set_name(name);
  side.set_path(run.path);
  side.set_subject(SweepSubject(run.sweep));
  side.set_created_utc(run.sweep.created_utc());
  side.set_command(run.sweep.command());
  side.set_version(run.sweep.version());
  side.set_commit(run.sweep.commit());
  side.set_caveat(SweepCaveat(run.sweep));
  return side;
}

void NoteNotCompared(const MatchedRuns& matched, Comparison& comparison) {
  const auto note = [&](const std::vector<std::string>& loads, const char* why) {
    for (const std::string& load : loads) {
      comparison.add_not_compared(absl::StrCat(load, ": ", why));
    }
  };
  for (const MatchedLoad& load : matched.unsound) {
    comparison.add_not_compared(
        absl::StrCat(load.load, ": there are no runs of both in which nothing failed"));
  }
  note(matched.only_a, "only A measured it");
  note(matched.only_b, "only B measured it");
  for (const std::string& runs : matched.left_out) comparison.add_not_compared(runs);
}

void CountFailedRunsOfB(const MatchedRuns& matched, Comparison& comparison) {
  uint32_t failed = 0;
  for (const auto* loads : {&matched.loads, &matched.unsound}) {
    for (const MatchedLoad& load : *loads) failed += load.failed_runs_b;
  }
  comparison.set_failed_runs_b(failed);
}

absl::Status NothingInCommon(const ComparedRun& a, const ComparedRun& b,
                             const MatchedRuns& matched) {
  const auto only = [](const std::vector<std::string>& names) {
    constexpr size_t kNamed = 8;
    const size_t named = std::min(names.size(), kNamed);
    return absl::StrCat(absl::StrJoin(names.begin(), names.begin() + named, "; "),
                        named < names.size() ? "; ..." : "", names.empty() ? "nothing" : "");
  };
  return absl::InvalidArgumentError(absl::StrCat(
      "'", a.path, "' and '", b.path, "' have no load in common that can be compared: A has ",
      only(matched.only_a), ", B has ", only(matched.only_b),
      matched.left_out.empty() ? "" : "; left out: ", absl::StrJoin(matched.left_out, "; ")));
}

}  // namespace

absl::StatusOr<ComparisonOptions> ComparisonOptionsOf(double margin,
                                                      absl::Span<const std::string> fail_if) {
  if (!(margin >= 0 && margin <= 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the margin is ", 100 * margin, " %, must be 0 to 100 %"));
  }
  ComparisonOptions options;
  options.margin = margin;
  for (const std::string& text : fail_if) {
    ASSIGN_OR_RETURN(Gate gate, ParseGate(text));
    options.gates.push_back(std::move(gate));
  }
  return options;
}

absl::StatusOr<Comparison> CompareRuns(const ComparedRun& a, const ComparedRun& b,
                                       const ComparisonOptions& options) {
  const MatchedRuns matched = MatchRuns(a.sweep, b.sweep);
  if (matched.loads.empty() && matched.unsound.empty()) {
    return NothingInCommon(a, b, matched);
  }
  Comparison comparison;
  comparison.set_schema(kComparisonSchema);
  *comparison.mutable_a() = SideOf("A", a);
  *comparison.mutable_b() = SideOf("B", b);
  comparison.set_margin(options.margin);
  for (SideDifference& difference : DifferencesOf(a.sweep, b.sweep)) {
    *comparison.add_differences() = std::move(difference);
  }
  for (const MatchedLoad& load : matched.loads) {
    *comparison.add_loads() = CompareLoad(load, options.margin);
  }
  for (const MatchedLoad& all : AllLoads(matched.loads)) {
    if (all.a.empty() || all.b.empty()) continue;
    ComparedLoad& compared = *comparison.add_loads();
    compared = CompareLoad(all, options.margin);
    compared.set_all_loads(true);
  }
  NoteNotCompared(matched, comparison);
  CountFailedRunsOfB(matched, comparison);
  JudgeGates(options.gates, matched, comparison);
  return comparison;
}

}  // namespace regatta
