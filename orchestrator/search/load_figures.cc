// Means, and the difference of two; see load_figures.h.
#include "orchestrator/search/load_figures.h"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <vector>

#include "absl/strings/str_format.h"
#include "common/check.h"
#include "orchestrator/report/frontier.h"
#include "orchestrator/statistics/intervals.h"
#include "orchestrator/statistics/quantiles.h"

namespace regatta {
namespace {

struct Figure {
  const char* metric;  // the name of its field in LoadFigures
  const char* name;    // for people
  double (*get)(const PointReport&);
  bool more_is_better;
};

constexpr Figure kThroughput = {"output_throughput_per_gpu_tok_s", "output tok/s per GPU",
                                GpuThroughput, true};
constexpr Figure kUserSpeed = {"user_speed_tok_s", "tok/s per user", UserSpeed, true};
constexpr Figure kP5UserSpeed = {
    "p5_user_speed_tok_s", "tok/s of the slowest twentieth",
    [](const PointReport& p) { return p.regatta().p5_user_speed_tok_s(); }, true};
constexpr Figure kP95Ttft = {"p95_ttft_ms", "p95 TTFT in ms",
                             [](const PointReport& p) { return p.regatta().p95_ttft_ms(); }, false};

// What users of a goal would notice.
std::vector<Figure> FiguresOfGoal(const Goal& goal) {
  switch (goal.kind) {
    case Goal::Kind::kUserSpeed:
      return {kUserSpeed, kP5UserSpeed, kP95Ttft};
    case Goal::Kind::kThroughput:
      return {kThroughput};
    case Goal::Kind::kTtft:
      return {kP95Ttft};
  }
  return {};
}

std::vector<double> ValuesOf(double (*get)(const PointReport&), Runs runs) {
  std::vector<double> values;
  for (const PointReport* run : runs) values.push_back(get(*run));
  return values;
}

double MeanOf(double (*get)(const PointReport&), Runs runs) { return Mean(ValuesOf(get, runs)); }

// The variance of the samples' mean, and its degrees of freedom.
struct Spread {
  double variance = 0;
  double degrees = 0;
};

Spread SpreadOfMean(const std::vector<double>& samples) {
  const double mean = Mean(samples), degrees = samples.size() - 1.0;
  double squares = 0;
  for (const double sample : samples) squares += (sample - mean) * (sample - mean);
  return {squares / degrees / samples.size(), degrees};
}

// Half the width of the 95 % interval of the difference of two means, by Welch and Satterthwaite.
double HalfWidth(const std::vector<double>& before, const std::vector<double>& after) {
  constexpr double kUpperQuantile = 0.975;
  const Spread a = SpreadOfMean(before), b = SpreadOfMean(after);
  const double variance = a.variance + b.variance;
  if (variance <= 0) return 0;
  const double degrees =
      variance * variance /
      (a.variance * a.variance / a.degrees + b.variance * b.variance / b.degrees);
  const boost::math::students_t distribution(degrees);
  return boost::math::quantile(distribution, kUpperQuantile) * std::sqrt(variance);
}

std::string Worse(const Figure& figure, Runs before, Runs after) {
  const std::vector<double> old = ValuesOf(figure.get, before), now = ValuesOf(figure.get, after);
  const double difference = Mean(now) - Mean(old), half = HalfWidth(old, now);
  const bool worse = figure.more_is_better ? difference + half < 0 : difference - half > 0;
  if (!worse) return "";
  return absl::StrFormat("%s went from %.2f to %.2f, by %+.2f +- %.2f", figure.name, Mean(old),
                         Mean(now), difference, half);
}

}  // namespace

LoadFigures FiguresOf(const Goal& goal, Runs runs) {
  CHECK(!runs.empty());
  LoadFigures figures;
  figures.set_concurrency(runs[0]->regatta().concurrency());
  figures.set_runs(runs.size());
  figures.set_output_throughput_per_gpu_tok_s(MeanOf(kThroughput.get, runs));
  figures.set_user_speed_tok_s(MeanOf(kUserSpeed.get, runs));
  figures.set_p95_ttft_ms(MeanOf(kP95Ttft.get, runs));
  figures.set_p5_user_speed_tok_s(MeanOf(kP5UserSpeed.get, runs));
  figures.set_avg_ttft_ms(
      MeanOf([](const PointReport& p) { return p.streaming_metrics().avg_ttft_ms(); }, runs));
  figures.set_avg_tpot_ms(
      MeanOf([](const PointReport& p) { return p.streaming_metrics().avg_tpot_ms(); }, runs));
  figures.set_mean_running(
      MeanOf([](const PointReport& p) { return p.regatta().mean_running(); }, runs));
  figures.set_offered_running(
      MeanOf([](const PointReport& p) { return p.regatta().offered().mean_running(); }, runs));
  std::vector<Missed> judged;
  for (const PointReport* run : runs) {
    figures.set_failed_requests(figures.failed_requests() + run->regatta().failed_requests());
    judged.push_back(MissedBy(goal, *run));
    if (judged.back().empty()) figures.set_runs_meeting(figures.runs_meeting() + 1);
  }
  const Missed missed = MissedByMost(judged);
  figures.set_missed(missed.text);
  figures.set_missed_condition(missed.condition);
  for (const Figure& figure : {kThroughput, kUserSpeed, kP5UserSpeed, kP95Ttft}) {
    const auto interval = MeanInterval(figure.metric, ValuesOf(figure.get, runs));
    if (interval) *figures.add_intervals() = *interval;
  }
  return figures;
}

std::string WorseFigure(const Goal& goal, Runs before, Runs after) {
  CHECK(before.size() >= 2 && after.size() >= 2);
  const uint32_t failed = FiguresOf(goal, after).failed_requests();
  if (failed > FiguresOf(goal, before).failed_requests()) {
    return absl::StrFormat("failed requests: %d", failed);
  }
  for (const Figure& figure : FiguresOfGoal(goal)) {
    const std::string worse = Worse(figure, before, after);
    if (!worse.empty()) return worse;
  }
  return "";
}

}  // namespace regatta
