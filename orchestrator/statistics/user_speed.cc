// Pooled speed; see user_speed.h.
#include "orchestrator/statistics/user_speed.h"

#include <numeric>

namespace regatta {
namespace {

constexpr double kFastestStepS = 20e-6;  // less than it takes to launch one on a device

}  // namespace

void DecodingTimes::Add(const RequestRecord& request) {
  if (request.output_tokens() < 2) return;
  tokens.push_back(request.output_tokens() - 1.0);
  seconds.push_back((request.last_token_ms() - request.first_token_ms()) / 1e3);
}

std::optional<double> DecodingTimes::SpeedTokS() const {
  const double time_s = std::accumulate(seconds.begin(), seconds.end(), 0.0);
  if (time_s <= 0) return std::nullopt;
  return std::accumulate(tokens.begin(), tokens.end(), 0.0) / time_s;
}

uint32_t DecodingTimes::Whole() const {
  uint32_t whole = 0;
  for (size_t i = 0; i < tokens.size(); ++i) whole += seconds[i] < kFastestStepS * tokens[i];
  return whole;
}

double DecodingSpeed(const PointReport& point) {
  return point.regatta().has_user_speed_tok_s()
             ? point.regatta().user_speed_tok_s()
             : point.streaming_metrics().token_output_speed_tok_s();
}

double UserSpeed(const PointReport& point) {
  return point.has_streaming_metrics() ? DecodingSpeed(point)
                                       : point.performance().output_throughput_per_user_tok_s();
}

bool SpeedIsWithContext(const PointReport& point) {
  return !point.has_streaming_metrics() && UserSpeed(point) > 0;
}

}  // namespace regatta
