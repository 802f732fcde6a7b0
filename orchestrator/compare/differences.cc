// Facts of each run, held against one another; see differences.h.
#include "orchestrator/compare/differences.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "orchestrator/statistics/headline_latency.h"
#include "orchestrator/statistics/load_name.h"
#include "orchestrator/statistics/quantiles.h"
#include "orchestrator/statistics/repeats.h"
#include "orchestrator/statistics/user_speed.h"

namespace regatta {
namespace {

// Clocks that differ by less are the same: a GPU steps by 15 MHz.
constexpr double kSameClock = 0.01;

struct Fact {
  std::string what;
  std::string value;  // empty: not known
  bool spoils = false;
};
using Facts = std::vector<Fact>;

std::string Known(double value, const char* unit = "") {
  return value > 0 ? absl::StrCat(value, unit) : "";
}

std::string OnOff(bool on) { return on ? "on" : "off"; }

void AddMachine(const SweepReport& sweep, const PointReport& point, Facts& facts) {
  const Environment& host = sweep.environment();
  facts.push_back({"device", point.machine().name(), true});
  facts.push_back({"host", point.machine().host(), true});
  facts.push_back({"CPU", host.cpu(), true});
  facts.push_back({"CPUs", Known(host.cpus()), true});
  facts.push_back({"kernel", host.kernel(), true});
  facts.push_back({"driver", host.driver(), true});
  facts.push_back({"driver's CUDA", host.driver_cuda(), true});
  facts.push_back({"CUDA of the build", host.built_cuda(), true});
  facts.push_back({"NCCL", host.nccl(), true});
  for (const GpuDescription& gpu : host.gpus()) {
    const std::string of = absl::StrCat(" of GPU ", gpu.index());
    facts.push_back({"name" + of, gpu.name(), true});
    facts.push_back({"power limit" + of, Known(gpu.power_limit_w(), " W"), true});
    facts.push_back({"highest SM clock" + of, Known(gpu.max_sm_clock_mhz(), " MHz"), true});
    facts.push_back(
        {"application SM clock" + of, Known(gpu.application_sm_clock_mhz(), " MHz"), true});
    facts.push_back({"NVLinks" + of, absl::StrCat(gpu.nvlinks()), true});
  }
}

std::string HowSpeedIsMade(const PointReport& point) {
  if (SpeedIsWithContext(point)) return "output tokens / latency";
  if (point.regatta().has_user_speed_tok_s()) return "pooled";
  return point.streaming_metrics().token_output_speed_tok_s() > 0 ? "mean of requests' speeds" : "";
}

// Of requests that come by a rate or a trace, where any tells its latency.
std::string WhetherScheduleIsKnown(const PointReport& point) {
  const bool told = HeadlineMeanLatencyMs(point) > 0 || HeadlineLatency(point).p50() > 0;
  if (!HasSchedule(LoadOf(point.regatta())) || !told) return "";
  return IsFromDue(point) ? "known" : "not known (latencies of both are from when they were sent)";
}

const std::string& HashOf(const SweepReport& sweep) {
  return sweep.journal().identity().dataset_hash();
}

// `by_hash`: both runs have one of their prompts, so that names of files say nothing.
void AddLoad(const SweepReport& sweep, const PointReport& point, bool by_hash, Facts& facts) {
  const RegattaInfo& info = point.regatta();
  if (by_hash) {
    facts.push_back({"prompts", HashOf(sweep), true});
  } else {
    facts.push_back({"data set", sweep.dataset_path(), true});
    facts.push_back({"mean prompt", Known(std::round(point.dataset().avg_isl()), " tokens"), true});
    facts.push_back({"mean output", Known(std::round(point.dataset().avg_osl()), " tokens"), true});
  }
  facts.push_back({"arrivals", info.load().arrival(), true});
  facts.push_back({"streaming", OnOff(info.streaming()), true});
  facts.push_back({"speed of a user", HowSpeedIsMade(point), true});
  facts.push_back({"when requests were due", WhetherScheduleIsKnown(point), true});
  facts.push_back({"transport", info.stream_mode(), true});
  facts.push_back({"prefix cache", OnOff(info.prefix_cache()), true});
  facts.push_back({"protocol", info.protocol().empty() ? "regatta" : info.protocol(), true});
  facts.push_back({"measured by", sweep.imported().tool(), true});
  facts.push_back({"client's version", sweep.version(), true});
  facts.push_back({"client's commit", sweep.commit(), true});
  facts.push_back({"plaintext off loopback", OnOff(sweep.insecure()), true});
}

// "tp1-dp2 / tp2" of an experiment over layouts; the number where they are many.
std::string JoinValues(const std::set<std::string>& values) {
  constexpr size_t kNamed = 4;
  return values.size() > kNamed ? absl::StrCat(values.size(), " different")
                                : absl::StrJoin(values, " / ");
}

using MeasuredPoints = google::protobuf::RepeatedPtrField<PointReport>;

void AddSystem(const MeasuredPoints& runs, Facts& facts) {
  const auto add = [&](const char* what, const auto& of) {
    std::set<std::string> values;
    for (const PointReport& run : runs) values.insert(of(run));
    values.erase("");
    facts.push_back({what, JoinValues(values)});
  };
  using Run = const PointReport&;
  add("model", [](Run run) { return run.engine().model(); });
  add("model's path", [](Run run) { return run.engine().model_path(); });
  add("engine", [](Run run) { return run.engine().backend(); });
  add("version", [](Run run) { return run.engine().version(); });
  add("dtype", [](Run run) { return run.engine().dtype(); });
  add("KV cache's dtype", [](Run run) { return run.engine().kv_cache_dtype(); });
  add("quantization", [](Run run) { return run.engine().quantization(); });
  add("layout", [](Run run) { return run.regatta().layout(); });
  add("ranks", [](Run run) { return Known(run.world_info().world_size()); });
  add("max batch size", [](Run run) { return Known(run.world_info().max_batch_size()); });
  add("max num tokens", [](Run run) { return Known(run.world_info().max_num_tokens()); });
  add("scheduling", [](Run run) { return run.world_info().scheduling_policy(); });
  add("deterministic", [](Run run) { return OnOff(run.regatta().deterministic()); });
  add("dummy weights", [](Run run) { return OnOff(run.regatta().dummy_weights()); });
}

Facts FactsOf(const SweepReport& sweep, bool by_hash) {
  Facts facts;
  const auto& runs = MeasuredRuns(sweep);
  const PointReport& point = runs.empty() ? PointReport::default_instance() : runs[0];
  AddMachine(sweep, point, facts);
  AddLoad(sweep, point, by_hash, facts);
  AddSystem(runs, facts);
  return facts;
}

SideDifference Difference(const Fact& a, const std::string& b) {
  SideDifference difference;
  difference.set_what(a.what);
  difference.set_a(a.value);
  difference.set_b(b);
  difference.set_spoils(a.spoils);
  return difference;
}

// Over all runs and used GPUs, as they were while they worked.
double MeanClockMhz(const SweepReport& sweep) {
  std::vector<double> clocks;
  for (const PointReport& run : MeasuredRuns(sweep)) {
    for (const GpuEnergy& gpu : run.regatta().energy().gpus()) {
      if (gpu.used() && gpu.mean_sm_clock_mhz() > 0) clocks.push_back(gpu.mean_sm_clock_mhz());
    }
  }
  return Mean(clocks);
}

bool IsBoundByClient(const SweepReport& sweep) {
  const auto& runs = MeasuredRuns(sweep);
  return std::any_of(runs.begin(), runs.end(),
                     [](const PointReport& run) { return run.regatta().client().bound(); });
}

std::optional<SideDifference> ClockDifference(const SweepReport& a, const SweepReport& b) {
  const double clock_a = MeanClockMhz(a), clock_b = MeanClockMhz(b);
  if (clock_a <= 0 || clock_b <= 0) return std::nullopt;
  if (std::abs(clock_b / clock_a - 1) <= kSameClock) return std::nullopt;
  return Difference({"mean SM clock under load", absl::StrFormat("%.0f MHz", clock_a), true},
                    absl::StrFormat("%.0f MHz", clock_b));
}

}  // namespace

std::vector<SideDifference> DifferencesOf(const SweepReport& a, const SweepReport& b) {
  std::vector<SideDifference> differences;
  const bool by_hash = !HashOf(a).empty() && !HashOf(b).empty();
  const Facts facts_b = FactsOf(b, by_hash);
  for (const Fact& fact : FactsOf(a, by_hash)) {
    const auto other = std::find_if(facts_b.begin(), facts_b.end(),
                                    [&](const Fact& f) { return f.what == fact.what; });
    if (other == facts_b.end() || fact.value.empty() || other->value.empty()) continue;
    if (fact.value != other->value) differences.push_back(Difference(fact, other->value));
  }
  if (const auto clocks = ClockDifference(a, b)) differences.push_back(*clocks);
  if (IsBoundByClient(a) != IsBoundByClient(b)) {
    differences.push_back(
        Difference({"client-bound loads", IsBoundByClient(a) ? "some" : "none", true},
                   IsBoundByClient(b) ? "some" : "none"));
  }
  std::stable_partition(differences.begin(), differences.end(),
                        [](const SideDifference& d) { return d.spoils(); });
  return differences;
}

}  // namespace regatta
