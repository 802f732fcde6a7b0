// The frontier and the words of a sweep; see frontier.h.
#include "orchestrator/report/frontier.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "orchestrator/report/known_figure.h"
#include "orchestrator/report/point_series.h"
#include "orchestrator/statistics/load_name.h"
#include "orchestrator/statistics/repeats.h"

namespace regatta {
namespace {

// What `of` says of the points of a sweep, "4 layouts" (`many`) where that is much.
std::string EachOf(const SweepReport& sweep, const std::string& (*of)(const PointReport&),
                   const char* many) {
  constexpr size_t kNamed = 3;
  std::vector<std::string> names;
  for (const PointReport& point : sweep.points()) {
    if (std::find(names.begin(), names.end(), of(point)) == names.end()) {
      names.push_back(of(point));
    }
  }
  return names.size() > kNamed ? absl::StrCat(names.size(), " ", many)
                               : absl::StrJoin(names, " / ");
}

const std::string& LayoutOf(const PointReport& point) { return point.regatta().layout(); }

struct FrontierPoint {
  double speed = 0, throughput = 0;
  bool counts = false;   // its figures are of all that was sent, and of one layout
  bool in_full = false;  // not of a round that dropped its layout
};

FrontierPoint AsFrontierPoint(const PointReport& point, uint32_t failed_requests) {
  const RegattaInfo& info = point.regatta();
  const double speed = UserSpeed(point), throughput = GpuThroughput(point);
  const bool counts = throughput > 0 && IsKnown(point, speed) && failed_requests == 0 &&
                      info.layout_change().empty();
  return {speed, throughput, counts, info.halving_round() == 0};
}

bool Beats(const FrontierPoint& a, const FrontierPoint& b) {
  return a.speed >= b.speed && a.throughput >= b.throughput &&
         (a.speed > b.speed || a.throughput > b.throughput);
}

std::vector<bool> Undominated(std::vector<FrontierPoint> points) {
  const bool any_in_full = std::any_of(points.begin(), points.end(),
                                       [](const FrontierPoint& point) { return point.in_full; });
  for (FrontierPoint& point : points) point.counts &= point.in_full || !any_in_full;
  std::vector<bool> on;
  for (const FrontierPoint& point : points) {
    on.push_back(point.counts &&
                 std::none_of(points.begin(), points.end(), [&](const FrontierPoint& other) {
                   return other.counts && Beats(other, point);
                 }));
  }
  return on;
}

}  // namespace

double GpuThroughput(const PointReport& point) {
  return point.performance().output_throughput_per_gpu_tok_s();
}

bool HasCompleted(const PointReport& point) { return point.request_info().num_requests() > 0; }

bool HasTokenTimes(const PointReport& point) {
  return HasCompleted(point) && point.has_streaming_metrics();
}

std::vector<bool> OnFrontier(const std::vector<PointSeries>& series) {
  std::vector<FrontierPoint> points;
  for (const PointSeries& one : series) {
    for (size_t i = 0; i < one.points.size(); ++i) {
      points.push_back(AsFrontierPoint(*one.points[i], one.failed[i]));
    }
  }
  return Undominated(points);
}

std::vector<bool> OnFrontier(const SweepReport& sweep) {
  std::vector<FrontierPoint> points;
  for (const PointReport& point : sweep.points()) {
    points.push_back(AsFrontierPoint(point, FailedRequestsAt(sweep, point)));
  }
  return Undominated(points);
}

namespace {

// Of a router that is old, or whose workers have no NVML, neither facts nor energy are known.
std::string UnknownOfGpus(const SweepReport& sweep) {
  const Environment& environment = sweep.environment();
  const bool gpus =
      std::any_of(environment.devices().begin(), environment.devices().end(),
                  [](const std::string& device) { return absl::StrContains(device, "NVIDIA"); });
  if (!gpus) return "";
  if (environment.driver().empty()) return "driver, clocks and energy";
  const bool energy =
      std::any_of(sweep.points().begin(), sweep.points().end(),
                  [](const PointReport& point) { return point.regatta().has_energy(); });
  return energy || sweep.points().empty() ? "" : "clocks under load and energy";
}

// Figures of one name that are not of one kind.
std::string SpeedsWithContext(const SweepReport& sweep) {
  std::vector<std::string> loads;
  for (const PointReport& point : sweep.points()) {
    if (SpeedIsWithContext(point)) loads.push_back(LoadLabel(LoadOf(point.regatta())));
  }
  if (loads.empty()) return "";
  const bool all = loads.size() == static_cast<size_t>(sweep.points_size());
  return absl::StrCat("tok/s/user", all ? "" : " of ", all ? "" : absl::StrJoin(loads, ", "),
                      " is output tokens / latency: no token has a time");
}

}  // namespace

std::string SweepCaveat(const SweepReport& sweep) {
  std::vector<std::string> parts;
  uint32_t failed = 0;
  for (const PointReport& point : sweep.points()) failed += point.regatta().failed_requests();
  if (sweep.points_size() > 0) {
    const RegattaInfo& info = sweep.points(0).regatta();
    if (!info.performance_figure() && !info.device_note().empty())
      parts.push_back("device: " + info.device_note());
    if (info.dummy_weights()) parts.push_back("dummy weights");
    if (info.deterministic()) parts.push_back("deterministic");
    if (info.dummy_router_skew() > 0) {
      parts.push_back(absl::StrCat("router skew ", info.dummy_router_skew()));
    }
  }
  if (sweep.has_imported()) {
    const Origin& origin = sweep.imported();
    parts.push_back(absl::StrCat("not measured here, published by ",
                                 origin.published_by().empty() ? "others" : origin.published_by(),
                                 " (", origin.format(), ")"));
  }
  if (failed > 0) parts.push_back(absl::StrCat(failed, " failed requests"));
  if (std::string speeds = SpeedsWithContext(sweep); !speeds.empty()) {
    parts.push_back(std::move(speeds));
  }
  if (!sweep.completed()) parts.push_back("sweep not completed");
  if (sweep.insecure()) parts.push_back("plaintext gRPC off loopback");
  if (const std::string unknown = UnknownOfGpus(sweep); !unknown.empty()) {
    parts.push_back(absl::StrCat(unknown, " of the GPUs not known: their workers did not tell"));
  }
  for (const HostFinding& finding : sweep.environment().findings()) {
    if (finding.level() == "ok" || finding.level() == "note") continue;
    parts.push_back(absl::StrCat(finding.subject(), ": ", finding.what(), " ", finding.value()));
  }
  return absl::StrJoin(parts, "; ");
}

std::string SweepSubject(const SweepReport& sweep) {
  if (sweep.points_size() == 0) return "";
  const PointReport& point = sweep.points(0);
  double requests = 0, input = 0, output = 0;
  for (const PointReport& p : sweep.points()) {
    requests += p.request_info().num_requests();
    input += p.request_info().num_requests() * p.request_info().avg_input_length();
    output += p.request_info().num_requests() * p.request_info().avg_output_length();
  }
  std::vector<std::string> parts = {point.engine().model(), EachOf(sweep, LayoutOf, "layouts"),
                                    EachOf(sweep, PrecisionOf, "precisions"),
                                    point.machine().name()};
  // Of a server behind HTTP not all is known.
  parts.erase(std::remove(parts.begin(), parts.end(), ""), parts.end());
  return absl::StrFormat("%s, %.0f in / %.0f out", absl::StrJoin(parts, ", "),
                         input / std::max(1.0, requests), output / std::max(1.0, requests));
}

}  // namespace regatta
