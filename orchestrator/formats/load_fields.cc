// LoadShape as JSON and in the terms of others; see load_fields.h.
#include "orchestrator/formats/load_fields.h"

#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "orchestrator/report/report.h"
#include "orchestrator/statistics/load_name.h"

namespace regatta {

nlohmann::ordered_json OurLoad(const RegattaInfo& info) {
  LoadShape load = info.load();
  load.set_arrival(ArrivalOf(info));
  return {{"concurrency", info.concurrency()},
          {"protocol", info.protocol()},
          {"layout", info.layout()},
          {"load", nlohmann::ordered_json::parse(ToJson(load))}};
}

bool ReadOurLoad(const JsonFields& file, RegattaInfo& info) {
  const JsonFields ours = file.Object("regatta");
  if (!ours.Has("load")) return false;
  info.set_concurrency(ours.CountOr("concurrency", 0));
  info.set_protocol(ours.TextOr("protocol", ""));
  info.set_layout(ours.TextOr("layout", ""));
  const JsonFields fields = ours.Object("load");
  LoadShape& load = *info.mutable_load();
  load.set_arrival(fields.WordOr("arrival", "", kArrivals));
  load.set_request_rate(fields.NumberOr("request_rate", 0));
  load.set_burstiness(fields.NumberOr("burstiness", 0));
  load.set_ramp_up(fields.WordOr("ramp_up", "", kRampUps));
  load.set_ramp_up_start_rate(fields.NumberOr("ramp_up_start_rate", 0));
  load.set_concurrency_ramp_s(fields.NumberOr("concurrency_ramp_s", 0));
  load.set_replay_speedup(fields.NumberOr("replay_speedup", 0));
  load.set_cancellation_rate(fields.NumberOr("cancellation_rate", 0));
  load.set_cancellation_delay_s(fields.NumberOr("cancellation_delay_s", 0));
  CheckArrival(fields, load);
  return true;
}

void CheckArrival(const JsonFields& fields, const LoadShape& load) {
  const std::string& arrival = load.arrival();
  const bool rate = load.request_rate() > 0;
  if (rate && (arrival == kClosedLoop || arrival == kBurst || arrival == kTraceReplay)) {
    fields.Refuse("arrival", absl::StrCat("constant, poisson or gamma beside a rate of ",
                                          load.request_rate()));
  }
  if (!rate && (arrival == kConstant || arrival == kPoisson || arrival == kGamma)) {
    fields.Refuse("arrival", "closed-loop, burst or trace, as there is no rate");
  }
}

void SetGaps(double shape, LoadShape& load) {
  if (load.request_rate() <= 0) return;
  load.set_arrival(std::isinf(shape) ? kConstant : shape == 1 ? kPoisson : kGamma);
  if (load.arrival() == kGamma) load.set_burstiness(shape);
}

std::optional<double> ShapeOfGaps(const LoadShape& load) {
  if (load.request_rate() > 0 && load.arrival().empty()) return std::nullopt;
  if (load.arrival() == kConstant) return std::numeric_limits<double>::infinity();
  if (load.arrival() != kGamma) return 1;
  return load.burstiness() > 0 ? std::optional(load.burstiness()) : std::nullopt;
}

void SetUsers(uint32_t concurrency, RegattaInfo& info) {
  info.set_concurrency(concurrency);
  info.mutable_load()->set_arrival(concurrency > 0 ? kClosedLoop : kBurst);
}

}  // namespace regatta
