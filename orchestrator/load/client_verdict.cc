// Limits and sentences; see client_verdict.h.
#include "orchestrator/load/client_verdict.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace regatta {
namespace {

constexpr double kLagMs = 5, kLagOfTtft = 0.1;           // p99, of the median
constexpr double kErrorMs = 1, kErrorOfTokenTime = 0.2;  // p99, of the median
constexpr double kOfCapacity = 0.7;                      // events per second
constexpr double kBusy = 0.9;                            // of one thread
constexpr double kStallMs = 50, kStallOfPoint = 0.01;    // of the point's duration

class Judge {
 public:
  explicit Judge(PointReport& point)
      : point_(point), client_(*point.mutable_regatta()->mutable_client()) {}

  void Decide() {
    client_.clear_reasons();
    Punctuality();
    Timestamps();
    Capacity();
    Threads();
    client_.set_bound(client_.reasons_size() > 0);
  }

 private:
  void Punctuality() {
    const double answer_ms = point_.has_streaming_metrics()
                                 ? point_.streaming_metrics().ttft_percentiles().p50()
                                 : point_.performance().request_latency_percentiles_ms().p50();
    const double limit_ms = std::max(kLagMs, kLagOfTtft * answer_ms);
    const double lag_ms = client_.send_lag_ms().p99();
    if (lag_ms <= limit_ms) return;
    Because(absl::StrFormat("requests left %.1f ms late (p99; at most %.1f)", lag_ms, limit_ms));
  }

  void Timestamps() {
    const double error_ms = client_.calibration().timestamp_error_us().p99() / 1e3;
    const double limit_ms = std::max(kErrorMs, kErrorOfTokenTime * point_.regatta().itl_ms().p50());
    if (!point_.has_streaming_metrics() || error_ms <= limit_ms) return;
    Because(absl::StrFormat("times are recorded %.2f ms late on this machine (p99; at most %.2f)",
                            error_ms, limit_ms));
  }

  void Capacity() {
    const double capacity = client_.calibration().max_events_per_s();
    if (capacity == 0 || client_.events_per_s() <= kOfCapacity * capacity) return;
    Because(absl::StrFormat("%.0f token messages came per second, of %.0f that the client takes",
                            client_.events_per_s(), capacity));
  }

  void Threads() {
    if (client_.busiest_thread() > kBusy) {
      Because(absl::StrFormat("a client thread was busy %.0f %% of the time",
                              100 * client_.busiest_thread()));
    }
    const double limit_ms = std::max(kStallMs, kStallOfPoint * point_.regatta().duration_s() * 1e3);
    if (client_.longest_stall_ms() > limit_ms) {
      Because(absl::StrFormat("a client thread did not look for tokens for %.0f ms (at most %.0f)",
                              client_.longest_stall_ms(), limit_ms));
    }
    if (client_.throttled_periods() > 0) {
      Because(absl::StrCat("the CPU quota was used up in ", client_.throttled_periods(),
                           " periods (cpu.stat)"));
    }
  }

  void Because(const std::string& reason) { client_.add_reasons(reason); }

  const PointReport& point_;
  ClientReport& client_;
};

}  // namespace

void JudgeClient(PointReport& point) { Judge(point).Decide(); }

std::string ClientLine(const ClientReport& client) {
  if (client.bound()) {
    return absl::StrCat("client_bound: yes: ", absl::StrJoin(client.reasons(), "; "));
  }
  return absl::StrFormat(
      "client_bound: no (%d %s, %.0f %% busy, send lag p99 %.2f ms, longest stall %.1f ms)",
      client.threads(), client.threads() == 1 ? "thread" : "threads", 100 * client.busiest_thread(),
      client.send_lag_ms().p99(), client.longest_stall_ms());
}

}  // namespace regatta
