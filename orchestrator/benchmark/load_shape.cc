// Flags to schedules; see load_shape.h.
#include "orchestrator/benchmark/load_shape.h"

#include <sched.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/flags.h"
#include "common/status_macros.h"
#include "orchestrator/load/arrivals.h"
#include "orchestrator/statistics/load_name.h"

namespace regatta {
namespace {

constexpr uint32_t kMaxClientThreads = 256;
constexpr double kStreamsPerThread = 256, kRequestsPerThread = 2000;

absl::StatusOr<ArrivalOptions> ArrivalsOf(const LoadShapeOptions& options, const LoadPoint& point,
                                          uint64_t seed) {
  ArrivalOptions arrivals;
  ASSIGN_OR_RETURN(arrivals.process, ParseArrivalProcess(options.arrival));
  ASSIGN_OR_RETURN(arrivals.ramp_up, ParseRampUp(options.ramp_up));
  arrivals.rate = point.request_rate;
  arrivals.burstiness = options.burstiness;
  arrivals.ramp_up_start_rate = options.ramp_up_start_rate;
  arrivals.seed = seed;
  RETURN_IF_ERROR(CheckArrivals(arrivals));
  return arrivals;
}

absl::Status NoEffect(absl::string_view flag, absl::string_view without) {
  return absl::InvalidArgumentError(absl::StrCat(flag, " has no effect without ", without));
}

void AddArrivalFlags(CLI::App& command, LoadShapeOptions& options) {
  const auto add = [&command](const char* flag, auto& value, const char* help) {
    return command.add_option(flag, value, help)->group("Load")->capture_default_str();
  };
  add("--arrival", options.arrival, "gaps between requests at --request-rate")
      ->check(CLI::IsMember({"constant", "poisson", "gamma"}));
  add("--burstiness", options.burstiness,
      "shape of gamma gaps: 1 = Poisson, less = burstier, inf = constant");
  add("--ramp-up,--ramp-up-strategy", options.ramp_up,
      "linear or exponential: the rate goes from --ramp-up-start-rps to --request-rate over the "
      "point's requests");
  add("--ramp-up-start-rps", options.ramp_up_start_rate, "requests per second at a ramp's start");
  add("--concurrency-ramp-duration", options.concurrency_ramp_s,
      "seconds in which a point's concurrency grows from one to its full value")
      ->check(FiniteRange(0.0, kOneDayS));
  command
      .add_flag("--fixed-schedule", options.fixed_schedule,
                "send each request when the data set's timestamp says")
      ->group("Load");
  add("--replay-speedup", options.replay_speedup, "so many times faster than the timestamps")
      ->check(FiniteRange(1e-6, 1e6));
}

}  // namespace

void AddLoadShapeFlags(CLI::App& command, LoadShapeOptions& options) {
  const auto add = [&command](const char* flag, auto& value, const char* help) {
    return command.add_option(flag, value, help)->group("Load")->capture_default_str();
  };
  AddArrivalFlags(command, options);
  add("--request-cancellation-rate", options.cancellation_percent,
      "percent of requests to cancel, drawn from the seed")
      ->check(FiniteRange(0.0, 100.0));
  add("--request-cancellation-delay", options.cancellation_delay_s,
      "seconds from a request to its cancellation")
      ->check(FiniteRange(0.0, kOneDayS));
  add("--turn-delay-mean", options.turn_delay_mean_ms,
      "ms between an answer and a session's next turn, where the data set does not say")
      ->check(FiniteRange(0.0, kOneDayS * 1e3));
  add("--turn-delay-stdev", options.turn_delay_stdev_ms, "of that, normally distributed")
      ->check(FiniteRange(0.0, kOneDayS * 1e3));
  command
      .add_option("--cache-salt", options.cache_salt,
                  "begin all prompts of a point with tokens drawn from this number and the point, "
                  "so that no cache knows them from another point (default: none)")
      ->check(WholeRange(0, int64_t{1} << 53))
      ->group("Load");
  command
      .add_option("--client-threads", options.client_threads,
                  "threads of the load generator (default: enough for the load, at most the cores)")
      ->check(WholeRange(1, kMaxClientThreads))
      ->group("Load");
  command
      .add_flag(
          "--calibrate,!--no-calibrate", options.calibrate,
          "before the points, measure this client on a null server of its own: prints the token "
          "messages a second that it takes and how late it records times, against which "
          "client_bound of each point is judged (default on)")
      ->group("Load");
}

absl::Status CheckLoadShape(const LoadShapeOptions& options, const LoadPoint& point) {
  if (options.cancellation_percent == 0 && options.cancellation_delay_s > 0) {
    return NoEffect("--request-cancellation-delay", "--request-cancellation-rate");
  }
  if (options.concurrency_ramp_s > 0 && point.concurrency == 0) {
    return NoEffect("--concurrency-ramp-duration", "--concurrency");
  }
  if (options.replay_speedup != 1 && !options.fixed_schedule) {
    return NoEffect("--replay-speedup", "--fixed-schedule");
  }
  if (point.request_rate > 0 && options.fixed_schedule) {
    return absl::InvalidArgumentError(
        "--request-rate and --fixed-schedule each say when requests are sent: give one");
  }
  if (point.request_rate > 0) return ArrivalsOf(options, point, 0).status();
  if (!options.ramp_up.empty()) return NoEffect("--ramp-up", "--request-rate");
  if (options.burstiness != 1) return NoEffect("--burstiness", "--request-rate");
  return absl::OkStatus();
}

LoadOptions LoadOptionsOf(const LoadShapeOptions& options, const LoadPoint& point,
                          const Batch& batch, uint64_t seed) {
  LoadOptions load;
  load.concurrency = point.concurrency;
  load.concurrency_ramp = absl::Seconds(options.concurrency_ramp_s);
  load.cancellation_rate = options.cancellation_percent / 100;
  load.cancellation_delay = absl::Seconds(options.cancellation_delay_s);
  load.seed = seed;
  if (options.fixed_schedule) {
    load.due_ns = batch.TimestampsNs(options.replay_speedup);
  } else if (point.request_rate > 0) {
    const auto arrivals = ArrivalsOf(options, point, seed);
    CHECK(arrivals.ok()) << arrivals.status();
    load.due_ns = ArrivalTimesNs(*arrivals, batch.size());
  }
  return load;
}

LoadKey LoadOf(const LoadShapeOptions& options, const LoadPoint& point) {
  return {point.request_rate, point.concurrency,
          options.fixed_schedule ? options.replay_speedup : 0};
}

LoadShape DescribeLoadShape(const LoadShapeOptions& options, const LoadPoint& point) {
  LoadShape shape;
  // JSON has no infinity: gamma gaps of that shape are what they are, constant.
  const bool even = options.arrival == kGamma && std::isinf(options.burstiness);
  shape.set_arrival(options.fixed_schedule           ? kTraceReplay
                    : point.request_rate <= 0        ? kClosedLoop
                    : std::isinf(point.request_rate) ? kBurst
                    : even                           ? kConstant
                                                     : options.arrival);
  if (std::isfinite(point.request_rate)) shape.set_request_rate(point.request_rate);
  if (options.arrival == kGamma && !even) shape.set_burstiness(options.burstiness);
  shape.set_ramp_up(options.ramp_up);
  shape.set_ramp_up_start_rate(options.ramp_up_start_rate);
  shape.set_concurrency_ramp_s(options.concurrency_ramp_s);
  if (options.fixed_schedule) shape.set_replay_speedup(options.replay_speedup);
  shape.set_cancellation_rate(options.cancellation_percent / 100);
  shape.set_cancellation_delay_s(options.cancellation_delay_s);
  return shape;
}

uint32_t ClientThreads(const LoadShapeOptions& options, const LoadPoint& point) {
  if (options.client_threads > 0) return options.client_threads;
  cpu_set_t usable;
  const bool known = ::sched_getaffinity(0, sizeof usable, &usable) == 0;
  const double cores = std::max(1, known ? CPU_COUNT(&usable) : 1);
  const double streams = point.concurrency > 0 ? point.concurrency : point.requests;
  const double rate = std::isfinite(point.request_rate) ? point.request_rate : 0;
  const double needed = std::max(streams / kStreamsPerThread, rate / kRequestsPerThread);
  return static_cast<uint32_t>(std::clamp(std::ceil(needed), 1.0, cores));
}

}  // namespace regatta
