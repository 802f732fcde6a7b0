// A simulated clock and figures by hand; see known_run.h.
#include "tests/orchestrator/truth/known_run.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <queue>

namespace regatta {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

double At(const std::vector<double>& sorted, double q) {
  const double place = q * (sorted.size() - 1);
  const double low = sorted[std::floor(place)], high = sorted[std::ceil(place)];
  return low + (place - std::floor(place)) * (high - low);
}

KnownFigure FigureOf(const Percentiles& p) { return {p.average(), p.p50(), p.p99()}; }

// A client that records what reaches it; times in ms from 0.
class Recorder {
 public:
  explicit Recorder(PointSamples& samples) : samples_(samples) {}

  void Send(uint64_t tag, int64_t now_ns, uint32_t asked) {
    if (tag >= samples_.requests.size()) samples_.requests.resize(tag + 1);
    RequestRecord& record = samples_.requests[tag];
    record.set_scheduled_ms(now_ns / 1e6);
    record.set_sent_ms(now_ns / 1e6);
    record.set_asked_output_tokens(asked);
  }

  void Receive(uint64_t tag, const TokenDelta& delta, int64_t now_ns) {
    RequestRecord& record = samples_.requests[tag];
    const double at_ms = now_ns / 1e6;
    if (record.deltas() == 0) {
      record.set_first_token_ms(at_ms);
      samples_.AddFirstMessage(at_ms, delta.count());
    } else {
      samples_.AddMessage(at_ms, at_ms - record.last_token_ms(), delta.count());
    }
    record.set_last_token_ms(at_ms);
    record.set_deltas(record.deltas() + 1);
    record.set_output_tokens(record.output_tokens() + delta.count());
    if (delta.has_usage()) record.set_server_output_tokens(delta.usage().output_tokens());
    if (!delta.has_times()) return;
    record.set_queue_ms((delta.times().scheduled_ns() - delta.times().arrived_ns()) / 1e6);
    record.set_prefill_ms((delta.times().first_token_ns() - delta.times().scheduled_ns()) / 1e6);
    record.set_decode_ms((delta.times().last_token_ns() - delta.times().first_token_ns()) / 1e6);
  }

 private:
  PointSamples& samples_;
};

struct Start {
  int64_t time_ns;
  uint64_t tag;
  bool operator>(const Start& other) const { return time_ns > other.time_ns; }
};

}  // namespace

uint32_t ServedRequest::tokens() const {
  return std::accumulate(message_tokens.begin(), message_tokens.end(), 0u);
}

KnownFigure SummaryOf(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {std::accumulate(values.begin(), values.end(), 0.0) / values.size(), At(values, 0.5),
          At(values, 0.99)};
}

std::map<std::string, KnownFigure> KnownFigures(const std::vector<ServedRequest>& requests) {
  std::map<std::string, std::vector<double>> values;
  for (const ServedRequest& r : requests) {
    const double first = r.message_ns.front() / 1e6, last = r.message_ns.back() / 1e6;
    const double sent = r.sent_ns / 1e6, steps = r.tokens() - 1.0;
    values["ttft"].push_back(first - sent);
    values["latency"].push_back(last - sent);
    values["ntpot"].push_back((last - sent) / r.tokens());
    values["tpot"].push_back((last - first) / steps);
    values["speed"].push_back(steps / ((last - first) / 1e3));
    for (size_t i = 1; i < r.message_ns.size(); ++i) {
      const double gap = (r.message_ns[i] - r.message_ns[i - 1]) / 1e6;
      values["icl"].push_back(gap);
      values["itl"].insert(values["itl"].end(), r.message_tokens[i], gap / r.message_tokens[i]);
    }
  }
  std::map<std::string, KnownFigure> figures;
  for (auto& [name, samples] : values) figures[name] = SummaryOf(std::move(samples));
  return figures;
}

double KnownThroughput(const std::vector<ServedRequest>& requests) {
  int64_t start = kNever, end = 0;
  double tokens = 0;
  for (const ServedRequest& r : requests) {
    start = std::min(start, r.sent_ns);
    end = std::max(end, r.message_ns.back());
    tokens += r.tokens();
  }
  return tokens / ((end - start) / 1e9);
}

std::map<std::string, KnownFigure> ReportedFigures(const PointReport& report) {
  const StreamingMetrics& streaming = report.streaming_metrics();
  const RegattaInfo& info = report.regatta();
  return {{"ttft", FigureOf(streaming.ttft_percentiles())},
          {"tpot", FigureOf(streaming.tpot_percentiles())},
          {"speed", FigureOf(streaming.gen_tps_percentiles())},
          {"latency", FigureOf(report.performance().request_latency_percentiles_ms())},
          {"ntpot", FigureOf(info.ntpot_ms())},
          {"icl", FigureOf(info.icl_ms())},
          {"itl", FigureOf(info.itl_ms())}};
}

KnownRun SimulateClosedLoop(const NullTiming& timing, uint32_t users, uint32_t rounds,
                            uint32_t tokens,
                            const std::function<int64_t(uint64_t, uint32_t)>& delay_ns) {
  KnownRun run;
  run.served.resize(uint64_t{users} * rounds);
  Recorder recorder(run.samples);
  NullEngine engine(timing);
  std::priority_queue<Start, std::vector<Start>, std::greater<Start>> starts;
  for (uint32_t user = 0; user < users; ++user) starts.push({0, user});
  GenerateRequest request;
  request.set_max_tokens(tokens);
  const auto receive = [&](uint64_t tag, const TokenDelta& delta) {
    ServedRequest& served = run.served[tag];
    const int64_t delay = delay_ns(tag, served.message_ns.size());
    const int64_t before =
        std::llround(run.samples.requests[tag].last_token_ms() * 1e6);  // a stream keeps its order
    const int64_t received = std::max(delta.engine_time_ns() + delay, before);
    served.message_ns.push_back(delta.engine_time_ns());
    served.message_tokens.push_back(delta.count());
    recorder.Receive(tag, delta, received);
    run.max_delay_ms = std::max(run.max_delay_ms, (received - delta.engine_time_ns()) / 1e6);
    const bool more = tag + users < run.served.size();
    if (delta.finish_reason() != FINISH_REASON_NONE && more) starts.push({received, tag + users});
  };
  while (!starts.empty() || engine.NextDueNs() != kNever) {
    const int64_t start_ns = starts.empty() ? kNever : starts.top().time_ns;
    if (engine.NextDueNs() <= start_ns) {
      engine.Advance(engine.NextDueNs(), 1, receive);
      continue;
    }
    const uint64_t tag = starts.top().tag;
    starts.pop();
    run.served[tag].sent_ns = start_ns;
    recorder.Send(tag, start_ns, tokens);
    engine.Start(tag, request, start_ns);
  }
  return run;
}

}  // namespace regatta
