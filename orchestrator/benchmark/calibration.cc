// A flood, then a metronome; see calibration.h.
#include "orchestrator/benchmark/calibration.h"

#include <memory>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "common/status_macros.h"
#include "orchestrator/grpc/channel.h"
#include "orchestrator/grpc/null_server.h"
#include "orchestrator/load/load_generator.h"
#include "orchestrator/openai/null_http_server.h"
#include "orchestrator/openai/openai_target.h"
#include "orchestrator/statistics/statistics.h"

namespace regatta {
namespace {

constexpr NullTiming kFlood{0, 0, 1};
constexpr NullTiming kMetronome{10'000'000, 10'000'000, 1};  // 10 ms
constexpr uint32_t kMetronomeTokens = 50;
constexpr uint32_t kProbesPerThread = 32;
constexpr absl::Duration kFloodTime = absl::Milliseconds(500);

// Passes everything on and keeps by how much each token's recorded time is behind its due time.
class TimestampProbe final : public Target, private TargetEvents {
 public:
  explicit TimestampProbe(std::unique_ptr<Target> target) : target_(std::move(target)) {}

  void Start(uint64_t tag, const GenerateRequest& request) override {
    target_->Start(tag, request);
  }
  void Cancel(uint64_t tag) override { target_->Cancel(tag); }
  void Poll(int64_t deadline_ns, TargetEvents& events) override {
    events_ = &events;
    target_->Poll(deadline_ns, *this);
  }
  const std::vector<double>& errors_us() const { return errors_us_; }

 private:
  void OnDelta(uint64_t tag, const TokenDelta& delta, int64_t received_ns) override {
    int64_t due_ns = delta.engine_time_ns();  // over gRPC
    if (due_ns != 0 || absl::SimpleAtoi(delta.text(), &due_ns)) {
      errors_us_.push_back((received_ns - due_ns) / 1e3);
    }
    events_->OnDelta(tag, delta, received_ns);
  }
  void OnEnd(uint64_t tag, const absl::Status& status, int64_t received_ns) override {
    events_->OnEnd(tag, status, received_ns);
  }

  std::unique_ptr<Target> target_;
  TargetEvents* events_ = nullptr;
  std::vector<double> errors_us_;
};

// A null server and targets of it.
class NullBench {
 public:
  static absl::StatusOr<std::unique_ptr<NullBench>> Make(const CalibrationSetup& setup,
                                                         const NullTiming& timing) {
    auto bench = std::make_unique<NullBench>();
    if (setup.http) {
      ASSIGN_OR_RETURN(bench->http_, NullHttpServer::Start("127.0.0.1:0", timing));
    } else {
      ASSIGN_OR_RETURN(bench->grpc_, NullServer::Start("127.0.0.1:0", timing, TlsOptions()));
    }
    for (uint32_t i = 0; i < setup.threads; ++i) {
      ASSIGN_OR_RETURN(auto target, bench->MakeTarget(setup));
      bench->probes_.push_back(std::make_unique<TimestampProbe>(std::move(target)));
    }
    return bench;
  }

  LoadResult Run(uint32_t tokens, absl::Duration limit, const std::atomic<bool>& stop) {
    DatasetEntry entry;
    entry.input_ids = {1, 2, 3, 4};
    entry.output_tokens = tokens;
    Dataset dataset;
    dataset.entries = {entry};
    LoadOptions options;
    options.concurrency = kProbesPerThread * static_cast<uint32_t>(probes_.size());
    options.stall_timeout = absl::Seconds(10);
    options.max_time = limit;
    std::vector<Target*> targets;
    for (const auto& probe : probes_) targets.push_back(probe.get());
    // A limited run is given more than it can do.
    const uint32_t rounds = limit == absl::InfiniteDuration() ? 1 : 1000;
    return LoadGenerator(targets).Run(Workload(dataset, {}).Deal(rounds * options.concurrency),
                                      options, stop, nullptr);
  }

  std::vector<double> errors_us() const {
    std::vector<double> all;
    for (const auto& probe : probes_) {
      all.insert(all.end(), probe->errors_us().begin(), probe->errors_us().end());
    }
    return all;
  }

 private:
  absl::StatusOr<std::unique_ptr<Target>> MakeTarget(const CalibrationSetup& setup) const {
    if (!setup.http) {
      ASSIGN_OR_RETURN(auto channel, Connect(grpc_->address(), TlsOptions(), absl::Seconds(10)));
      return MakeGrpcTarget(std::move(channel), setup.mode);
    }
    OpenAiServer server;
    ASSIGN_OR_RETURN(server.url, ParseHttpUrl("http://" + http_->address()));
    server.body.model = "null";
    return OpenAiTarget::Make(std::move(server), absl::Seconds(10));
  }

  std::unique_ptr<NullServer> grpc_;
  std::unique_ptr<NullHttpServer> http_;
  std::vector<std::unique_ptr<TimestampProbe>> probes_;
};

}  // namespace

absl::StatusOr<ClientCalibration> CalibrateClient(const CalibrationSetup& setup,
                                                  const std::atomic<bool>& stop) {
  ClientCalibration calibration;
  calibration.set_threads(setup.threads);
  calibration.set_transport(setup.http                              ? "http"
                            : setup.mode == StreamMode::kPerRequest ? "per-request"
                                                                    : "multiplexed");
  {
    ASSIGN_OR_RETURN(const auto bench, NullBench::Make(setup, kFlood));
    calibration.set_max_events_per_s(bench->Run(256, kFloodTime, stop).client.events_per_s());
  }
  ASSIGN_OR_RETURN(const auto bench, NullBench::Make(setup, kMetronome));
  bench->Run(kMetronomeTokens, absl::InfiniteDuration(), stop);
  *calibration.mutable_timestamp_error_us() = Summarize(bench->errors_us());
  if (stop.load()) return absl::CancelledError("interrupted");
  return calibration;
}

std::string CalibrationLine(const ClientCalibration& calibration) {
  return absl::StrFormat(
      "client: %d %s %.0f token messages/s (%s) and %s times %.0f us late (p50; p99 %.0f us)",
      calibration.threads(), calibration.threads() == 1 ? "thread takes" : "threads take",
      calibration.max_events_per_s(), calibration.transport(),
      calibration.threads() == 1 ? "records" : "record", calibration.timestamp_error_us().p50(),
      calibration.timestamp_error_us().p99());
}

}  // namespace regatta
