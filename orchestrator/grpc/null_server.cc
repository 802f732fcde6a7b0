// Synchronous services, one thread per stream; see null_server.h.
#include "orchestrator/grpc/null_server.h"

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <limits>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/clock.h"
#include "common/grpc_listener.h"
#include "common/status_macros.h"
#include "common/version.h"
#include "proto/cluster.grpc.pb.h"
#include "proto/inference.grpc.pb.h"

namespace regatta {
namespace {

using ManyStream = grpc::ServerReaderWriter<GenerateManyResponse, GenerateManyRequest>;

constexpr int64_t kLongestWaitNs = 100'000'000;
constexpr uint32_t kMaxDeltasPerMessage = 4096;

// A multiplexed stream: one thread reads into the engine, one writes what is due.
class ManySession {
 public:
  ManySession(const NullTiming& timing, ManyStream& stream) : engine_(timing), stream_(stream) {}

  void Run() {
    std::thread reader([this] { ReadAll(); });
    WriteAll();
    reader.join();
  }

 private:
  void ReadAll() {
    for (GenerateManyRequest request; stream_.Read(&request);) {
      std::lock_guard<std::mutex> lock(mutex_);
      const int64_t now_ns = RealClock().NowNs();
      if (request.has_start()) {
        engine_.Start(request.tag(), request.start(), now_ns);
      } else {
        engine_.Cancel(request.tag(), now_ns);
      }
      changed_.notify_one();
    }
    std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
    changed_.notify_one();
  }

  // Waits for due deltas and moves them into `response`; false when the client is gone.
  bool NextMessage(GenerateManyResponse& response) {
    response.clear_deltas();
    std::unique_lock<std::mutex> lock(mutex_);
    while (!closed_) {
      const int64_t now_ns = RealClock().NowNs();
      engine_.Advance(now_ns, kMaxDeltasPerMessage, [&](uint64_t tag, const TokenDelta& delta) {
        TaggedDelta& tagged = *response.add_deltas();
        tagged.set_tag(tag);
        *tagged.mutable_delta() = delta;
        tagged.mutable_delta()->set_engine_time_ns(now_ns);  // as it is sent, not as it was due
      });
      if (response.deltas_size() > 0) return true;
      const int64_t wait_ns = std::min(engine_.NextDueNs() - now_ns, kLongestWaitNs);
      changed_.wait_for(lock, std::chrono::nanoseconds(wait_ns));
    }
    return false;
  }

  void WriteAll() {
    for (GenerateManyResponse response; NextMessage(response);) {
      if (!stream_.Write(response)) return;
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  NullEngine engine_;
  bool closed_ = false;
  ManyStream& stream_;
};

class NullInference final : public Inference::Service {
 public:
  explicit NullInference(const NullTiming& timing) : timing_(timing) {}

  grpc::Status Generate(grpc::ServerContext* context, const GenerateRequest* request,
                        grpc::ServerWriter<TokenDelta>* writer) override {
    NullEngine engine(timing_);
    engine.Start(next_tag_++, *request, RealClock().NowNs());  // each draws for itself
    while (engine.running() > 0 && !context->IsCancelled()) {
      const int64_t wait_ns = engine.NextDueNs() - RealClock().NowNs();
      if (wait_ns > 0) {
        std::this_thread::sleep_for(std::chrono::nanoseconds(std::min(wait_ns, kLongestWaitNs)));
      }
      engine.Advance(RealClock().NowNs(), 1,
                     [&](uint64_t, const TokenDelta& delta) { writer->Write(delta); });
    }
    return grpc::Status::OK;
  }

  grpc::Status GenerateMany(grpc::ServerContext*, ManyStream* stream) override {
    ManySession(timing_, *stream).Run();
    return grpc::Status::OK;
  }

 private:
  const NullTiming timing_;
  std::atomic<uint64_t> next_tag_ = 0;
};

// One idle group, so that clients find it ready.
class NullCluster final : public Cluster::Service {
 public:
  grpc::Status Describe(grpc::ServerContext*, const ClusterDescribeRequest*,
                        ClusterDescription* description) override {
    description->set_version(kVersion);
    description->set_commit(BuildCommit());
    description->set_model_name("null");
    description->mutable_layout()->set_attention_tp(1);
    description->mutable_limits()->set_max_batch_size(kMaxDeltasPerMessage);
    description->set_vocab_size(std::numeric_limits<int32_t>::max());
    description->add_groups()->set_state("running");
    WorkerDescription& device = *description->add_workers()->mutable_description();
    device.set_device_kind("null");
    device.set_device_name("null server");
    return grpc::Status::OK;
  }
};

}  // namespace

struct NullServer::Parts {
  explicit Parts(const NullTiming& timing) : inference(timing) {}
  NullInference inference;
  NullCluster cluster;
  std::unique_ptr<grpc::Server> server;
  std::string address;
};

NullServer::NullServer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

NullServer::~NullServer() { parts_->server->Shutdown(std::chrono::system_clock::now()); }

const std::string& NullServer::address() const { return parts_->address; }

absl::StatusOr<std::unique_ptr<NullServer>> NullServer::Start(const std::string& address,
                                                              const NullTiming& timing,
                                                              const TlsOptions& tls) {
  ASSIGN_OR_RETURN(const auto credentials, MakeServerCredentials(tls, address));
  auto parts = std::make_unique<Parts>(timing);
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(address, credentials, &port);
  builder.RegisterService(&parts->inference);
  builder.RegisterService(&parts->cluster);
  ASSIGN_OR_RETURN(parts->server, StartListening(builder, address, port));
  parts->address = absl::StrCat(address.substr(0, address.rfind(':')), ":", port);
  return std::unique_ptr<NullServer>(new NullServer(std::move(parts)));
}

}  // namespace regatta
